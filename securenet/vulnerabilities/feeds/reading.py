"""Which feed is this file? Told by what is in it, not by its name."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, Final, cast
from zipfile import BadZipFile

import ijson

from securenet.vulnerabilities.feeds.kev import read_kev
from securenet.vulnerabilities.feeds.nvd import read_nvd
from securenet.vulnerabilities.feeds.osv import read_osv_json, read_osv_zip
from securenet.vulnerabilities.feeds.records import Exploited, FeedInfo, Record, Withdrawn

Reader = Callable[[IO[bytes], FeedInfo], Iterator[Record | Withdrawn | Exploited]]


class FeedKind(StrEnum):
    """Who publishes the data."""

    NVD = "nvd"
    OSV = "osv"
    KEV = "kev"


class NotAFeed(Exception):
    """The file is not one that can be imported; the message says what it should be."""


READERS: Final[dict[str, tuple[FeedKind, Reader]]] = {
    "zip": (FeedKind.OSV, cast("Reader", read_osv_zip)),
    "nvd": (FeedKind.NVD, cast("Reader", read_nvd)),
    "kev": (FeedKind.KEV, cast("Reader", read_kev)),
    "osv": (FeedKind.OSV, cast("Reader", read_osv_json)),
}
# A key of the outermost object that only this format has, before its long lists.
_TOLD_BY: Final = {
    "resultsPerPage": "nvd",
    "format": "nvd",
    "catalogVersion": "kev",
    "dateReleased": "kev",
    "affected": "osv",
    "schema_version": "osv",
    "modified": "osv",
}
_MOST_LOOKED_AT: Final = 20_000  # events of JSON
TELL_EVERY: Final = 1000
_BROKEN = (ijson.JSONError, BadZipFile, ValueError, OSError, EOFError, zlib.error, RecursionError)


@dataclass(frozen=True, slots=True)
class Feed:
    """What is in a file.

    Attributes:
        published_at: when its data were published, by the file itself, aware; None where it does not say.
        read: records in the file.
        entries: those of them that concern products we know.
    """

    kind: FeedKind
    published_at: datetime | None
    read: int
    entries: tuple[Record | Withdrawn | Exploited, ...]


def read_feed(path: Path, on_read: Callable[[int], None] = lambda records: None) -> Feed:
    """Read a file of any kind, also packed with gzip. Memory grows with what is kept, not with the file.

    Args:
        path: the file.
        on_read: called with the number of records read so far, about every thousand.

    Raises:
        NotAFeed: it is missing, or none of the formats, or breaks off.
    """
    try:
        with _opened(path) as stream:
            kind, reader = READERS[_told_format(stream)]
            stream.seek(0)
            info = FeedInfo()
            entries: list[Record | Withdrawn | Exploited] = []
            told = 0
            for entry in reader(stream, info):
                entries.append(entry)
                if info.read - told >= TELL_EVERY:
                    told = info.read
                    on_read(told)
    except _BROKEN as error:
        raise NotAFeed(f"{path} cannot be read as vulnerability data: {error}.") from error
    return Feed(kind, info.published_at, info.read, tuple(entries))


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        is_packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if is_packed:
            with gzip.open(raw) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            yield raw


def _told_format(stream: IO[bytes]) -> str:
    if stream.read(4) == b"PK\x03\x04":
        return "zip"
    stream.seek(0)
    for prefix, event, value in islice(ijson.parse(stream), _MOST_LOOKED_AT):
        if event == "map_key" and prefix in ("", "item") and value in _TOLD_BY:
            return _TOLD_BY[value]
    raise ValueError("it is neither NVD JSON 2.0, nor OSV (JSON or zip), nor CISA's KEV catalogue (JSON)")
