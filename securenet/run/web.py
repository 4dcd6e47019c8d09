"""The web server process: Granian serving `securenet.wsgi` (`python -m securenet.run.web`).

Granian's workers are forks of this process, made when the application has been loaded: a worker that died is replaced
in a moment. New code therefore needs a new process like this one, which takes over while this one drains.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from socket import socket
from types import FrameType
from typing import Any

from granian import Granian
from granian._granian import SocketHolder  # Granian's own servers start from descriptors with it
from granian.constants import Interfaces

from securenet.run import access_log, allocator, lifeline, listener, rolling
from securenet.run.config import RunConfig
from securenet.run.draining import HAND_OVER, Application, Draining
from securenet.run.slow_bodies import SlowBodies

# Seconds that a web worker gets to finish its requests; less than the supervisor's patience with this process.
WORKER_GRACE = 5
# Seconds in which clients that keep connections alive have asked once more, and been told to close them.
DRAIN_SECONDS = 5
# Seconds for requests that still run then. Nobody waits for the end of a server that has handed over.
LAST_GRACE = 60


class WebServer(Granian):
    """Granian on sockets that are there already, one for each worker.

    Args:
        listening: the sockets; where there are fewer than workers, some share one.
        application: what is served.
    """

    def __init__(self, listening: list[socket], application: Application, **options: Any) -> None:
        super().__init__(target="securenet.wsgi:application", interface=Interfaces.WSGI, **options)
        self.listening = listening
        self.application = application
        self.is_draining = False

    def serve(self, *_: Any, **__: Any) -> None:
        signal.signal(HAND_OVER, self._hand_over)
        super().serve(target_loader=lambda: self.application, wrap_loader=False)

    def _init_shared_socket(self) -> None:
        """Nothing to open."""

    def _drop_shared_socket(self) -> None:
        """Nothing to close: the sockets are still in use by others."""

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> Any:
        mine = self.listening[idx % len(self.listening)]
        self._ssp, self._shd, self._sso = None, SocketHolder(mine.fileno(), False, listener.BACKLOG), mine
        return super()._spawn_worker(idx, target, partial(self._begin_worker, mine))

    def _begin_worker(self, listening: socket) -> Callable[..., Any]:
        """What a worker does first."""
        draining = Draining(SlowBodies(self.application, readers=max(self.blocking_threads // 2, 1)), listening)
        draining.begin_on_signal()
        rolling.say_here(os.environ)
        return draining

    def _hand_over(self, signum: int, frame: FrameType | None) -> None:
        if self.is_draining:
            return
        self.is_draining = True
        self.workers_kill_timeout = LAST_GRACE
        for worker in self.wrks:
            os.kill(worker._id(), HAND_OVER)
        end = threading.Timer(DRAIN_SECONDS, self.signal_handler_interrupt)
        end.daemon = True
        end.start()


def logging_config(log_dir: Path) -> dict[str, Any]:
    """Granian's own messages go to standard output, requests to ``access.log``."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {"format": "%(asctime)s [%(levelname)s] %(message)s"},
            "combined": {"()": access_log.CombinedFormatter},
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stdout"},
            "access": {
                "class": "logging.FileHandler",
                "formatter": "combined",
                "filename": str(log_dir / "access.log"),
                "encoding": "ascii",
            },
        },
        "loggers": {
            "_granian": {"handlers": ["console"], "level": "INFO", "propagate": False},
            "granian.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
        },
    }


def main() -> None:
    config = RunConfig.from_environment()
    # Only forks can be tied to this process; newer Pythons start multiprocessing children in other ways.
    multiprocessing.set_start_method("fork")
    lifeline.forks_die_with_parent()
    allocator.settle()
    # A worker that is still loading has the handlers of this process, which would do nothing there.
    os.register_at_fork(after_in_child=_forget_handlers)
    listening = listener.inherited(os.environ) or listener.listen(config.host, config.port, config.web_workers)
    from securenet.wsgi import application

    WebServer(
        listening,
        application,
        address=config.host,
        port=config.port,
        workers=config.web_workers,
        blocking_threads=config.web_threads,
        respawn_failed_workers=True,
        workers_kill_timeout=WORKER_GRACE,
        log_dictconfig=logging_config(config.log_dir),
        log_access=True,
        log_access_format=access_log.FIELDS,
    ).serve()


def _forget_handlers() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(HAND_OVER, signal.SIG_DFL)


if __name__ == "__main__":
    main()
