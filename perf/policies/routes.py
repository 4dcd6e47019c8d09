"""Routes: what a policy matches. Pure; matching takes time linear in path and pattern, whatever the pattern.

A route is ``*`` (every request), a path pattern that starts with ``/`` and in which ``*`` stands for any run of
characters (also ``/``), the name of a Django view such as ``security:findings``, or ``scope:uploads`` for the DRF
views whose ``throttle_scope`` is ``uploads``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

MAX_LENGTH = 200
SCOPE_ROUTE = "scope:"
_VIEW_NAME = re.compile(r"[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)*")
_PATH = re.compile(r"/[\x21-\x7e]*")


class InvalidRoute(ValueError):
    """The text is no route; the message says what would be one."""


class RouteKind(Enum):
    """How a route is looked up."""

    ANY = "any"  # every request
    EXACT = "exact"  # one path
    PREFIX = "prefix"  # one star, at the end
    GLOB = "glob"  # stars elsewhere
    VIEW = "view"  # the name of a view


@dataclass(frozen=True, slots=True)
class Route:
    """A parsed route: ``text`` as written, ``kind``, and ``key``, the part that a look-up compares."""

    text: str
    kind: RouteKind
    key: str

    def matches(self, path: str, view_name: str) -> bool:
        """Say whether a request for ``path``, resolved to ``view_name``, is on this route."""
        match self.kind:
            case RouteKind.ANY:
                return True
            case RouteKind.EXACT:
                return path == self.key
            case RouteKind.PREFIX:
                return path.startswith(self.key)
            case RouteKind.VIEW:
                return view_name == self.key
            case RouteKind.GLOB:
                return _glob_matches(self.key, path)

    @property
    def fixed_segments(self) -> frozenset[str]:
        """The segments of a path pattern that have no star; every path that matches has them, too."""
        return frozenset(part for part in self.key.split("/") if part and "*" not in part)


def parse_route(text: str) -> Route:
    """Parse ``text``; raise `InvalidRoute` with advice where it is no route."""
    if text == "*":
        return Route(text, RouteKind.ANY, "")
    if len(text) > MAX_LENGTH:
        raise InvalidRoute(f"A route has at most {MAX_LENGTH} characters; this one has {len(text)}.")
    if text.startswith("/"):
        if not _PATH.fullmatch(text):
            raise InvalidRoute(f"{text!r} has spaces or characters outside ASCII; write them percent-encoded.")
        # Requests are matched by their decoded path.
        parts = [unquote(part) for part in text.split("*")]
        if len(parts) == 1:
            return Route(text, RouteKind.EXACT, parts[0])
        if any("*" in part for part in parts):
            raise InvalidRoute(f"{text!r} has a percent-encoded star beside plain ones; write a plain one for it too.")
        if len(parts) == 2 and not parts[1]:
            return Route(text, RouteKind.PREFIX, parts[0])
        return Route(text, RouteKind.GLOB, "*".join(parts))
    if _VIEW_NAME.fullmatch(text):
        return Route(text, RouteKind.VIEW, text)
    raise InvalidRoute(
        f"{text!r} is no route. Write a path pattern such as /api/security/*, "
        "a view name such as security:findings, or * for every request."
    )


def _glob_matches(pattern: str, path: str) -> bool:
    """Match ``*`` greedily from the left, part by part: no backtracking, so no pattern is slow."""
    first, *middle, last = pattern.split("*")
    if not path.startswith(first) or not path.endswith(last) or len(path) < len(first) + len(last):
        return False
    position, end = len(first), len(path) - len(last)
    for part in middle:
        found = path.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
