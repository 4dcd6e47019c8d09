"""NVD's JSON 2.0 (files of the data feeds, or answers of its API saved to a file)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any, Final

import ijson

from securenet.vulnerabilities.feeds.records import AffectedRange, FeedInfo, Record, Withdrawn
from securenet.vulnerabilities.feeds.values import items, mapping, moment, score, text
from securenet.vulnerabilities.products import known_cpes

# The newest scheme that gives a vector we can tell the reader counts; see the CVSS standards of FIRST.
_METRICS: Final = ("cvssMetricV31", "cvssMetricV30", "cvssMetricV40", "cvssMetricV2")
# CPE 2.3 names escape colons with a backslash (NISTIR 7695, section 6.2).
_CPE_PARTS = re.compile(r"(?:\\.|[^:\\])*")
_ANY: Final = frozenset({"*", "-", ""})


def read_nvd(stream: IO[bytes], info: FeedInfo) -> Iterator[Record | Withdrawn]:
    """The vulnerabilities of the products we know, one at a time.

    Raises:
        ijson.JSONError: the JSON is broken.
    """
    for prefix, event, value in _with_items(stream):
        if event == "string" and prefix == "timestamp":
            info.saw(moment(value))
        elif event == "item":
            info.read += 1
            entry = _entry(mapping(value.get("cve")), info)
            if entry is not None:
                yield entry


def _with_items(stream: IO[bytes]) -> Iterator[tuple[str, str, Any]]:
    """The top level's own strings, and each vulnerability as a whole."""
    builder: Any = None
    for prefix, event, value in ijson.parse(stream, use_float=True):
        if prefix == "vulnerabilities.item" and event == "start_map":
            builder = ijson.ObjectBuilder()
        if builder is not None:
            builder.event(event, value)
            if prefix == "vulnerabilities.item" and event == "end_map":
                yield prefix, "item", builder.value
                builder = None
        elif "." not in prefix:
            yield prefix, event, value


def _entry(cve: dict[str, Any], info: FeedInfo) -> Record | Withdrawn | None:
    identifier = text(cve.get("id"), 40)
    if not identifier:
        return None
    info.saw(moment(cve.get("lastModified")))
    if text(cve.get("vulnStatus")).lower() == "rejected":
        return Withdrawn(identifier)
    ranges = tuple(dict.fromkeys(_ranges(cve)))
    if not ranges:
        return None
    vector, base = _cvss(mapping(cve.get("metrics")))
    return Record(identifier, (identifier,), _summary(cve), moment(cve.get("published")), ranges, vector, base)


def _ranges(cve: dict[str, Any]) -> Iterator[AffectedRange]:
    for configuration in items(cve.get("configurations")):
        for node in items(configuration.get("nodes")):
            for match in items(node.get("cpeMatch")):
                if match.get("vulnerable") is True and not node.get("negate"):
                    yield from _range(match)


def _range(match: dict[str, Any]) -> Iterator[AffectedRange]:
    parts = [part.replace("\\", "") for part in _CPE_PARTS.findall(text(match.get("criteria")))[::2]]
    if len(parts) < 7 or f"{parts[3]}:{parts[4]}" not in known_cpes():
        return
    product, version, update = f"cpe:{parts[3]}:{parts[4]}", parts[5], parts[6]
    start = text(match.get("versionStartIncluding") or match.get("versionStartExcluding"), 64)
    end = text(match.get("versionEndIncluding") or match.get("versionEndExcluding"), 64)
    if start or end:
        yield AffectedRange(product, start, end, "versionStartExcluding" not in match, "versionEndIncluding" in match)
    elif version not in _ANY:
        exact = (version if update in _ANY else version + update)[:64]
        yield AffectedRange(product, exact, exact, end_included=True)


def _summary(cve: dict[str, Any]) -> str:
    described = {text(each.get("lang")): text(each.get("value")) for each in items(cve.get("descriptions"))}
    return described.get("en", "")


def _cvss(metrics: dict[str, Any]) -> tuple[str, float | None]:
    for name in _METRICS:
        given = sorted(items(metrics.get(name)), key=lambda metric: metric.get("type") != "Primary")
        for metric in given:
            data = mapping(metric.get("cvssData"))
            base = score(data.get("baseScore"))
            if base is not None:
                return text(data.get("vectorString"), 200), base
    return "", None
