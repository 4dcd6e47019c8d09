"""What feeds say, in one shape."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class AffectedRange:
    """Versions of one product that are affected.

    Attributes:
        product: ``cpe:vendor:product``, or ``Debian:12/openssh`` for a distribution's package.
        start, end: versions; empty for no bound.
        start_included, end_included: whether the bounds themselves are affected.
    """

    product: str
    start: str = ""
    end: str = ""
    start_included: bool = True
    end_included: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One vulnerability.

    Attributes:
        identifier: the feed's own.
        cves: CVE numbers it is about.
        summary: what it is, in the feed's words.
        cvss_vector, cvss_score: as the feed gives them; empty and None where it does not.
        published: aware.
        ranges: affected versions of products that `products.PRODUCTS` has; others are left out.
    """

    identifier: str
    cves: tuple[str, ...]
    summary: str
    published: datetime | None
    ranges: tuple[AffectedRange, ...]
    cvss_vector: str = ""
    cvss_score: float | None = None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A vulnerability that was none, says the feed now."""

    identifier: str


@dataclass(frozen=True, slots=True)
class Exploited:
    """A vulnerability that attackers use (CISA's catalogue)."""

    cve: str
    added: date
    due: date | None
    by_ransomware: bool
    name: str


@dataclass(slots=True)
class FeedInfo:
    """What a file is. Filled in while its records are read.

    Attributes:
        published_at: when the data were published, by the file itself; aware.
        read: records in the file.
    """

    published_at: datetime | None = None
    read: int = 0

    def saw(self, published_at: datetime | None) -> None:
        """Note a time that data of the file are of; the newest counts."""
        if published_at is not None and (self.published_at is None or published_at > self.published_at):
            self.published_at = published_at
