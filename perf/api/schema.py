"""The OpenAPI description of what `perf` does to every view: refusals as problems, and the headers of each answer.

Set ``DEFAULT_SCHEMA_CLASS`` to `PolicySchema`, and drf-spectacular describes the project's own views with it as well.
"""
# mypy: disallow-untyped-calls=False
# Parts of drf-spectacular are not typed.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent, build_object_type, force_instance, is_serializer
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework.mixins import UpdateModelMixin

from perf.api import schema_parts as parts
from perf.caching.decorator import SETTINGS_ATTRIBUTE

Schema = dict[str, Any]


class PolicySchema(AutoSchema):
    """Adds to each operation the statuses that it can answer beside its own, and the headers of all of them.

    Attributes:
        everywhere: statuses that any operation may answer, whatever it does.
    """

    everywhere: ClassVar[tuple[int, ...]] = (400, 403, 406, 429, 503)

    def get_operation(self, *args: Any, **kwargs: Any) -> Schema | None:
        """The operation, completed."""
        operation: Schema | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        responses = operation["responses"]
        for status in self._refusals(operation):
            responses.setdefault(str(status), {})
        if self._is_cached:
            responses.setdefault("304", {"description": parts.DESCRIPTIONS[304]})
        operation["responses"] = {
            status: self._completed(int(status), response) for status, response in sorted(responses.items())
        }
        return operation

    def _refusals(self, operation: Mapping[str, Any]) -> Iterator[int]:
        yield from self.everywhere
        if self.view.get_authenticators():
            yield 401
        if self._reads_a_body(operation):
            yield from (413, 415)
        if self._can_miss(operation):
            yield 404

    def _reads_a_body(self, operation: Mapping[str, Any]) -> bool:
        return "requestBody" in operation

    def _can_miss(self, operation: Mapping[str, Any]) -> bool:
        """Whether a row, a page or a format is named, which may not be there."""
        return any(
            parameter["in"] == "path" or parameter["name"] in ("cursor", "format")
            for parameter in operation.get("parameters", ())
        )

    @property
    def _is_cached(self) -> bool:
        return hasattr(getattr(self.view, self.method.lower(), None), SETTINGS_ATTRIBUTE)

    def _completed(self, status: int, response: Schema) -> Schema:
        """The response with its headers; errors that the view says nothing of are the same everywhere."""
        description = str(response.get("description") or "")
        if status >= 400:
            if description not in ("", "No response body"):
                return {**self._refusal(status), "description": description}
            name = HTTPStatus(status).phrase.title().replace(" ", "")
            return self._component("responses", name, self._refusal(status))
        headers = {name: self._header(name) for name in self._header_names(status)}
        headers.update(response.get("headers", {}))
        return {**response, "description": description or HTTPStatus(status).phrase, "headers": headers}

    def _refusal(self, status: int) -> Schema:
        return {
            "description": parts.DESCRIPTIONS[status],
            "content": {parts.PROBLEM_TYPE: {"schema": self._component("schemas", "Problem", parts.PROBLEM)}},
            "headers": {name: self._header(name) for name in self._header_names(status)},
        }

    def _header(self, name: str) -> Schema:
        return self._component("headers", name, parts.HEADERS[name])

    def _header_names(self, status: int) -> Iterator[str]:
        yield from parts.EVERY_RESPONSE
        yield from parts.BY_STATUS.get(status, ())
        if self._is_cached and status in (200, 304):
            yield from parts.CACHED

    def _component(self, kind: str, name: str, schema: Schema) -> Schema:
        """A reference to a component, which is registered when it is first asked for."""
        component = ResolvedComponent(name, kind, schema, object=name)
        self.registry.register_on_missing(component)
        reference: Schema = component.ref
        return reference

    def _get_request_for_media_type(self, serializer: Any, direction: str = "request") -> tuple[Any, bool]:
        """The schema of a body, and whether there has to be one.

        Only DRF's own update takes part of a body for the whole; other views that PATCH validate what they are sent.
        """
        is_whole = self.method == "PATCH" and not isinstance(self.view, UpdateModelMixin)
        is_part = self.method == "PATCH" and not is_whole
        if is_whole:
            self.method = "PUT"
        try:
            schema, is_required = super()._get_request_for_media_type(serializer, direction)
        finally:
            if is_whole:
                self.method = "PATCH"
        return schema, is_required or (not is_part and _needs_something(serializer))


def _request_schema(serializer: Any) -> Schema:
    schema: Schema = getattr(serializer, "request_schema", {})
    return schema


def _needs_something(serializer: Any) -> bool:
    """Whether an empty body is refused."""
    if isinstance(serializer, PolymorphicProxySerializer) or not is_serializer(serializer):
        return True
    fields = getattr(force_instance(serializer), "fields", {})
    return bool(_request_schema(serializer)) or any(field.required and not field.read_only for field in fields.values())


class StrictRequests(OpenApiSerializerExtension):
    """Requests that are read by a `StrictSerializer` have no fields but its own, and obey its ``request_schema``."""

    target_class = "perf.api.serializers.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: str) -> Schema:
        """The serializer's schema, closed."""
        schema: Schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        if direction == "request":
            schema["additionalProperties"] = False
            schema.update(_request_schema(self.target))
        return schema


class Texts(OpenApiSerializerFieldExtension):
    """White space alone is no text, unless a field takes empty ones as well."""

    target_class = "perf.api.fields.Text"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """A string."""
        schema: Schema = auto_schema._map_serializer_field(self.target, direction, bypass_extensions=True)
        if direction == "request" and self.target.trim_whitespace and not self.target.allow_blank:
            schema.setdefault("pattern", r"\S")
        return schema


class Results(OpenApiSerializerFieldExtension):
    """The result of a job."""

    target_class = "perf.api.serializers.ResultField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """An object of any form, or null."""
        return {
            "type": ["object", "null"],
            "additionalProperties": {},
            "description": "What came of it; its members depend on the type. Null until it is completed.",
        }


class Submissions(OpenApiSerializerExtension):
    """What may be submitted: one alternative for each job type of the project, with its own parameters."""

    target_class = "perf.api.serializers.SubmissionSerializer"
    priority = 1

    def map_serializer(self, auto_schema: Any, direction: str) -> Schema:
        """``type`` tells which one it is."""
        from perf.jobs.registry import find_job_type, job_type_names

        alternatives = []
        for job_type in filter(None, map(find_job_type, job_type_names())):
            name = job_type.name
            params = auto_schema.resolve_serializer(job_type.params, direction)
            if params:
                params.schema["additionalProperties"] = False
            needed = ["type", "params"] if params and params.schema.get("required") else ["type"]
            alternatives.append(self._alternative(auto_schema, name, params.ref if params else _NO_PARAMS, needed))
        return {"oneOf": alternatives}

    def _alternative(self, auto_schema: Any, name: str, params: Schema, required: list[str]) -> Schema:
        title = "".join(word.capitalize() for word in name.split("_"))
        schema = build_object_type(
            properties={"type": {"type": "string", "const": name}, "params": params}, required=required
        )
        schema["additionalProperties"] = False
        component = ResolvedComponent(f"{title}Submission", ResolvedComponent.SCHEMA, schema, object=name)
        auto_schema.registry.register_on_missing(component)
        reference: Schema = component.ref
        return reference


_NO_PARAMS: Schema = {"type": "object", "additionalProperties": False}
