"""Turns bytes a stranger sent into text that is safe to store, log and show.

Nothing of what a peer sent goes anywhere else before it went through here.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_BANNER: Final = 1024  # bytes kept of what a service says
MAX_FIELD: Final = 120  # characters of a product name, a version, a header in evidence

# ECMA-48: CSI and OSC/DCS/PM/APC sequences, then other escapes. Bounded, so that no text is slow to clean.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,256}(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]{0,8}[0-~]?"
)
_SPACES = re.compile(r"\s+")


def readable(data: bytes | str, limit: int = MAX_BANNER) -> str:
    """One line of at most `limit` printable characters, without controls, terminal escapes or line breaks.

    Bytes are read as UTF-8 if they are, else as Latin-1, in which every byte is some character.
    """
    text = _decoded(data[: limit * 4])
    without_escapes = _ESCAPES.sub("", text)
    spaced = _SPACES.sub(" ", without_escapes)
    return "".join(character for character in spaced if _is_shown(character))[:limit].strip()


def field(data: bytes | str | None) -> str:
    """A short piece of such text: a product name, a version."""
    return "" if data is None else readable(data, MAX_FIELD)


def readable_lines(data: bytes, limit: int) -> str:
    """Such text with its line breaks, at most `limit` characters: the beginning of a page or a file."""
    kept = (readable(line, limit) for line in data[: limit * 4].splitlines())
    return "\n".join(kept)[:limit]


def _decoded(data: bytes | str) -> str:
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        is_cut_off = error.reason == "unexpected end of data"
        return data[: error.start].decode("utf-8") if is_cut_off else data.decode("latin-1")


def _is_shown(character: str) -> bool:
    # Categories C*: controls, invisible format characters (which can reverse text), surrogates, unassigned.
    return unicodedata.category(character)[0] != "C"
