"""OSV records (https://ossf.github.io/osv-schema/): one JSON object, an array, or a zip with a file for each.

Only what distributions say of their packages is kept; it tells which revisions are mended.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from typing import IO, Any, Final

import ijson

from securenet.vulnerabilities.feeds.records import AffectedRange, FeedInfo, Record, Withdrawn
from securenet.vulnerabilities.feeds.values import items, moment, text
from securenet.vulnerabilities.products import known_packages

MAX_MEMBER: Final = 16 * 1024 * 1024  # bytes of one record in a zip, unpacked
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,8}")
_ECOSYSTEM = re.compile(r"(Debian|Ubuntu)(?::Pro)?:([0-9]{1,2}(?:\.[0-9]{2})?)(?::LTS)?$")


def read_osv_zip(stream: IO[bytes], info: FeedInfo) -> Iterator[Record | Withdrawn]:
    """The records of a zip such as the databases publish for an ecosystem.

    Raises:
        zipfile.BadZipFile, ValueError: the file is broken, or a member is too large.
    """
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".json"):
                continue
            if member.file_size > MAX_MEMBER:
                raise ValueError(f"{member.filename} has {member.file_size} bytes; a record has at most {MAX_MEMBER}")
            with archive.open(member) as opened:
                yield from _entries(json.loads(opened.read(MAX_MEMBER)), info)


def read_osv_json(stream: IO[bytes], info: FeedInfo) -> Iterator[Record | Withdrawn]:
    """One record, or an array of them.

    Raises:
        ijson.JSONError: the JSON is broken.
    """
    first = stream.read(1)
    while first.isspace():
        first = stream.read(1)
    stream.seek(0)
    for value in ijson.items(stream, "item" if first == b"[" else "", use_float=True):
        yield from _entries(value, info)


def _entries(value: Any, info: FeedInfo) -> Iterator[Record | Withdrawn]:
    info.read += 1
    if not isinstance(value, dict) or not (identifier := text(value.get("id"), 80)):
        return
    info.saw(moment(value.get("modified")))
    if value.get("withdrawn"):
        yield Withdrawn(identifier)
        return
    ranges = tuple(dict.fromkeys(_ranges(value)))
    if ranges:
        summary = text(value.get("summary")) or text(value.get("details"))
        yield Record(identifier, _cves(value), summary, moment(value.get("published")), ranges)


def _cves(value: dict[str, Any]) -> tuple[str, ...]:
    """The numbers it goes by; those it is only related to do not count."""
    names = [value.get("id")]
    for key in ("aliases", "upstream"):
        given = value.get(key)
        names += given if isinstance(given, list) else []
    found = (_CVE.search(name) for name in names if isinstance(name, str))
    return tuple(dict.fromkeys(match[0] for match in found if match))


def _ranges(value: dict[str, Any]) -> Iterator[AffectedRange]:
    for affected in items(value.get("affected")):
        package = affected.get("package")
        if not isinstance(package, dict) or text(package.get("name")) not in known_packages():
            continue
        ecosystem = _ECOSYSTEM.match(text(package.get("ecosystem"), 80))
        if ecosystem is None:
            continue
        product = f"{ecosystem[1]}:{ecosystem[2]}/{package['name']}"
        for each in items(affected.get("ranges")):
            if each.get("type") == "ECOSYSTEM":
                yield from _events(product, each)


def _events(product: str, each: dict[str, Any]) -> Iterator[AffectedRange]:
    """Pairs of "introduced" and "fixed" or "last_affected"; an introduction without an end is not mended yet."""
    start: str | None = None
    for event in items(each.get("events")):
        if "introduced" in event:
            start = text(event["introduced"], 64)
        elif start is not None and ("fixed" in event or "last_affected" in event):
            end = text(event.get("fixed") or event.get("last_affected"), 64)
            yield AffectedRange(product, "" if start == "0" else start, end, end_included="last_affected" in event)
            start = None
    if start is not None:
        yield AffectedRange(product, "" if start == "0" else start)
