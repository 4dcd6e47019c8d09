"""What can go wrong with jobs. Refusals at submission are problems for the client; the others end a run."""

from __future__ import annotations

from perf.problems import Problem


class QueueFull(Problem):
    """No room for another job; nothing was stored. ``retry_after`` in seconds."""

    def __init__(self, what: str, capacity: int, retry_after: int) -> None:
        super().__init__(
            503,
            "Queue full",
            f"{capacity} jobs {what} are waiting or running, which is all there may be. Try again in {retry_after} s.",
            type="https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
            headers={"Retry-After": str(retry_after)},
        )


class UnknownJobType(Problem):
    """There is no such job type."""

    def __init__(self, name: str, known: list[str]) -> None:
        detail = f"{name!r} is no job type; these are: {', '.join(known)}."
        super().__init__(
            400,
            "Unknown job type",
            detail,
            errors=[{"field": "type", "detail": detail, "code": "unknown_job_type"}],
        )


class JobTypeDisabled(Problem):
    """An admin has switched the type off."""

    def __init__(self, name: str) -> None:
        super().__init__(403, "Job type disabled", f"Jobs of type {name} are switched off by their policy.")


class JobForbidden(Problem):
    """The submitter has none of the roles the policy asks for."""

    def __init__(self, name: str, roles: list[str]) -> None:
        super().__init__(403, "Forbidden", f"Jobs of type {name} may be submitted by: {', '.join(roles)}.")


class IdempotencyMismatch(Problem):
    """The key was used for another request."""

    def __init__(self) -> None:
        super().__init__(
            422,
            "Idempotency key reused",
            "This Idempotency-Key came with another body before; use a new key.",
        )


class JobFailed(Exception):
    """Raised by a job that cannot succeed however often it is tried; the message is kept as its error."""


class JobStopped(BaseException):
    """The run must end and write nothing more: the job was cancelled, timed out, or given to another worker.

    A BaseException, so that code which catches Exception does not swallow it.
    """


class LeaseLost(JobStopped):
    """Another worker holds the job, or it has ended; this one may write nothing."""


class JobCancelled(JobStopped):
    """Somebody cancelled the job."""


class JobTimedOut(JobStopped):
    """The run took longer than its policy allows."""
