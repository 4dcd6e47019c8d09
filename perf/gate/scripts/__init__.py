"""Loads the Lua scripts beside this file. ``--@include name.lua`` on a line of its own puts another file there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files

_INCLUDE = re.compile(r"^ *--@include (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script with its includes, and the SHA-1 by which Redis knows it."""

    name: str
    source: str
    sha: str


@cache
def load_script(name: str) -> Script:
    """Read ``name``.lua."""
    source = with_includes(_read(f"{name}.lua"))
    return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def with_includes(source: str) -> str:
    """``source`` with the files it includes."""
    return _INCLUDE.sub(lambda match: _read(match[1]), source)


def _read(file_name: str) -> str:
    return files(__package__).joinpath(file_name).read_text("utf-8")
