"""The limits put under load, one per algorithm: as a policy, and as the textbook limiter it is measured against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perf.gate.local import SUB_WINDOWS
from tests.chaos.judges import Usage
from tests.chaos.limiters import FixedWindow, Limiter, SlidingLog, TokenBucket
from tests.chaos.tables import print_table
from tests.integration.helpers import given_limit


@dataclass(frozen=True, slots=True)
class LimitUnderLoad:
    """``limit`` requests of each address per ``period`` seconds, on a path named after the algorithm."""

    algorithm: str
    limit: int
    period: int
    burst: int | None = None

    @property
    def path(self) -> str:
        return f"/api/{self.algorithm}"

    def save(self) -> None:
        """Make it a policy. Without Redis it denies: a request that no limit decided shows as 503."""
        given_limit(
            self.algorithm,
            route=self.path,
            algorithm=self.algorithm,
            limit=self.limit,
            period=self.period,
            burst=self.burst,
            count_by="ip",
            on_store_error="deny",
        )

    def textbook(self) -> Limiter:
        match self.algorithm:
            case "sliding_window":
                return SlidingLog(self.limit, self.period, grain=self.period / SUB_WINDOWS)
            case "fixed_window":
                return FixedWindow(self.limit, self.period)
            case "token_bucket":
                return TokenBucket(self.limit, self.period, self.burst or self.limit)
        raise ValueError(f"There is no textbook limiter for {self.algorithm!r}; add it to tests/chaos/limiters.py.")


def print_usage(title: str, usages: Iterable[tuple[LimitUnderLoad, Usage]]) -> None:
    """Print what the clients of these limits asked for and got."""
    print_table(
        title,
        [
            "algorithm",
            "limit",
            "clients",
            "requests",
            "admitted",
            "an exact log admits",
            "use",
            "over-admitted",
            "needless",
        ],
        [
            [
                limit.algorithm,
                f"{limit.limit} per {limit.period} s" + (f", burst {limit.burst}" if limit.burst else ""),
                used.clients,
                used.asked,
                used.admitted,
                used.allowance,
                f"{used.share:.1%}",
                used.surplus,
                used.needless,
            ]
            for limit, used in usages
        ],
    )
