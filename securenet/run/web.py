"""The web server process: Granian serving `securenet.wsgi` (`python -m securenet.run.web`).

Granian's workers are forks of this process, so what is set up here holds in each of them.
"""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import Interfaces

from securenet.run import access_log, lifeline
from securenet.run.config import RunConfig

# Seconds that a web worker gets to finish its requests; less than the supervisor's patience with this process.
WORKER_GRACE = 5


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
    # A worker that is still loading has the handler of this process, which would do nothing there.
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    Granian(
        target="securenet.wsgi:application",
        address=config.host,
        port=config.port,
        interface=Interfaces.WSGI,
        workers=config.web_workers,
        blocking_threads=config.web_threads,
        respawn_failed_workers=True,
        workers_kill_timeout=WORKER_GRACE,
        log_dictconfig=logging_config(config.log_dir),
        log_access=True,
        log_access_format=access_log.FIELDS,
    ).serve()


if __name__ == "__main__":
    main()
