"""YAML as plain data, both ways: mappings, lists, text, whole numbers, true, false and null; no more is read.

Read from the parser's events, so nothing is ever constructed from a tag, and no alias makes a text larger than it is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

MAX_DEPTH = 16
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


class NotPlain(ValueError):
    """The text is no YAML, or more than plain data; the message says where."""


def load(text: str) -> Any:
    """Read one document. Keys are text, whatever they look like; only ``true`` and ``false`` are booleans.

    Raises:
        NotPlain: it cannot be read, has anchors, aliases, tags or a key twice, or is nested deeper than `MAX_DEPTH`.
    """
    try:
        events = (event for event in yaml.parse(text, Loader=_PARSER) if not isinstance(event, _STREAM))
        value = _value(next(events, None), events, MAX_DEPTH)
        for surplus in events:
            _refuse(surplus, "there is a second document; write one")
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise NotPlain(f"{where}{error.problem or error.context}") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise NotPlain(f"this is no YAML: {error}") from error
    return value


def dump(data: Any) -> str:
    """Write ``data`` so that `load` gives it back: keys in their order, lists in one line, text in lines as it is."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)
    return text


_STREAM = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)


def _value(event: Any, events: Iterator[Any], depth: int) -> Any:
    if event is None:
        return None
    if isinstance(event, yaml.AliasEvent):
        _refuse(event, "aliases (*name) are not read; write the value out")
    if event.anchor:
        _refuse(event, "anchors (&name) are not read; leave them out")
    if event.tag is not None:
        _refuse(event, f"tags such as {event.tag} are not read; leave them out")
    if isinstance(event, yaml.ScalarEvent):
        return event.value if event.style else _plain(event.value)
    if depth == 0:
        _refuse(event, f"this is nested deeper than {MAX_DEPTH} levels")
    if isinstance(event, yaml.SequenceStartEvent):
        return [_value(item, events, depth - 1) for item in _until(yaml.SequenceEndEvent, events)]
    mapping: dict[str, Any] = {}
    for key in _until(yaml.MappingEndEvent, events):
        if not isinstance(key, yaml.ScalarEvent) or key.anchor or key.tag is not None:
            _refuse(key, "a key has to be plain text")
        if key.value in mapping:
            _refuse(key, f"{key.value!r} stands here for the second time; names are unique")
        mapping[key.value] = _value(next(events), events, depth - 1)
    return mapping


def _until(end: type[Any], events: Iterator[Any]) -> Iterator[Any]:
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _NUMBER.fullmatch(text) else text


def _refuse(event: Any, why: str) -> NoReturn:
    raise NotPlain(f"line {event.start_mark.line + 1}: {why}")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def write_list(self, data: list[Any]) -> yaml.Node:
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)

    def write_text(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=_style_of(text))


def _style_of(text: str) -> str | None:
    """Lines stand as lines where that keeps every character, else everything unusual is escaped."""
    lines = text.split("\n")
    if not all(line.isprintable() and line == line.rstrip() for line in lines) or text != text.strip():
        return '"'
    return "|" if len(lines) > 1 else None


_Dumper.add_representer(list, _Dumper.write_list)
_Dumper.add_representer(str, _Dumper.write_text)
