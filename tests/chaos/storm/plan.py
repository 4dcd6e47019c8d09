"""What is put under load, and what the judges measure it by."""

from __future__ import annotations

from dataclasses import dataclass

WEB_PROCESSES = 3
JOB_WORKERS = 2
REDIS_TIMEOUT = 2.0  # seconds; a busy test machine is not a Redis that hangs

ROLES = ("platform_owner", "security_admin", "soc_analyst", "viewer")
USERS_PER_ROLE = 2
PASSWORD = "storm-Passw0rd"

ALGORITHMS = ("sliding_window", "fixed_window", "token_bucket")
LIMITED = tuple(f"/api/{algorithm}" for algorithm in ALGORITHMS)
"""A path for each; the limits are in `tests.chaos.storm.limits`. Without Redis they deny."""
OPEN, OPEN_BASE = "/api/open", 1_000_000
"""The policy that is edited: edit n sets its limit to ``OPEN_BASE`` + n. Without Redis it allows."""
LOCAL, LOCAL_LIMIT, LOCAL_PERIOD = "/api/local", 6, 1
"""Without Redis each process admits its share."""

TTL = 2  # seconds, of the storm's own cached views
CACHED = {"mine": "user", "role": "role", "everyone": "everyone", "cookie": "everyone"}
"""The cached views, by whom their policies share them."""

NOTICED_SECONDS = 1.5  # the promise is one second after Redis is back; a busy machine gets half a one more
CALM_SECONDS = 2.0  # until everything is as before: a breaker closed, a process replaced
LONGEST_SECONDS = 15.0  # for any request; against hanging, not a measure of speed
DATABASE_SECONDS = 25.0  # the same where the database is locked: SQLite itself waits for 20 s


@dataclass(frozen=True, slots=True)
class StormPlan:
    """How long, and by which seed."""

    seed: int
    seconds: float


def user_name(role: str, number: int) -> str:
    """The name of a user of the storm, who has this one role."""
    return f"{role.replace('_', '-')}-{number}"
