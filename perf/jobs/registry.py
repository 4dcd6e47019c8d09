"""Job types: what can be submitted, with which parameters, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from perf.models import JobPolicy

if TYPE_CHECKING:
    from perf.jobs.running import RunningJob

JobFunction = Callable[["RunningJob", dict[str, Any]], Mapping[str, Any] | None]
Authorise = Callable[[Any, dict[str, Any]], None]


class NoParams(serializers.Serializer[Any]):
    """For job types without parameters: any parameter is refused."""


@dataclass(frozen=True, slots=True)
class JobType:
    """A registered job type. ``authorise(user, params)`` raises where the submitter may not ask for this."""

    name: str
    function: JobFunction
    params: type[serializers.Serializer[Any]]
    queue: str
    authorise: Authorise | None
    unique: bool

    def validated(self, params: Any) -> dict[str, Any]:
        """``params`` as JSON data that the type accepts; raises DRF's ValidationError naming each field."""
        if not isinstance(params, Mapping):
            raise serializers.ValidationError({"params": "Expected an object."})
        unknown = sorted(set(params) - set(self.params().fields))
        if unknown:
            raise serializers.ValidationError({"params": dict.fromkeys(unknown, f"Unknown parameter of {self.name}.")})
        serializer = self.params(data=params)
        if not serializer.is_valid():
            raise serializers.ValidationError({"params": serializer.errors})
        representation: dict[str, Any] = dict(serializer.to_representation(serializer.validated_data))
        return {name: value for name, value in representation.items() if value is not None}


_types: dict[str, JobType] = {}


def job_type(
    name: str,
    *,
    params: type[serializers.Serializer[Any]] = NoParams,
    queue: str = "default",
    authorise: Authorise | None = None,
    unique: bool = False,
) -> Callable[[JobFunction], JobFunction]:
    """Register the function that carries out jobs of type ``name``; its module is ``<app>/jobs.py``.

    Args:
        params: a DRF serializer; what it accepts is stored as JSON and given to the function.
        queue: one of RQ_QUEUES.
        authorise: called with submitter and parameters at submission; raises to refuse.
        unique: identical jobs that wait or run are joined.

    Raises:
        ValueError: the name is taken by another function, or is the one of the policy of all types.
    """
    if name == JobPolicy.ALL_TYPES:
        raise ValueError(f"{name!r} names all job types together; choose another name for {name!r}.")

    def register(function: JobFunction) -> JobFunction:
        known = _types.get(name)
        if known is not None and known.function.__qualname__ != function.__qualname__:
            raise ValueError(f"Job type {name!r} is registered twice: {known.function} and {function}.")
        _types[name] = JobType(name, function, params, queue, authorise, unique)
        return function

    return register


def find_job_type(name: str) -> JobType | None:
    """The job type of that name, if there is one."""
    return _types.get(name)


def job_type_names() -> list[str]:
    """All registered names, sorted."""
    return sorted(_types)
