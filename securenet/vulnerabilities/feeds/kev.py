"""CISA's catalogue of known exploited vulnerabilities (KEV), JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import ijson

from securenet.vulnerabilities.feeds.records import Exploited, FeedInfo
from securenet.vulnerabilities.feeds.values import day, items, moment, text


def read_kev(stream: IO[bytes], info: FeedInfo) -> Iterator[Exploited]:
    """All entries of the catalogue: it is small, and of use for every product.

    Raises:
        ijson.JSONError: the JSON is broken.
    """
    catalogue = next(ijson.items(stream, "", use_float=True), None)
    if not isinstance(catalogue, dict):
        return
    info.saw(moment(catalogue.get("dateReleased")))
    for entry in items(catalogue.get("vulnerabilities")):
        info.read += 1
        cve, added = text(entry.get("cveID"), 40), day(entry.get("dateAdded"))
        if cve and added:
            by_ransomware = text(entry.get("knownRansomwareCampaignUse")).lower() == "known"
            yield Exploited(
                cve, added, day(entry.get("dueDate")), by_ransomware, text(entry.get("vulnerabilityName"), 300)
            )
