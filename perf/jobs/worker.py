"""RQ's worker with shorter intervals, work-horses that die with it, and a recovery process at its side."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import uuid
from typing import Any

from django import db
from rq import Worker

from perf.conf import setting
from perf.jobs import run, states
from perf.jobs.horse import WorkHorse, limit_memory
from perf.jobs.policy import terms_for
from perf.jobs.publish import RUN_JOB
from perf.jobs.recovery import RecoveryLoop
from perf.models import Job, JobPolicy

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1


class PerfWorker(Worker):
    """A worker for `manage.py rqworker`. Each job runs in a forked work-horse, as with RQ."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("job_monitoring_interval", 5)
        kwargs.setdefault("maintenance_interval", 60)
        super().__init__(*args, **kwargs)
        self._recovery_pid = 0
        self._horse = WorkHorse()
        self._watched = ""
        self._wait_status: int | None = None

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Run recovery beside the worker for as long as it works."""
        self._start_recovery()
        warm_up()
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

    def execute_job(self, job: Any, queue: Any) -> None:
        """Run one message of RQ in a work-horse."""
        self._watched = str(job.args[0]) if job.func_name == RUN_JOB else ""
        self._horse.attempt = 0
        db.connections.close_all()  # the work-horse must not inherit them
        super().execute_job(job, queue)

    def main_work_horse(self, *args: Any, **kwargs: Any) -> None:
        """In the work-horse: die with the worker, share none of its connections, and own the process."""
        self._recovery_pid = 0
        die_with_parent()
        db.connections.close_all()
        limit_memory(int(setting("JOB_MEMORY_BYTES")))
        if self._watched:
            run.begin(self._horse, self._watched)
        super().main_work_horse(*args, **kwargs)

    def wait_for_horse(self) -> tuple[Any, Any, Any]:
        """Wait for the work-horse's end, with an eye on the row of its job."""
        if self._watched:
            self._horse.await_end(self.horse_pid, self._watched, self.kill_horse)
        ended = super().wait_for_horse()
        self._wait_status = ended[1]
        return ended

    def monitor_work_horse(self, *args: Any, **kwargs: Any) -> None:
        """Wait as RQ does; a job whose work-horse was killed is taken back at once, not when its lease is over."""
        self._wait_status = None
        try:
            super().monitor_work_horse(*args, **kwargs)
        finally:
            if self._watched and self._wait_status:
                self._settle(self._wait_status)

    def _settle(self, wait_status: int) -> None:
        try:
            self._horse.settle(self._watched, wait_status)
        except db.DatabaseError as error:
            log.warning("Job %s is taken back when its lease is over: %s", self._watched, error)
            db.connections.close_all()

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


def warm_up() -> None:
    """Do once what every work-horse begins with, and keep the garbage collector from touching what is there.

    A work-horse shares the worker's memory until it writes to it; what is imported and compiled here, it need not.
    """
    try:
        states.claim(str(uuid.uuid4()))
        Job.objects.select_related("submitted_by").first()
        terms_for(JobPolicy.ALL_TYPES)
    except db.DatabaseError as error:
        log.warning("The database cannot be asked yet: %s", error)
    db.connections.close_all()
    gc.collect()
    gc.freeze()


def die_with_parent(parent: int | None = None) -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere leases alone bound what an orphan can do."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != (parent or os.getppid()):
        os._exit(1)  # the parent died before the request
