"""Makes a raw line safe to match, store and show: bounded, valid Unicode, no control sequences.

Every parser works on cleaned text only, so no escape sequence reaches a terminal, a database or a page.
"""

from __future__ import annotations

import re

MAX_LINE_BYTES = 8192

_ANSI = re.compile(
    r"\x1b\[[0-?]{0,64}[ -/]{0,16}[@-~]"  # CSI: colours, cursor movement
    r"|\x1b[\]PX^_][^\x07\x1b]{0,256}(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC strings
    r"|\x1b[ -/]{0,16}[0-~]"  # two-character sequences
)
_SPACES = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]")
# C0 and C1 controls, text-direction marks (they reorder what a reader sees), BOM, non-characters, surrogates.
_REMOVED = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


def clean(line: str | bytes) -> tuple[str, bool]:
    """Return the printable text of ``line`` and whether it had to be cut.

    Undecodable bytes become U+FFFD; line breaks and tabs inside the line become spaces; ANSI sequences, NUL
    and other control characters vanish. Text beyond `MAX_LINE_BYTES` (of UTF-8) is dropped.
    """
    raw = line.rstrip("\r\n") if isinstance(line, str) else line.rstrip(b"\r\n")
    if isinstance(raw, str) and len(raw) > MAX_LINE_BYTES // 4 and not raw.isascii():
        raw = raw[: MAX_LINE_BYTES + 1].encode("utf-8", "replace")  # the bound is in bytes
    truncated = len(raw) > MAX_LINE_BYTES
    if truncated:
        raw = raw[:MAX_LINE_BYTES]
    if isinstance(raw, bytes):
        raw = raw.decode("utf-8", "replace")
    return clean_text(raw), truncated


def clean_text(text: str) -> str:
    """Return ``text`` without control sequences; line breaks and tabs inside become spaces."""
    if text.isprintable():  # the common case, decided in C
        return text
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    return _REMOVED.sub("", _SPACES.sub(" ", text))


def bounded(value: object, limit: int = 256) -> str:
    """Return ``value`` as cleaned text of at most ``limit`` characters."""
    return clean_text(str(value))[:limit]
