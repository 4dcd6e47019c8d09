from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securenet.security.scanner.banners import MAX_BANNER, MAX_FIELD, field, readable


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "SSH-2.0-OpenSSH_9.2p1"),
        (b"220-line one\r\n220 line two\r\n", "220-line one 220 line two"),
        (b"\x1b[31;1mred\x1b[0m", "red"),
        (b"\x1b]0;new window title\x07text", "text"),
        (b"\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1bP1;2|payload\x1b\\after", "after"),
        (b"\x1bcreset", "reset"),
        (b"\x1b(0text", "text"),
        (b"before\x1b[2J\x1b[Hafter", "beforeafter"),
        (b"\x9b31mred", "red"),
        (b"back\x08\x08\x7fspace\x00null", "backspacenull"),
        ("grüße".encode(), "grüße"),
        (b"gr\xfc\xdfe", "grüße"),
        ("grüß".encode()[:-1], "grü"),
        ("user\u202egnp.exe".encode(), "usergnp.exe"),
        ("zero\u200bwidth\ufeff".encode(), "zerowidth"),
        (b"\xff\xfd\x18login: ", "ÿýlogin:"),
    ],
)
def test_bytes_become_one_safe_line(data: bytes, text: str):
    assert readable(data) == text


def test_length_is_bounded():
    assert len(readable(b"A" * 100_000)) == MAX_BANNER
    assert len(field(b"A" * 100_000)) == MAX_FIELD
    assert field(None) == ""


@settings(max_examples=500, deadline=None, database=None)
@given(st.binary(max_size=3000) | st.text(max_size=3000))
def test_nothing_invisible_or_long_comes_through(data: bytes | str):
    text = readable(data)
    assert len(text) <= MAX_BANNER
    assert not [character for character in text if unicodedata.category(character).startswith(("C", "Zl", "Zp"))]
    text.encode()


@pytest.mark.parametrize("piece", [b"\x1b[", b"\x1b]", b"\x1b", b"\x1b[0", b"\x9b;;;;", b"\x1bP\x1b", b" \t"])
def test_no_sequence_takes_long(piece: bytes):
    began = time.perf_counter()
    readable(piece * 100_000)
    assert time.perf_counter() - began < 5  # backtracking takes minutes
