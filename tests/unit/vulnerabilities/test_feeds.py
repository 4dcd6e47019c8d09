"""What is read out of the files of NVD, OSV and CISA, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from securenet.vulnerabilities.feeds import AffectedRange, Exploited, FeedKind, NotAFeed, Record, Withdrawn, read_feed
from tests.unit.vulnerabilities.feed_files import CRITICAL, NGINX, OPENSSH, affected, kev, nvd, nvd_cve, osv, written

SSH = "cpe:openbsd:openssh"


def ranges_of(folder: Path, *matches: dict[str, Any]) -> tuple[AffectedRange, ...]:
    (record,) = read_feed(written(folder, nvd(nvd_cve("CVE-2026-1001", *matches)))).entries
    assert isinstance(record, Record)
    return record.ranges


class TestNvd:
    def test_what_it_says_of_a_product_we_know(self, tmp_path: Path) -> None:
        entry = nvd_cve("CVE-2026-1001", affected(versionEndExcluding="9.8"), score=9.8, vector=CRITICAL)
        feed = read_feed(written(tmp_path, nvd(entry)))
        assert (feed.kind, feed.read) == (FeedKind.NVD, 1)
        assert feed.published_at == datetime(2026, 10, 1, tzinfo=UTC)
        (record,) = feed.entries
        assert record == Record(
            identifier="CVE-2026-1001",
            cves=("CVE-2026-1001",),
            summary="What CVE-2026-1001 is.",
            published=datetime(2026, 7, 1, 13, 15, 6, 467000, tzinfo=UTC),
            ranges=(AffectedRange(SSH, end="9.8"),),
            cvss_vector=CRITICAL,
            cvss_score=9.8,
        )

    def test_bounds_of_all_kinds(self, tmp_path: Path) -> None:
        assert ranges_of(
            tmp_path,
            affected(versionStartIncluding="8.5", versionEndExcluding="9.8"),
            affected(versionStartExcluding="1", versionEndIncluding="2"),
            affected(OPENSSH.replace(":*", ":7.1", 1)),
            affected(OPENSSH.replace(":*:*", ":8.5:p1", 1)),
            affected(NGINX, versionStartIncluding="1.3"),
        ) == (
            AffectedRange(SSH, "8.5", "9.8"),
            AffectedRange(SSH, "1", "2", start_included=False, end_included=True),
            AffectedRange(SSH, "7.1", "7.1", end_included=True),
            AffectedRange(SSH, "8.5p1", "8.5p1", end_included=True),
            AffectedRange("cpe:f5:nginx", "1.3"),
        )

    @pytest.mark.parametrize(
        "matches",
        [
            [affected(vulnerable=False, versionEndExcluding="9.8")],  # the platform, not the culprit
            [affected("cpe:2.3:a:nobody:knows:*:*:*:*:*:*:*:*", versionEndExcluding="9.8")],
            [affected()],  # every version for ever says nothing
            [affected("cpe:2.3:a:open\\:bsd:openssh:*:*:*:*:*:*:*:*", versionEndExcluding="9.8")],
            [],
        ],
    )
    def test_what_is_left_out(self, tmp_path: Path, matches: list[dict[str, Any]]) -> None:
        feed = read_feed(written(tmp_path, nvd(nvd_cve("CVE-2026-1001", *matches))))
        assert (feed.read, feed.entries) == (1, ())

    def test_a_rejected_one_is_withdrawn(self, tmp_path: Path) -> None:
        rejected = nvd_cve("CVE-2026-1001", affected(versionEndExcluding="9.8"), vulnStatus="Rejected")
        assert read_feed(written(tmp_path, nvd(rejected))).entries == (Withdrawn("CVE-2026-1001"),)

    def test_the_score_of_an_older_scheme_where_there_is_no_newer(self, tmp_path: Path) -> None:
        metrics = {"cvssMetricV2": [{"type": "Primary", "cvssData": {"vectorString": "AV:N/AC:L", "baseScore": 7.5}}]}
        entry = nvd_cve("CVE-2026-1001", affected(versionEndExcluding="9.8"), metrics=metrics)
        (record,) = read_feed(written(tmp_path, nvd(entry))).entries
        assert isinstance(record, Record)
        assert (record.cvss_vector, record.cvss_score) == ("AV:N/AC:L", 7.5)


class TestOsv:
    def test_what_a_distribution_says_of_its_package(self, tmp_path: Path) -> None:
        records = [
            osv("CVE-2026-1001", "openssh", "Debian:12", {"fixed": "1:9.2p1-2+deb12u3"}),
            osv("CVE-2026-1002", "nginx", "Ubuntu:22.04:LTS", {"last_affected": "1.18.0-6ubuntu14"}),
            osv("CVE-2026-1003", "openssh", "Debian:13"),
            osv("CVE-2026-1004", "emacs", "Debian:12", {"fixed": "1"}),
            osv("CVE-2026-1005", "openssh", "PyPI", {"fixed": "1"}),
            osv("CVE-2026-1006", "openssh", "Debian:12", withdrawn="2026-10-01T00:00:00Z"),
        ]
        feed = read_feed(written(tmp_path, records, "all.zip"))
        assert (feed.kind, feed.read) == (FeedKind.OSV, 6)
        assert feed.published_at == datetime(2026, 10, 5, 10, tzinfo=UTC)
        *kept, last = feed.entries
        assert [(record.cves, record.ranges) for record in kept if isinstance(record, Record)] == [
            (("CVE-2026-1001",), (AffectedRange("Debian:12/openssh", end="1:9.2p1-2+deb12u3"),)),
            (("CVE-2026-1002",), (AffectedRange("Ubuntu:22.04/nginx", end="1.18.0-6ubuntu14", end_included=True),)),
            (("CVE-2026-1003",), (AffectedRange("Debian:13/openssh"),)),
        ]
        assert last == Withdrawn("DEBIAN-CVE-2026-1006")

    @pytest.mark.parametrize("is_list", [True, False])
    def test_as_json(self, tmp_path: Path, is_list: bool) -> None:
        record = osv("CVE-2026-1001", "openssh", "Debian:12", {"fixed": "2"})
        feed = read_feed(written(tmp_path, [record, record] if is_list else record))
        assert (feed.kind, len(feed.entries)) == (FeedKind.OSV, 2 if is_list else 1)

    def test_several_stretches_of_one_branch(self, tmp_path: Path) -> None:
        record = osv("CVE-2026-1001", "openssh", "Debian:12", {"fixed": "2"}, {"introduced": "3"}, {"fixed": "4"})
        (entry,) = read_feed(written(tmp_path, record)).entries
        assert isinstance(entry, Record)
        assert [(each.start, each.end) for each in entry.ranges] == [("", "2"), ("3", "4")]

    def test_a_vulnerability_that_is_only_related_does_not_count(self, tmp_path: Path) -> None:
        record = osv("CVE-2026-1001", "openssh", "Debian:12", related=["CVE-2026-1002"], aliases=["CVE-2026-1003"])
        (entry,) = read_feed(written(tmp_path, record)).entries
        assert isinstance(entry, Record)
        assert entry.cves == ("CVE-2026-1001", "CVE-2026-1003")


class TestKev:
    def test_its_entries(self, tmp_path: Path) -> None:
        feed = read_feed(written(tmp_path, kev("CVE-2026-1001"), "known.json.gz"))
        assert (feed.kind, feed.published_at) == (FeedKind.KEV, datetime(2026, 10, 10, 15, tzinfo=UTC))
        expected = Exploited("CVE-2026-1001", date(2026, 7, 9), date(2026, 7, 30), True, "Name of CVE-2026-1001")
        assert feed.entries == (expected,)


class TestWhatIsNoFeed:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"hello",
            b"{}",
            b"[1, 2]",
            b'{"some": "json"}',
            b"PK\x03\x04 broken",
            b"\x1f\x8b broken",
            b"{" * 100_000,
            b'{"a":' * 100_000,
        ],
    )
    def test_is_refused_with_what_it_should_be(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "feed"
        path.write_bytes(content)
        with pytest.raises(NotAFeed, match="cannot be read as vulnerability data"):
            read_feed(path)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(NotAFeed):
            read_feed(tmp_path / "missing")

    def test_a_file_that_breaks_off(self, tmp_path: Path) -> None:
        path = written(
            tmp_path, nvd(*(nvd_cve(f"CVE-2026-{1000 + n}", affected(versionEndExcluding="1")) for n in range(99)))
        )
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(NotAFeed):
            read_feed(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_values_of_the_wrong_type_are_as_good_as_absent(tmp_path: Path, data: st.DataObject) -> None:
    """Each value of a good record replaced by another: nothing but `NotAFeed` is ever raised."""
    record = data.draw(
        st.sampled_from(
            [
                nvd(nvd_cve("CVE-2026-1001", affected(versionEndExcluding="9.8"))),
                osv("CVE-2026-1001", "openssh", "Debian:12", {"fixed": "1"}),
                kev("CVE-2026-1001"),
            ]
        )
    )
    broken = json.loads(json.dumps(record))
    at: Any = broken
    while True:
        key = data.draw(st.sampled_from(list(at) if isinstance(at, dict) else list(range(len(at)))))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.booleans()):
            at[key] = data.draw(json_values)
            break
        at = at[key]
    with suppress(NotAFeed):
        read_feed(written(tmp_path, broken))
