"""Writes what a scan saw of a machine into the inventory. What people entered is never overwritten.

Writes in bulk and without signals, so it drops no cached answers: the scan does, once, at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from securenet.network.models import Asset, Service
from securenet.network.validators import canonical_address

_WHAT_LISTENS: Final = ("name", "product", "version", "banner")


@dataclass(frozen=True, slots=True)
class OpenPort:
    """An open port and what was recognised there; empty texts say that nothing was."""

    port: int
    protocol: str = "tcp"
    name: str = ""
    product: str = ""
    version: str = ""
    banner: str = ""

    @property
    def is_identified(self) -> bool:
        """Whether anything is known beyond that it is open."""
        return bool(self.name or self.banner)


@transaction.atomic
def record_host(
    address: str,
    *,
    seen_at: datetime,
    hostname: str = "",
    open_ports: Sequence[OpenPort] = (),
    closed_ports: Iterable[int] = (),
) -> Asset:
    """Note that a machine answered.

    Args:
        address: any spelling; stored in its canonical one.
        seen_at: when, aware.
        hostname: the name it was found by; kept only if none is known.
        open_ports: each port once.
        closed_ports: TCP ports that refused; services known there are marked as closed.

    Returns the asset, created where it was unknown.
    """
    asset = _asset_at(canonical_address(address))
    asset.hostname = asset.hostname or hostname
    is_latest = asset.last_seen is None or seen_at >= asset.last_seen
    asset.first_seen = min(asset.first_seen or seen_at, seen_at)
    asset.last_seen = max(asset.last_seen or seen_at, seen_at)
    Asset.objects.filter(pk=asset.pk).update(
        hostname=asset.hostname, first_seen=asset.first_seen, last_seen=asset.last_seen
    )
    _record_services(asset, open_ports, frozenset(closed_ports), seen_at, is_latest)
    return asset


def _asset_at(address: str) -> Asset:
    known = Asset.objects.filter(address=address)
    if not known.exists():
        Asset.objects.bulk_create([Asset(address=address, source=Asset.Source.SCAN)], ignore_conflicts=True)
    return known.get()


def _record_services(
    asset: Asset, open_ports: Sequence[OpenPort], closed_ports: frozenset[int], seen_at: datetime, is_latest: bool
) -> None:
    """An older sight than the latest adds what is not known, and leaves alone what was seen since."""
    known = {(service.port, service.protocol): service for service in asset.services.select_for_update()}
    new: list[Service] = []
    for seen in open_ports:
        service = known.get((seen.port, seen.protocol))
        if service is None:
            new.append(_new_service(asset, seen, seen_at))
            continue
        if seen_at < service.last_seen or (service.state == Service.State.CLOSED and not is_latest):
            continue
        service.state = Service.State.OPEN
        service.last_seen = seen_at
        if seen.is_identified:
            for name in _WHAT_LISTENS:
                setattr(service, name, getattr(seen, name))
    gone = [
        service
        for (port, protocol), service in known.items()
        if protocol == "tcp" and port in closed_ports and service.last_seen <= seen_at
    ]
    for service in gone:
        service.state = Service.State.CLOSED
    Service.objects.bulk_create(new)
    Service.objects.bulk_update(known.values(), ["state", "last_seen", *_WHAT_LISTENS], batch_size=100)


def _new_service(asset: Asset, seen: OpenPort, seen_at: datetime) -> Service:
    return Service(
        asset=asset,
        port=seen.port,
        protocol=seen.protocol,
        first_seen=seen_at,
        last_seen=seen_at,
        **{name: getattr(seen, name) for name in _WHAT_LISTENS},
    )
