"""Starts SecureNet's processes in order, keeps them alive, replaces them when asked to, and stops them in reverse.

Either all of them run (or are being restarted, which is said), or none does: every way out of `run` ends in `_stop`.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import socket

from securenet.run import lifeline, listener, preflight, rolling
from securenet.run.child import Child
from securenet.run.config import PROJECT_DIR, RunConfig
from securenet.run.draining import HAND_OVER
from securenet.run.logs import cut_long_logs
from securenet.run.messages import READY, CannotRun, complain, log_excerpt, say
from securenet.run.readiness import NotReady, Ready, readiness, registered_workers
from securenet.run.redis_server import RedisServer
from securenet.run.restart import RestartPolicy
from securenet.run.service import Service
from securenet.run.wakeup import StopRequested, Wakeup

# What nothing works without: a SecureNet that cannot keep it alive ends.
VITAL = RestartPolicy(max_deaths=5)
# For job workers, once they have worked: no job is lost while they are away, so they are tried for ever.
PATIENT = RestartPolicy()

READY_WITHIN = 120.0  # seconds; so long may Redis read its file, or the whole be unready after the start
STOP_GRACE = 7.0  # seconds that each part gets to end in order
LOOK_AT_LOGS_EVERY = 60.0  # seconds


class Supervisor:
    """One run of SecureNet.

    Args:
        config: What is to be run.
        wakeup: Told of signals; installed by the caller.
    """

    def __init__(self, config: RunConfig, wakeup: Wakeup) -> None:
        self.config = config
        self.wakeup = wakeup
        self.redis: RedisServer | None = None
        self.redis_url = ""
        self.services: list[Service] = []
        self.workers: list[Service] = []
        self.web: Service | None = None
        self.listening: list[socket] = []
        self.turnout = rolling.Turnout()
        self.leaving: list[Child] = []  # replaced; they finish what they have begun
        self.steps: list[Child] = []
        self.first_start: Child | None = None

    def run(self) -> int:
        """Run until a stop is requested or something vital cannot be kept alive; returns the exit code."""
        lifeline.adopt_orphans()
        code = 0
        try:
            self._start()
            self._keep_alive()
        except StopRequested:
            say("Stopping …")
        except CannotRun as error:
            complain(str(error))
            code = 1
        finally:
            self._stop()
        if code == 0:
            say("SecureNet has stopped.")
        return code

    # Starting

    def _start(self) -> None:
        config = self.config
        preflight.prepare_data_dir(config)
        preflight.lock_data_dir(config.data_dir)
        cut_long_logs(config.log_dir)
        preflight.check_port(config.host, config.port)
        self._start_redis()
        say("Preparing the database, static files and first-time setup …")
        self._run_step("preparation", "securenet.run.prepare", verb="started")
        say(f"Starting the web server ({config.web_workers} processes) and {config.job_workers} job workers …")
        self.listening = listener.listen(config.host, config.port, config.web_workers)
        self.web = self._supervise(self._new_web_server())
        self.workers = [self._supervise(self._new_worker(number)) for number in range(1, config.job_workers + 1)]
        self._await_readiness()
        for worker in self.workers:
            worker.policy = PATIENT
        say(READY.format(url=config.url))
        self.first_start = self._manage("first start", "first-start", "first_start")
        self.first_start.start()

    def _start_redis(self) -> None:
        if jobs_url := self.config.jobs_redis_url:
            say(f"Redis for jobs: {preflight.check_redis(jobs_url, 'JOBS_REDIS_URL')}, given by JOBS_REDIS_URL.")
        if self.config.redis_url:
            self.redis_url = self.config.redis_url
            say(f"Redis: {preflight.check_redis(self.redis_url, 'REDIS_URL')}, given by REDIS_URL.")
            return
        server = RedisServer(self.config.data_dir / "redis", log_path=self.config.log_dir / "redis.log")
        say(f"Redis: {server.binary.release}, started on {server.socket_path}.")
        if server.socket_path.parent != server.data_dir:
            say(f"For manage.py in another terminal: export REDIS_URL='{server.url}'")
        self.redis, self.redis_url = server, server.url
        server.launch()
        deadline = time.monotonic() + READY_WITHIN
        while not server.ping():
            if not server.child.is_running:
                raise CannotRun(server.why_it_ended())
            if time.monotonic() > deadline:
                raise CannotRun(f"Redis does not answer.\n{log_excerpt(server.log_path)}")
            self.wakeup.wait(0.01)
        self.services.append(Service(server.child, server.launch, VITAL, server.log_path))

    def _run_step(self, name: str, *arguments: str, verb: str) -> None:
        step = self._python(name, None, "-m", *arguments)
        self.steps.append(step)
        step.start()
        while step.is_running:
            self._wait(1.0)
        if step.poll() != 0:
            raise CannotRun(f"SecureNet was not {verb}: the {name} failed ({step.how_it_ended()}), see above.")

    def _supervise(self, service: Service) -> Service:
        service.launch()
        self.services.append(service)
        return service

    def _new_web_server(self) -> Service:
        inherits = [self.turnout.descriptor, *(listening.fileno() for listening in self.listening)]
        variables = {**listener.described(self.listening), **self.turnout.variables}
        child = self._python("web server", "web", "-m", "securenet.run.web", variables=variables)
        return self._service(child, partial(child.start, inherits))

    def _new_worker(self, number: int) -> Service:
        child = self._manage(f"job worker {number}", f"worker-{number}", "rqworker")
        return self._service(child, child.start)

    def _service(self, child: Child, launch: Callable[[], None]) -> Service:
        return Service(child, launch, VITAL, child.log or Path(os.devnull))

    def _manage(self, name: str, log: str, command: str) -> Child:
        return self._python(name, log, "-m", "securenet.run.tethered", str(PROJECT_DIR / "manage.py"), command)

    def _python(self, name: str, log: str | None, *arguments: str, variables: Mapping[str, str] | None = None) -> Child:
        return Child(
            name,
            [sys.executable, *arguments],
            log=self.config.log_dir / f"{log}.log" if log else None,
            environment={**self.config.child_environment(self.redis_url), **(variables or {})},
            directory=PROJECT_DIR,
        )

    def _await_readiness(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while True:
            pids = [worker.child.pid for worker in self.workers]
            match readiness(self.config, self._jobs_redis_url, pids):
                case Ready():
                    return
                case NotReady(reason) if time.monotonic() > deadline:
                    logs = {service.log: None for service in self.services}
                    raise CannotRun(
                        f"SecureNet is not ready after {READY_WITHIN:g} s: {reason}.\n"
                        + "\n".join(log_excerpt(log) for log in logs)
                    )
            self._wait(0.1)

    @property
    def _jobs_redis_url(self) -> str:
        return self.config.jobs_redis_url or self.redis_url

    # Running

    def _keep_alive(self) -> None:
        logs_due = time.monotonic() + LOOK_AT_LOGS_EVERY
        while True:
            self._tend()
            self._see_to_first_start()
            if self.wakeup.is_restart_requested:
                self.wakeup.is_restart_requested = False
                self._replace_all()
            now = time.monotonic()
            if now >= logs_due:
                cut_long_logs(self.config.log_dir)
                logs_due = now + LOOK_AT_LOGS_EVERY
            restarts = [service.restart_at for service in self.services if service.restart_at is not None]
            self.wakeup.wait(min([logs_due, *restarts]) - now)

    def _tend(self) -> None:
        now = time.monotonic()
        for service in self.services:
            service.tend(now)
        for child in [child for child in self.leaving if not child.is_running]:
            child.kill_group()
            self.leaving.remove(child)
        self._bury_adopted()

    def _wait(self, seconds: float) -> None:
        """Let ``seconds`` pass, or less, and see that everything runs."""
        self.wakeup.wait(seconds)
        self._tend()

    # Restarting

    def _replace_all(self) -> None:
        """Replace the web server and each job worker, one after another; what cannot be replaced stays."""
        say("Restarting: preparing the database and static files …")
        try:
            self._run_step("preparation", "securenet.run.prepare", verb="restarted")
        except CannotRun as error:
            complain(str(error))
            return
        new_web = self._new_web_server()
        done = [
            self._replace(
                self.web,
                new_web,
                lambda: self.turnout.workers_of(new_web.child.pid) >= self.config.web_workers,
                HAND_OVER,
            )
            if self.web
            else True
        ]
        for number, worker in enumerate(self.workers, start=1):
            new = self._new_worker(number)
            done.append(self._replace(worker, new, partial(self._is_on_duty, new.child), signal.SIGTERM))
        say("SecureNet has been restarted." if all(done) else "SecureNet goes on with what could not be replaced.")

    def _is_on_duty(self, worker: Child) -> bool:
        return worker.pid in registered_workers(self._jobs_redis_url)

    def _replace(self, service: Service, new: Service, is_ready: Callable[[], bool], farewell: signal.Signals) -> bool:
        old = rolling.replace(service, new, is_ready=is_ready, farewell=farewell, within=READY_WITHIN, wait=self._wait)
        if old is not None:
            self.leaving.append(old)
        return old is not None

    def _see_to_first_start(self) -> None:
        if self.first_start is not None and not self.first_start.is_running:
            if self.first_start.poll() != 0 and self.first_start.log is not None:
                complain(
                    f"The first scan and analysis were not submitted ({self.first_start.how_it_ended()}).\n"
                    f"{log_excerpt(self.first_start.log)}"
                )
            self.first_start = None

    def _bury_adopted(self) -> None:
        """Take note of the end of orphans that came to us, without touching the children we started."""
        if not hasattr(os, "waitid"):
            return  # a system on which orphans do not come to us either
        ours = {child.pid for child in self._children()}
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None or ended.si_pid in ours:
                return  # one of ours: its own `poll` sees to it, and then the next look goes on
            os.waitpid(ended.si_pid, 0)

    def _children(self) -> Iterator[Child]:
        yield from self.steps
        yield from (service.child for service in self.services)
        yield from self.leaving
        if self.redis is not None:
            yield self.redis.child
        if self.first_start is not None:
            yield self.first_start

    # Stopping

    def _stop(self) -> None:
        """Stop workers, then the web server, then Redis; then whatever is left below this process."""
        helpers = [*self.steps, *([self.first_start] if self.first_start else [])]
        self._stop_children([*helpers, *self.leaving, *(worker.child for worker in self.workers)])
        self._stop_children([self.web.child] if self.web else [])
        if self.redis is not None:
            self._stop_children([self.redis.child])
            self.redis.forget_socket()
        self._sweep()

    def _stop_children(self, children: list[Child]) -> None:
        running = [child for child in children if child.is_running]
        for child in running:
            child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_GRACE
        while any(child.is_running for child in running):
            if self.wakeup.is_hurried or time.monotonic() > deadline:
                break
            self.wakeup.doze(0.1)
        for child in running:
            if child.is_running:
                complain(f"{child.name} did not end in time and is killed.")
            child.kill()

    def _sweep(self) -> None:
        """Kill every process that still descends from this one."""
        deadline = time.monotonic() + STOP_GRACE
        while (left := lifeline.descendants(os.getpid())) and time.monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.wakeup.doze(0.05)
            self._bury_adopted()
