"""When a service that died is started again, and when it is given up. Pure: times come in as arguments."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RestartIn:
    """Start it again after ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It cannot be kept alive: ``deaths`` deaths within ``window`` seconds."""

    deaths: int
    window: float


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """The first death is answered at once, the next ones after a delay that doubles.

    Attributes:
        first_delay: Seconds before the second restart within ``window``.
        longest_delay: Seconds no delay exceeds.
        window: Seconds for which a death counts.
        max_deaths: Deaths within ``window`` that make it give up; None: never.
    """

    first_delay: float = 0.5
    longest_delay: float = 30.0
    window: float = 60.0
    max_deaths: int | None = None

    def after(self, deaths: Sequence[float], now: float) -> RestartIn | GiveUp:
        """Decide about a service that died at the times ``deaths`` (seconds on the clock of ``now``)."""
        recent = sum(1 for died_at in deaths if now - died_at < self.window)
        if self.max_deaths is not None and recent >= self.max_deaths:
            return GiveUp(recent, self.window)
        if recent <= 1:
            return RestartIn(0.0)
        return RestartIn(min(self.first_delay * 2 ** (recent - 2), self.longest_delay))
