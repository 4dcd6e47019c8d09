"""The order of upstream version numbers: `9.2 < 9.2p1 < 9.2.1 < 9.10`, and `1.0rc1 < 1.0`. Pure."""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Final

MAX_LENGTH: Final = 64
_PARTS = re.compile(r"[0-9]+|[a-z]+")
_BEFORE_RELEASE: Final = {"dev": 0, "pre": 1, "preview": 1, "alpha": 2, "a": 2, "beta": 3, "b": 3, "rc": 4}
# A single letter names a patch (OpenSSL 1.0.2k), unless a number follows it (1.0b2); "p" is a patch anyhow.
_ALONE: Final = frozenset({"a", "b"})

_Part = tuple[int, int, str]
_END: Final[_Part] = (1, 0, "")


@total_ordering
class Release:
    """A version number, compared part by part: numbers as numbers, words as words.

    Words for what comes before a release (alpha, beta, rc, pre, dev) sort before its end, others after it. Zeros at
    the end, or before a word, say nothing: `2.4` equals `2.4.0`.

    Args:
        text: the number, at most `MAX_LENGTH` characters of it count.
    """

    __slots__ = ("_parts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = _parts(text[:MAX_LENGTH].lower())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Release) and self._parts == other._parts

    def __lt__(self, other: Release) -> bool:
        return self._parts < other._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    def __str__(self) -> str:
        return self.text


def is_release(text: str) -> bool:
    """Whether the text begins as a version number does."""
    return text[:1].isascii() and text[:1].isdigit()


def _parts(text: str) -> tuple[_Part, ...]:
    words = _PARTS.findall(text)
    parts: list[_Part] = []
    for place, word in enumerate(words):
        if word.isdigit():
            parts.append((3, int(word), ""))
            continue
        _drop_zeros(parts)
        is_last = place + 1 == len(words)
        rank = None if word in _ALONE and is_last else _BEFORE_RELEASE.get(word)
        parts.append((2, 0, word) if rank is None else (0, rank, ""))
    _drop_zeros(parts)
    return (*parts, _END)


def _drop_zeros(parts: list[_Part]) -> None:
    while len(parts) > 1 and parts[-1] == (3, 0, ""):
        parts.pop()
