from __future__ import annotations

import hashlib
import inspect
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from securenet.security.scanner.fingerprint import fingerprint
from securenet.security.scanner.issue import Issue, Severity

parts = st.tuples(
    st.text(max_size=6),
    st.text(max_size=6),
    st.sampled_from(["tcp", "udp"]),
    st.none() | st.integers(1, 65535),
    st.text(max_size=6),
    st.text(max_size=6),
)


def test_it_is_the_sha256_of_its_length_prefixed_parts():
    expected = hashlib.sha256(b"7:asset-19:open-port3:tcp2:220:0:").hexdigest()
    assert fingerprint("asset-1", "open-port", "tcp", 22) == expected


def test_every_part_counts_and_parts_do_not_run_together():
    kinds = [
        fingerprint("a", "b", "tcp", 1),
        fingerprint("ab", "", "tcp", 1),
        fingerprint("", "ab", "tcp", 1),
        fingerprint("a", "b", "tcp", None),
        fingerprint("a", "b", "udp", 1),
        fingerprint("a", "b", "tcp", 1, "c"),
        fingerprint("a", "b", "tcp", 1, "", "c"),
        fingerprint("a", "b", "tcp", 11),
        fingerprint("a", "b", "tcp1", None),
    ]
    assert all(left != right for left, right in itertools.combinations(kinds, 2))


@settings(max_examples=300, deadline=None, database=None)
@given(parts, parts)
def test_two_fingerprints_are_equal_only_for_equal_parts(left: tuple, right: tuple):
    assert (fingerprint(*left) == fingerprint(*right)) == (left == right)


def test_rating_and_wording_do_not_change_the_identity_of_an_issue():
    first = Issue("check", 443, "Old title", Severity.LOW, "text", "advice", component="x")
    reworded = Issue("check", 443, "New title", Severity.HIGH, "other", "other", {"seen": 1}, 50, component="x")
    assert first.fingerprint("asset") == reworded.fingerprint("asset")
    assert first.fingerprint("asset") == fingerprint("asset", "check", "tcp", 443, "x")
    assert "severity" not in inspect.signature(fingerprint).parameters
