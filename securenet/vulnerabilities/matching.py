"""Which known vulnerabilities a program of this version has. Pure: data in, matches out.

An upstream number alone says little about a program that a distribution built: it mends old releases. What the
distribution itself says of its package decides, where it was imported; where not, a match is only a hint.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from univers.debian import Version as DebianVersion

from securenet.vulnerabilities.distributions import WITH_ADVISORIES, Build
from securenet.vulnerabilities.products import Product
from securenet.vulnerabilities.releases import Release, is_release


class Basis(StrEnum):
    """What a match rests on, from the best to the weakest."""

    PACKAGE = "package"  # the distribution says that this revision is affected
    UPSTREAM = "upstream"  # the number is affected, and nothing says that anybody but its makers built it
    UNKNOWN_REVISION = "unknown_revision"  # the number is affected, but a distribution built it and may have mended it


CONFIDENCE: Final = {Basis.PACKAGE: 95, Basis.UPSTREAM: 60, Basis.UNKNOWN_REVISION: 20}  # percent


@dataclass(frozen=True, slots=True)
class Source:
    """Where data come from, and of what time they are."""

    name: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class KnownRange:
    """Affected versions of one product, and what the feed says of the vulnerability.

    Attributes:
        cve: the CVE number; the feed's own identifier where there is none.
        start, end: bounds, empty for none; see `feeds.records.AffectedRange`.
    """

    cve: str
    start: str
    start_included: bool
    end: str
    end_included: bool
    summary: str
    cvss_vector: str
    cvss_score: float | None
    source: Source

    def has_upstream(self, release: Release) -> bool:
        """Whether the release lies within."""
        above = not self.start or Release(self.start) < release or (self.start_included and self._is_start(release))
        below = not self.end or release < Release(self.end) or (self.end_included and Release(self.end) == release)
        return above and below

    def has_package(self, version: DebianVersion) -> bool:
        """Whether the package's version lies within, by dpkg's order (deb-version(7))."""
        if self.start and version < DebianVersion.from_string(self.start):
            return False
        if not self.end:
            return True
        end = DebianVersion.from_string(self.end)
        return bool(version < end or (self.end_included and version == end))

    def _is_start(self, release: Release) -> bool:
        return Release(self.start) == release


@dataclass(frozen=True, slots=True)
class Exploitation:
    """That attackers use a vulnerability."""

    added: date
    due: date | None
    by_ransomware: bool
    source: Source


@dataclass(frozen=True, slots=True)
class Match:
    """One vulnerability that the program has, or may have.

    Attributes:
        fixed_in: the version that mends it, where the data tell; empty otherwise.
        sources: what the match rests on.
    """

    cve: str
    basis: Basis
    summary: str
    cvss_vector: str
    cvss_score: float | None
    fixed_in: str
    exploitation: Exploitation | None
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that was imported, by product (``cpe:vendor:product`` or ``Debian:12/openssh``)."""

    ranges: Mapping[str, tuple[KnownRange, ...]] = field(default_factory=dict)
    exploited: Mapping[str, Exploitation] = field(default_factory=dict)

    def knows(self, product: Product) -> bool:
        """Whether there are data about the product at all."""
        packages = {name for name, _ in product.packages}
        return any(
            key in self.ranges or key.partition("/")[2] in packages
            for key in (*(f"cpe:{cpe}" for cpe in product.cpes), *self.ranges)
        )

    def matches(self, product: Product, version: str, build: Build | None) -> tuple[Match, ...]:
        """The vulnerabilities of this program, the gravest first.

        Args:
            product: what it is.
            version: its upstream number.
            build: who built it, None where it does not say.
        """
        if not is_release(version):
            return ()
        upstream = self._upstream(product, Release(version))
        advisories = self._advisories(product, version, build) if build else {}
        found = [
            match
            for cve in {**upstream, **advisories}
            if (match := self._match(cve, upstream.get(cve, ()), advisories.get(cve), product, version, build))
        ]
        return tuple(sorted(found, key=lambda match: (-(match.cvss_score or 0), match.cve)))

    def _upstream(self, product: Product, release: Release) -> dict[str, list[KnownRange]]:
        found: dict[str, list[KnownRange]] = defaultdict(list)
        for cpe in product.cpes:
            for known in self.ranges.get(f"cpe:{cpe}", ()):
                if known.has_upstream(release):
                    found[known.cve].append(known)
        return found

    def _advisories(self, product: Product, version: str, build: Build) -> dict[str, list[KnownRange]]:
        """What the distribution says of this package, affected or not, by CVE."""
        found: dict[str, list[KnownRange]] = defaultdict(list)
        if build.distribution not in WITH_ADVISORIES:
            return found
        for package, _ in product.packages:
            for known in self._package(build, package, version):
                found[known.cve].append(known)
        return found

    def _package(self, build: Build, package: str, upstream: str) -> Iterable[KnownRange]:
        if build.release:
            return self.ranges.get(f"{build.distribution}:{build.release}/{package}", ())
        # The greeting does not tell the release. A release keeps its upstream number: those that mended this one.
        releases = [
            ranges
            for key, ranges in self.ranges.items()
            if key.startswith(f"{build.distribution}:") and key.endswith(f"/{package}")
            and any(_upstream_of_package(known.end) == upstream for known in ranges if known.end)
        ]  # fmt: skip
        return releases[0] if len(releases) == 1 else ()

    def _match(
        self,
        cve: str,
        upstream: Iterable[KnownRange],
        advisories: list[KnownRange] | None,
        product: Product,
        version: str,
        build: Build | None,
    ) -> Match | None:
        known = list(upstream)
        if build is None:
            return self._made(cve, Basis.UPSTREAM, known, _fixed_upstream(known))
        package = build.package_version(product, version)
        if not advisories:
            return self._made(cve, Basis.UNKNOWN_REVISION, known, "") if known else None
        if not package:
            fixed = next((advisory.end for advisory in advisories if advisory.end), "")
            return self._made(cve, Basis.UNKNOWN_REVISION, [*known, *advisories], fixed) if known else None
        revision = DebianVersion.from_string(package)
        affected = [advisory for advisory in advisories if advisory.has_package(revision)]
        if not affected:
            return None
        return self._made(cve, Basis.PACKAGE, [*affected, *known], affected[0].end)

    def _made(self, cve: str, basis: Basis, known: list[KnownRange], fixed_in: str) -> Match:
        scored = max(known, key=lambda each: each.cvss_score or -1)
        exploitation = self.exploited.get(cve)
        sources = dict.fromkeys(each.source for each in known)
        if exploitation:
            sources[exploitation.source] = None
        summary = next((each.summary for each in (scored, *known) if each.summary), "")
        return Match(cve, basis, summary, scored.cvss_vector, scored.cvss_score, fixed_in, exploitation, tuple(sources))


def _upstream_of_package(version: str) -> str:
    return version.partition(":")[2].rpartition("-")[0] if ":" in version else version.rpartition("-")[0]


def _fixed_upstream(known: Iterable[KnownRange]) -> str:
    return next((each.end for each in known if each.end and not each.end_included), "")
