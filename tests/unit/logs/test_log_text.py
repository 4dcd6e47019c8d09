"""Cleaning of raw lines: bounded, valid Unicode, nothing that acts on a terminal or page."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securenet.logs.parsers.text import MAX_LINE_BYTES, clean, clean_text


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("plain text", "plain text"),
        ("caf\u00e9 \u4f60\u597d", "caf\u00e9 \u4f60\u597d"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07body", "body"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\x00b", "ab"),
        ("a\tb\nc\rd", "a b c d"),
        ("bell\x07 back\x08", "bell back"),
        ("one\u2028two\x85three", "one two three"),
        ("evil\u202etxt.exe", "eviltxt.exe"),
        ("\ufeffmark", "mark"),
        ("half \ud800 pair", "half  pair"),
        ("\x9b31mC1", "31mC1"),
    ],
)
def test_control_sequences_vanish_and_line_breaks_become_spaces(raw: str, cleaned: str) -> None:
    assert clean_text(raw) == cleaned


def test_broken_utf8_is_replaced_not_refused() -> None:
    assert clean(b"caf\xe9 \xff\xfe") == ("caf\ufffd \ufffd\ufffd", False)


def test_a_line_end_is_no_part_of_the_line() -> None:
    assert clean(b"line\r\n") == ("line", False)
    assert clean("line\r\n") == ("line", False)


@pytest.mark.parametrize("character", ["a", "\u00e9", "\u4f60", "\U0001f600"])
@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_line_is_cut_at_8_kib_of_utf8(character: str, as_bytes: bool) -> None:
    line = character * MAX_LINE_BYTES
    text, truncated = clean(line.encode() if as_bytes else line)
    size = len(character.encode())
    assert len(text.rstrip("\ufffd")) == MAX_LINE_BYTES // size
    assert truncated == (size > 1)


def test_one_byte_more_than_the_bound_is_cut() -> None:
    assert clean("a" * (MAX_LINE_BYTES + 1)) == ("a" * MAX_LINE_BYTES, True)
    assert clean(b"a" * (MAX_LINE_BYTES + 1)) == ("a" * MAX_LINE_BYTES, True)


@given(st.one_of(st.text(st.characters(codec=None)), st.binary()))
@settings(deadline=None)
def test_cleaned_text_can_be_stored_and_shown(raw: str | bytes) -> None:
    text, _ = clean(raw)
    text.encode("utf-8")  # no lone surrogates
    assert not [character for character in text if unicodedata.category(character) == "Cc"]
