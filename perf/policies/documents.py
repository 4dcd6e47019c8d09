"""What a document of policies is: policies by model and name with their fields, in YAML or JSON.

Read without a look at the database: here are names and types; whether a value makes sense is the models' to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from difflib import get_close_matches
from itertools import islice
from typing import Any, Literal

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from perf.models import Policy
from perf.policies import plain_yaml
from perf.policies.revisions import POLICY_MODELS

VERSION = 1
MAX_BYTES = 1024 * 1024
MAX_PROBLEMS = 100

Format = Literal["yaml", "json"]
Fields = Mapping[str, Any]
MODELS = {model.__name__: model for model in POLICY_MODELS}


class InvalidDocument(ValueError):
    """The document cannot be imported; ``problems`` has a sentence for each thing to mend, with policy and field."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Document:
    """Policies as a document states them: model name -> policy name -> fields. A field left out has its default."""

    policies: Mapping[str, Mapping[str, Fields]]

    def text(self, fmt: Format, indent: int | None = 2) -> str:
        """The document in YAML or JSON; JSON without ``indent`` is one line."""
        data = {"version": VERSION, **self.policies}
        if fmt == "yaml":
            return plain_yaml.dump(data)
        return json.dumps(data, indent=indent, ensure_ascii=False) + ("" if indent is None else "\n")


def read(text: str, fmt: Format) -> Document:
    """Read a document of at most `MAX_BYTES`; nothing is looked up.

    Raises:
        InvalidDocument: it cannot be read, or names models or fields that are not there, or has values of a wrong type.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise InvalidDocument([_("The document is larger than 1 MiB; so many policies are a mistake.")])
    data = _parse(text, fmt)
    if not isinstance(data, dict):
        raise InvalidDocument([_("Expected version and policies by model; see what an export looks like.")])
    version = data.pop("version", None)
    if version != VERSION or isinstance(version, bool):
        raise InvalidDocument([_("version: expected %(ours)d, got %(theirs)r.") % {"ours": VERSION, "theirs": version}])
    problems = list(islice(_structure_problems(data), MAX_PROBLEMS))
    if problems:
        raise InvalidDocument(problems)
    return Document({name: data[name] for name in MODELS if name in data})


def own_fields(model: type[Policy]) -> list[Any]:
    """The fields of a policy that a document states: all but primary key and name."""
    return [each for each in model._meta.concrete_fields if not each.primary_key and each.name != "name"]


def about(model: str, name: str, each: str, problem: str) -> str:
    """A sentence about a field of a policy, or about the policy where ``each`` is empty."""
    where = f"{model} {name:.80}: {each:.80}" if each else f"{model} {name:.80}"
    return f"{where}: {problem}"


def _parse(text: str, fmt: Format) -> Any:
    try:
        if fmt == "yaml":
            return plain_yaml.load(text)
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError as error:
        raise InvalidDocument([_("The document is nested too deeply.")]) from error
    except ValueError as error:
        raise InvalidDocument([_("The document cannot be read: %s") % error]) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if not _is_text(key):
            raise ValueError(f"{key!a} is no name")
        if key in mapping:
            raise ValueError(f"{key!r} stands there for the second time; names are unique")
        mapping[key] = value
    return mapping


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _structure_problems(data: Mapping[str, Any]) -> Iterator[str]:
    for model_name, policies in data.items():
        model = MODELS.get(model_name)
        if model is None:
            yield _("There are no policies called %(name)s%(advice)s.") % {
                "name": model_name,
                "advice": _advice(model_name, MODELS),
            }
        elif not isinstance(policies, dict):
            yield _("%s: expected policies by name.") % model_name
        else:
            for name, fields in policies.items():
                yield from _field_problems(model, name, fields)


def _field_problems(model: type[Policy], name: str, fields: Any) -> Iterator[str]:
    if not isinstance(fields, dict):
        yield about(model.__name__, name, "", _("expected fields and their values."))
        return
    known = {each.name: each for each in own_fields(model)}
    for each, value in fields.items():
        if each not in known:
            problem = _("there is no such field%s.") % _advice(each, known)
            yield about(model.__name__, name, each, problem)
        elif expected := _expected(known[each], value):
            problem = _("expected %(expected)s, got %(value)s.") % {
                "expected": expected,
                "value": json.dumps(value, ensure_ascii=True)[:100],
            }
            yield about(model.__name__, name, each, problem)


def _expected(each: Any, value: Any) -> str:
    """What ``each`` takes, where ``value`` is no such thing; else nothing."""
    if value is None:
        return "" if each.null else _("a value")
    match each:
        case models.BooleanField():
            return "" if isinstance(value, bool) else _("true or false")
        case models.IntegerField():
            return "" if isinstance(value, int) and not isinstance(value, bool) else _("a whole number")
        case models.JSONField():
            return "" if isinstance(value, list) and all(map(_is_text, value)) else _("a list of texts")
        case models.DateTimeField():
            return "" if _is_time(value) else _("a time such as 2030-01-31T12:00:00+00:00, with its offset")
    if not _is_text(value):
        return _("text")
    most: int | None = each.max_length
    return _("at most %d characters") % most if most is not None and len(value) > most else ""


def _is_text(value: Any) -> bool:
    """Text that every database keeps: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str) or "\0" in value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _is_time(value: Any) -> bool:
    try:
        time = parse_datetime(value) if isinstance(value, str) else None
        if time is not None and timezone.is_aware(time):
            time.astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return time is not None and timezone.is_aware(time) == settings.USE_TZ


def _advice(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return str(_("; did you mean %s?") % close[0]) if close else ""
