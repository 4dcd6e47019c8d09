"""A child that has to stay alive, with the memory of its deaths that decides about the next restart."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from securenet.run.child import Child
from securenet.run.messages import CannotRun, complain, log_excerpt
from securenet.run.restart import GiveUp, RestartIn, RestartPolicy


@dataclass(slots=True)
class Service:
    """Keeps one child running.

    Attributes:
        child: The process.
        launch: Starts it, without waiting for it to be of use.
        policy: When it is started again.
        log: Where it writes.
        deaths: When it died, on the supervisor's clock; only the latest matter.
        restart_at: When it is to be started again; None: it is running, as far as we know.
    """

    child: Child
    launch: Callable[[], None]
    policy: RestartPolicy
    log: Path
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=20))
    restart_at: float | None = None

    def tend(self, now: float) -> None:
        """Notice a death, or start again what is due.

        Raises:
            CannotRun: It dies too often to go on.
        """
        if self.restart_at is None and not self.child.is_running:
            self._note_death(now)
        if self.restart_at is not None and self.restart_at <= now:
            self.launch()
            self.restart_at = None

    def _note_death(self, now: float) -> None:
        self.child.kill_group()
        self.deaths.append(now)
        ended = f"{self.child.name} ended ({self.child.how_it_ended()})"
        match self.policy.after(self.deaths, now):
            case RestartIn(seconds):
                when = f"in {seconds:g} s" if seconds else "at once"
                complain(f"{ended}; starting it again {when}. Its log: {self.log}")
                self.restart_at = now + seconds
            case GiveUp(deaths, window):
                raise CannotRun(
                    f"{ended}, {deaths} times within {window:g} s. SecureNet cannot run without it and stops.\n"
                    f"{log_excerpt(self.log)}"
                )
