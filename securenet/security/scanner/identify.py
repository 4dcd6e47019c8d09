"""Finds out what listens on an open port: what is usual there, else what it says, else what it answers to.

Every step is bounded by `ProbeLimits`, and the whole by `limits.port`; what is known by then is the result.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from dataclasses import replace

from .conversation import CONVERSATION_FAILED, Endpoint
from .services.base import Identity, Service, all_services, recognise
from .services.http import USER_AGENT

logger = logging.getLogger(__name__)

# A stranger's bytes that trip up a parser must not end the scan of all other hosts: the port stays
# unidentified, its checks unmade. Other exceptions, such as that of a job's time limit, are none of this
# module's business.
_BAD_PARSING = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error)

# HTTP/1.0 without Host: every service that waits for the client gets a chance to complain in its own words.
_OPENER = f"GET / HTTP/1.0\r\nUser-Agent: {USER_AGENT}\r\n\r\n".encode("ascii")


async def identify(endpoint: Endpoint) -> Identity:
    """What listens at the endpoint; an Identity without service if nothing was recognised."""
    timer = asyncio.timeout(endpoint.limits.port)
    search = _Search(replace(endpoint, on_wait=lambda seconds: _extend(timer, seconds)))
    try:
        async with timer:
            await search.run()
    except TimeoutError:
        logger.debug("identifying %s port %d ran out of time", endpoint.address, endpoint.port)
    except _BAD_PARSING:
        logger.exception("identifying %s port %d failed", endpoint.address, endpoint.port)
    return search.best


def _extend(timer: asyncio.Timeout, seconds: float) -> None:
    when = timer.when()
    if when is not None and not timer.expired():
        timer.reschedule(when + seconds)


class _Search:
    def __init__(self, endpoint: Endpoint) -> None:
        self.best = Identity()
        self._endpoint = endpoint
        self._tried: set[str] = set()

    async def run(self) -> None:
        usual = [service for service in all_services() if self._endpoint.port in service.usual_ports]
        for service in usual:
            if not service.speaks_first and await self._probe(service):
                return
        greeting, answer = await self._listen(any(service.speaks_first for service in usual))
        guess = recognise(greeting) or recognise(answer)
        self.best = guess or Identity().saying(greeting or answer)
        if not greeting and not guess:
            # Nothing speaks for any of the services left; they get less time to answer.
            self._endpoint = replace(self._endpoint, limits=self._endpoint.limits.for_guesses())
        for service in self._candidates(guess, greeting):
            if await self._probe(service):
                return

    def _candidates(self, guess: Identity | None, greeting: bytes) -> list[Service]:
        """The services whose own probe may settle it."""
        if greeting.startswith(b"220"):
            # SMTP and FTP greet alike; the more likely one first.
            names = ["ftp", "smtp"] if guess and guess.service == "ftp" else ["smtp", "ftp"]
        elif guess:
            names = [guess.service]
        elif greeting:
            names = []  # it speaks first, in a language we do not know: questions would not help
        else:
            names = [service.name for service in all_services() if not service.speaks_first]
        by_name = {service.name: service for service in all_services()}
        return [by_name[name] for name in names if name in by_name and name not in self._tried]

    async def _probe(self, service: Service) -> bool:
        """Whether the service's own probe succeeds; what it learns is better than what was known."""
        self._tried.add(service.name)
        try:
            identity = await service.probe(self._endpoint)
        except CONVERSATION_FAILED:
            return False
        if identity is None:
            return False
        self.best = identity
        try:
            self.best = await service.examine(self._endpoint, identity)
        except CONVERSATION_FAILED:
            logger.debug("examining %s port %d failed", self._endpoint.address, self._endpoint.port)
        return True

    async def _listen(self, speaks_first_here: bool) -> tuple[bytes, bytes]:
        """What the service says of itself, and, if nothing, what it says to a request it may not know."""
        limits = self._endpoint.limits
        try:
            async with self._endpoint.connect() as conversation:
                greeting = await conversation.receive(wait=limits.usual_listen if speaks_first_here else limits.listen)
                if greeting:
                    return greeting, b""
                return b"", await conversation.ask(_OPENER)
        except CONVERSATION_FAILED:
            return b"", b""
