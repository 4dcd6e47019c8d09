"""Stored assets as targets of scans: ``asset:12`` stands for the address that the asset has when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from securenet.network.models import Asset
from securenet.security.scanner import Refusal, TargetRefused

_ASSET: Final = re.compile(r"asset:([1-9][0-9]{0,17})", re.ASCII)


def is_asset(text: str) -> bool:
    """Whether a target names a stored asset."""
    return text.startswith("asset:")


def check_asset(text: str) -> None:
    """Raise TargetRefused for what begins as an asset and is none."""
    if not _ASSET.fullmatch(text):
        raise TargetRefused(text, Refusal.INVALID, "write a stored asset as asset: and its id, such as asset:12")


def with_addresses(targets: Sequence[str]) -> tuple[str, ...]:
    """The targets, with each asset's address in its place.

    Raises:
        TargetRefused: there is no such asset (any more).
    """
    wanted = {int(match[1]): text for text in targets if (match := _ASSET.fullmatch(text))}
    known: dict[int, str] = dict(Asset.objects.filter(pk__in=wanted).values_list("pk", "address")) if wanted else {}
    for pk, text in wanted.items():
        if pk not in known:
            raise TargetRefused(text, Refusal.INVALID, "there is no such asset; see /api/network/assets")
    addresses = {text: known[pk] for pk, text in wanted.items()}
    return tuple(addresses.get(text, text) for text in targets)
