"""Entries come back exactly as stored, and nothing else comes back at all."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from perf.caching.entry import Entry, make_entry, open_entry, seal_entry

header = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
header_lists = st.lists(st.tuples(header, header), max_size=5)


def stored(entry: Entry, key: str, tags: bytes = b"a b") -> bytes:
    """The entry as ``store_entry.lua`` writes it."""
    head = struct.pack(">BBdddd16sH", 2, 0, 1.0, 2.0, 3.0, -1.0, entry.etag, len(tags))
    return head + tags + seal_entry(entry, key)


@given(st.integers(200, 599), header_lists, st.binary(max_size=300), st.binary(max_size=20))
def test_what_was_stored_is_opened_unchanged(
    status: int, headers: list[tuple[str, str]], body: bytes, tags: bytes
) -> None:
    entry = make_entry(status, headers, body)
    assert open_entry(stored(entry, "key", tags), "key") == entry


@given(st.binary(max_size=100), st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_makes_it_a_miss(body: bytes, position: int, change: int) -> None:
    blob = bytearray(stored(make_entry(200, [("A", "b")], body), "key"))
    position %= len(blob)
    blob[position] ^= change
    opened = open_entry(bytes(blob), "key")
    # Times and tags in the head are Redis' own; everything a client gets is sealed.
    assert opened is None or opened == make_entry(200, [("A", "b")], body)


@given(st.binary(max_size=200))
def test_garbage_is_a_miss_and_never_an_exception(blob: bytes) -> None:
    assert open_entry(blob, "key") is None


@given(st.integers(min_value=0))
def test_an_entry_cut_short_is_a_miss(length: int) -> None:
    blob = stored(make_entry(200, [], b"body"), "key")
    assert open_entry(blob[: length % len(blob)], "key") is None


def test_an_entry_under_another_key_is_a_miss() -> None:
    blob = stored(make_entry(200, [], b"alice's"), "alice")
    assert open_entry(blob, "bob") is None


@given(st.binary(max_size=300), st.integers(1, 40))
def test_compression_changes_nothing_but_the_size(body: bytes, times: int) -> None:
    entry = make_entry(200, [], body * times, compress=True)
    opened = open_entry(stored(entry, "key"), "key")
    assert opened == entry
    assert opened.plain_body() == body * times
    assert len(entry.body) <= len(body) * times
    assert entry.etag == make_entry(200, [], body * times).etag


def test_equal_contents_have_equal_etags_and_others_do_not() -> None:
    assert make_entry(200, [], b"a").etag == make_entry(200, [], b"a").etag
    assert make_entry(200, [], b"a").etag != make_entry(200, [("X", "a")], b"").etag


def test_entries_share_the_headers_they_have_in_common() -> None:
    entries = [make_entry(200, [("Content-Type", "application/json"), ("X-Own", own)], b"") for own in "ab"]
    first, second = (open_entry(stored(entry, "key"), "key") for entry in entries)
    assert first is not None and second is not None
    assert first.headers[0] is second.headers[0]
    assert (first.headers[1], second.headers[1]) == (("X-Own", "a"), ("X-Own", "b"))
