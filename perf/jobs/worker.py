"""RQ's worker with shorter intervals, work-horses that die with it, and a recovery process at its side."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
from typing import Any

from django import db
from rq import Worker

from perf.jobs import run
from perf.jobs.recovery import RecoveryLoop

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1


class PerfWorker(Worker):
    """A worker for `manage.py rqworker`. Each job runs in a forked work-horse, as with RQ."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("job_monitoring_interval", 5)
        kwargs.setdefault("maintenance_interval", 60)
        super().__init__(*args, **kwargs)
        self._recovery_pid = 0

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Run recovery beside the worker for as long as it works."""
        self._start_recovery()
        try:
            return bool(super().work(*args, **kwargs))
        finally:
            self._stop_recovery()

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """RQ calls this often; a recovery process that died is replaced here."""
        if self._recovery_pid and os.waitpid(self._recovery_pid, os.WNOHANG)[0]:
            log.warning("The recovery process died; starting another.")
            self._start_recovery()
        super().heartbeat(*args, **kwargs)

    def main_work_horse(self, *args: Any, **kwargs: Any) -> None:
        """In the work-horse: die with the worker, share none of its connections, and own the process."""
        self._recovery_pid = 0
        die_with_parent()
        db.connections.close_all()
        run.owns_process = True
        super().main_work_horse(*args, **kwargs)

    def _start_recovery(self) -> None:
        db.connections.close_all()
        worker = os.getpid()
        self._recovery_pid = os.fork()
        if self._recovery_pid:
            return
        status = 1
        try:
            die_with_parent(worker)
            RecoveryLoop().run()
            status = 0
        except Exception:
            log.exception("Recovery failed.")
        finally:
            os._exit(status)

    def _stop_recovery(self) -> None:
        if self._recovery_pid:
            os.kill(self._recovery_pid, signal.SIGTERM)
            os.waitpid(self._recovery_pid, 0)
            self._recovery_pid = 0


def die_with_parent(parent: int | None = None) -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere leases alone bound what an orphan can do."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != (parent or os.getppid()):
        os._exit(1)  # the parent died before the request
