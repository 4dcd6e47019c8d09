"""What a service is to the scanner: a way to recognise it by what it says, and a way to find out more.

Recognising is pure and sees hostile bytes; it must not raise. A probe talks, through a bounded
`Conversation`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, TypeVar

from ..banners import readable
from ..conversation import Endpoint
from ..discovery import import_all
from ..observation import Detail


@dataclass(frozen=True, slots=True)
class Identity:
    """What a service turned out to be. All texts have gone through `banners`."""

    service: str = ""
    product: str = ""
    version: str = ""
    banner: str = ""
    details: tuple[Detail, ...] = ()

    def saying(self, data: bytes) -> Identity:
        """The same with these bytes as banner, unless it has one."""
        return self if self.banner else replace(self, banner=readable(data))


class Service(ABC):
    """A kind of service.

    name: as in IANA's registry of service names; usual_ports: where it is tried first; speaks_first: whether
    it greets; order: services with a lower number are asked first whether they recognise an answer, and are
    tried first.
    """

    name: ClassVar[str]
    usual_ports: ClassVar[frozenset[int]] = frozenset()
    speaks_first: ClassVar[bool] = False
    order: ClassVar[int] = 50

    @abstractmethod
    def recognise(self, data: bytes) -> Identity | None:
        """Whether these bytes, a greeting or the answer to any request, are this service's."""

    async def probe(self, endpoint: Endpoint) -> Identity | None:
        """Ask the service itself. None if it does not answer as this service would. Raises OSError."""
        return None

    async def examine(self, endpoint: Endpoint, identity: Identity) -> Identity:
        """Ask what is only worth asking once the probe has succeeded. Returns `identity` with what it adds.

        If time runs out or the connection fails (OSError), what the probe has learnt stays.
        """
        return identity


S = TypeVar("S", bound=type[Service])
_registered: dict[str, Service] = {}


def register(service: S) -> S:
    """Make a service known. Raises ValueError if its name is taken."""
    if service.name in _registered:
        raise ValueError(f"service {service.name!r} is registered twice; give one of them another name")
    _registered[service.name] = service()
    return service


@cache
def all_services() -> tuple[Service, ...]:
    """Every service of this package, in the order they are asked."""
    import_all(__package__)
    return tuple(sorted(_registered.values(), key=lambda service: (service.order, service.name)))


def recognise(data: bytes) -> Identity | None:
    """The first service that recognises these bytes, with them as its banner."""
    if not data:
        return None
    for service in all_services():
        if identity := service.recognise(data):
            return identity.saying(data)
    return None
