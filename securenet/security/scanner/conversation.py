"""One exchange with a service that may be hostile: bounded in time and in bytes, whatever the peer does.

Connects to pinned addresses only, within the pace they share with the connect scan.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from .addresses import Address
from .banners import MAX_BANNER
from .pace import Pace

# All that a peer can do to a connection (refuse, reset, delay, break TLS) is an OSError, and means "no usable
# answer".
CONVERSATION_FAILED = OSError


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """Seconds that a probe may take.

    connect: to connect, and again for a TLS handshake; listen: to wait for a service that speaks first,
    usual_listen: the same on ports where that is usual (some look up the client's name before they greet);
    reply: to wait for an answer; guess: instead of `connect` and `reply` where nothing speaks for the service
    that is asked for; quiet: the silence after which an answer is taken to be complete; port: all together.
    """

    connect: float = 3.0
    listen: float = 1.5
    usual_listen: float = 6.0
    reply: float = 3.0
    guess: float = 1.0
    quiet: float = 0.2
    port: float = 20.0

    def for_guesses(self) -> ProbeLimits:
        """The limits for a question that the service will hardly understand."""
        return replace(self, connect=min(self.connect, self.guess), reply=min(self.reply, self.guess))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An open port to talk to.

    hostname: sent as SNI and Host, never looked up; on_wait: told the seconds that a connection waits for its
    turn, which are our doing and not the peer's.
    """

    address: Address
    port: int
    pace: Pace
    hostname: str | None = None
    limits: ProbeLimits = field(default_factory=ProbeLimits)
    on_wait: Callable[[float], None] = lambda seconds: None

    @property
    def authority(self) -> str:
        """Host name or address as it stands in a URL, without the port."""
        return self.hostname or (f"[{self.address}]" if self.address.version == 6 else str(self.address))

    @asynccontextmanager
    async def connect(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Conversation]:
        """A connection, closed at the end. Raises OSError (also TimeoutError, SSLError) if there is none."""
        if delay := self.pace.reserve():
            self.on_wait(delay)
            await asyncio.sleep(delay)
        family = socket.AF_INET if self.address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(self.limits.connect):
                await asyncio.get_running_loop().sock_connect(sock, (str(self.address), self.port))
            if sock.getsockname() == sock.getpeername():
                raise ConnectionRefusedError("the port is closed: the connection led back to itself")
            async with asyncio.timeout(self.limits.connect):
                reader, writer = await asyncio.open_connection(
                    sock=sock,
                    limit=MAX_BANNER * 4,
                    ssl=tls,
                    server_hostname=(self.hostname or str(self.address)) if tls else None,
                )
        except BaseException:
            sock.close()
            raise
        try:
            yield Conversation(reader, writer, self.limits)
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)  # lets the event loop close the socket


class Conversation:
    """The two directions of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: ProbeLimits) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits

    async def send(self, data: bytes) -> None:
        """Send a few bytes. Raises OSError if the peer is gone."""
        self._writer.write(data)
        async with asyncio.timeout(self._limits.reply):
            await self._writer.drain()

    async def receive(
        self,
        limit: int = MAX_BANNER,
        *,
        wait: float | None = None,
        is_complete: Callable[[bytes], bool] | None = None,
    ) -> bytes:
        """What the peer says, at most `limit` bytes; b"" if it says nothing.

        Ends after `wait` seconds (default: limits.reply), when the peer closes, or when `is_complete` says
        so; without `is_complete`, when the peer falls silent. Errors of the connection end it as well: what
        came before counts.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + (self._limits.reply if wait is None else wait)
        data = bytearray()
        try:
            async with asyncio.timeout_at(end) as timer:
                while len(data) < limit and (chunk := await self._reader.read(limit - len(data))):
                    data += chunk
                    if is_complete is None:
                        timer.reschedule(min(end, loop.time() + self._limits.quiet))
                    elif is_complete(bytes(data)):
                        break
        except CONVERSATION_FAILED:
            return bytes(data)
        return bytes(data)

    async def ask(
        self, request: bytes, limit: int = MAX_BANNER, *, is_complete: Callable[[bytes], bool] | None = None
    ) -> bytes:
        """Send, then receive."""
        await self.send(request)
        return await self.receive(limit, is_complete=is_complete)

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session, if the connection has one."""
        session: ssl.SSLObject | None = self._writer.get_extra_info("ssl_object")
        return session
