"""Upstream version numbers are ordered as their makers mean them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securenet.vulnerabilities.releases import Release

numbers = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}((rc|p|b|beta)[0-9]|[a-z])?", fullmatch=True).map(Release)


@pytest.mark.parametrize(
    "ascending",
    [
        ["2.4.9", "2.4.10", "2.4.57", "2.5", "10.0"],
        ["8.5", "8.5p1", "8.9p1", "9.2p1", "9.8p1", "9.10"],
        ["1.0alpha", "1.0b2", "1.0-rc1", "1.0rc2", "1.0", "1.0a", "1.0b", "1.0.1"],
        ["1.0.2", "1.0.2k", "1.0.2l", "1.1.0"],
        ["1.3.8", "1.3.8a", "1.3.8b", "1.3.9rc1", "1.3.9"],
    ],
)
def test_in_this_order(ascending: list[str]) -> None:
    releases = [Release(text) for text in ascending]
    assert [release.text for release in sorted(releases)] == ascending
    assert all(one < other for one, other in pairwise(releases))


@pytest.mark.parametrize(("one", "other"), [("2.4", "2.4.0"), ("9.2P1", "9.2p1"), ("1.0-rc1", "1.0rc1"), ("0", "0.0")])
def test_the_same(one: str, other: str) -> None:
    assert Release(one) == Release(other)
    assert hash(Release(one)) == hash(Release(other))


@given(numbers, numbers, numbers)
def test_the_order_is_one(a: Release, b: Release, c: Release) -> None:
    assert (a < b) + (b < a) + (a == b) == 1
    if a <= b <= c:
        assert a <= c


@given(st.text(max_size=200))
def test_whatever_a_greeting_says_has_a_place(text: str) -> None:
    assert Release(text) == Release(text)
