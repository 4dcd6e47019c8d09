"""The commands that the files in deploy/ name, carried out with the environment that the Compose file gives them."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from securenet.run.config import PROJECT_DIR
from tests.servers.ports import free_port
from tests.servers.postgres import is_available, postgres_server
from tests.servers.redis import redis_server
from tests.servers.securenet import until
from tests.unit import deployment

pytestmark = pytest.mark.slow

NAME = deployment.GIVEN["ALLOWED_HOSTS"]
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""
SERVICES = deployment.compose()["services"]


class Deployed:
    """Database, Redis and a data folder as the image has it, for commands that are started as in a container."""

    def __init__(self, database_url: str, redis_url: str, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        (data_dir / "log").mkdir(parents=True)
        (data_dir / "log" / "access.log").symlink_to("/dev/stdout")
        self.environment = {
            **deployment.image_environment(),
            **SERVICES["web"]["environment"],
            "PATH": os.environ["PATH"],
            "SECURENET_DATA_DIR": str(data_dir),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "REDIS_TIMEOUT": "2",  # a busy test machine is not a Redis that hangs
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
        }

    def start(self, words: list[str], **more: str) -> subprocess.Popen[str]:
        """Start a command of the image, whose folder /app is this checkout."""
        command = [str(PROJECT_DIR / word.removeprefix("/app/")) if "/app/" in word else word for word in words[1:]]
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=PROJECT_DIR, env={**self.environment, **more},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, words: list[str], **more: str) -> tuple[int, str]:
        """Run a command to its end; returns its exit code and what it said."""
        process = self.start(words, **more)
        said, _ = process.communicate(timeout=180)
        return process.returncode, said

    def ask(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers={"Host": NAME, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def is_live(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return self.ask("/livez")[0] == 200
        return False


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if is_available():
        with postgres_server() as url:
            yield url
    else:
        yield f"sqlite:///{tmp_path_factory.mktemp('database') / 'securenet.sqlite3'}"


@pytest.fixture(scope="module")
def deployed(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Before and after the migrations of this version, in that order."""
    with redis_server(tcp=True) as redis:
        site = Deployed(database_url, redis.url, tmp_path_factory.mktemp("securenet"))
        wait = deployment.pod_of(deployment.manifest("Deployment", "securenet-web"))["initContainers"][0]["command"]
        assert site.run(wait)[0] != 0, "pods would start before the migrations"
        code, said = site.run(SERVICES["migrate"]["command"])
        assert code == 0, said
        assert site.run(wait)[0] == 0
        yield site


@contextmanager
def running(site: Deployed, words: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = site.start(words)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


def test_migrations_of_an_up_to_date_site_write_no_file(deployed: Deployed) -> None:
    """So the container's file system may be read-only: static files are in the image."""
    before = files(deployed.data_dir)
    code, said = deployed.run(SERVICES["migrate"]["command"])
    assert code == 0, said
    assert "up to date" in said
    assert files(deployed.data_dir) == before
    assert any(path.suffix == ".css" for path in before)


def test_web_server_is_ready_serves_and_ends_in_order(deployed: Deployed) -> None:
    check = SERVICES["web"]["healthcheck"]["test"][1:]
    assert deployed.run(check)[0] == 1
    with running(deployed, SERVICES["web"]["command"]) as web:
        until(deployed.is_live, 60, lambda: f"exit code {web.poll()}")
        status, body = deployed.ask("/readyz")
        assert (status, b'"degraded"' in body) == (200, True), body
        assert deployed.run(check) == (0, "")
        assert deployed.ask("/login")[0] == 301
        assert deployed.ask("/login", {"X-Forwarded-Proto": "https"})[0] == 200
        web.send_signal(signal.SIGTERM)
        said, _ = web.communicate(timeout=60)
    assert web.returncode == 0, said
    assert re.search(r'"GET /readyz HTTP/1.1" 200', said), "the access log is the container's output"
    assert sorted(path.name for path in (deployed.data_dir / "log").iterdir()) == ["access.log"]


def test_worker_reports_for_duty_and_ends_in_order(deployed: Deployed) -> None:
    check = SERVICES["worker"]["healthcheck"]["test"][1:]
    assert deployed.run(check)[0] == 1
    with running(deployed, SERVICES["worker"]["command"]) as worker:
        until(lambda: deployed.run(check)[0] == 0, 60, lambda: f"exit code {worker.poll()}")
        worker.send_signal(signal.SIGTERM)
        said, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0, said
    assert deployed.run(check)[0] == 1


def test_pod_that_leaves_serves_until_nobody_asks_and_then_drains(deployed: Deployed) -> None:
    container = deployment.pod_of(deployment.manifest("Deployment", "securenet-web"))["containers"][0]
    hook = container["lifecycle"]["preStop"]["exec"]["command"]
    with running(deployed, container["command"]) as web:
        until(deployed.is_live, 60, lambda: f"exit code {web.poll()}")
        kept = http.client.HTTPConnection("127.0.0.1", deployed.port, timeout=30)
        before_stop = deployed.start([*hook, str(web.pid)])
        told_to_close = False
        while not told_to_close:
            assert before_stop.poll() is None, "the hook ended, and the client that keeps its connection was not told"
            kept.request("GET", "/livez", headers={"Host": NAME})
            answer = kept.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"status": "ok"}')
            told_to_close = answer.will_close
            time.sleep(0.05)
        said, _ = before_stop.communicate(timeout=30)
        assert (before_stop.returncode, web.poll()) == (0, None), said
        web.send_signal(signal.SIGTERM)  # what the kubelet does when the hook has ended
        assert web.wait(30) == 0


def test_web_servers_of_systemd_are_replaced_without_failing_a_request(deployed: Deployed) -> None:
    """As `systemctl restart` does it, one after the other: the socket stays open, and both accept from it."""
    (start,) = deployment.unit("securenet-web@.service")["ExecStart"]
    (farewell,) = deployment.unit("securenet-web@.service")["KillSignal"]
    words = start.split()[1:]
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", deployed.port), backlog=1024))
        servers = [stack.enter_context(activated(deployed, words, listening)) for _ in range(2)]
        until(deployed.is_live, 60, lambda: f"exit codes {[server.poll() for server in servers]}")
        with constant_requests(deployed) as answers:
            for number, server in enumerate(servers):
                server.send_signal(signal.Signals[farewell])
                assert server.wait(60) == 0
                servers[number] = stack.enter_context(activated(deployed, words, listening))
            seen = answers.total()
            until(lambda: answers.total() > seen + 100, 60, lambda: f"{answers}")
    assert set(answers) == {"kept 200", "fresh 200"}


@contextmanager
def constant_requests(site: Deployed) -> Iterator[Counter[str]]:
    """Two clients that keep their connection, and two that do not; none asks twice. Yields what they got."""
    answers: Counter[str] = Counter()
    is_over = threading.Event()

    def client(kind: str) -> None:
        connection: http.client.HTTPConnection | None = None
        while not is_over.wait(0.01):
            connection = connection or http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
            try:
                connection.request("GET", "/livez", headers={"Host": NAME})
                answer = connection.getresponse()
                answer.read()
                answers[f"{kind} {answer.status}"] += 1
            except (OSError, http.client.HTTPException) as error:
                answers[f"{kind} {error!r}"] += 1
                connection = None
                continue
            if kind == "fresh" or answer.will_close:
                connection.close()
                connection = None

    threads = [threading.Thread(target=client, args=(kind,)) for kind in ("kept", "kept", "fresh", "fresh")]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join(70)


def test_connection_to_systemds_socket_waits_for_a_web_server(deployed: Deployed) -> None:
    (start,) = deployment.unit("securenet-web@.service")["ExecStart"]
    with socket.create_server(("127.0.0.1", deployed.port)) as listening:
        waiting = http.client.HTTPConnection("127.0.0.1", deployed.port, timeout=60)
        waiting.request("GET", "/livez", headers={"Host": NAME})  # nobody accepts now
        with activated(deployed, start.split()[1:], listening):
            assert waiting.getresponse().status == 200


@contextmanager
def activated(site: Deployed, words: list[str], listening: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command with a socket as descriptor 3, as sd_listen_fds(3) describes."""
    process = subprocess.Popen(
        [sys.executable, "-c", ACTIVATE, str(listening.fileno()), sys.executable, *words],
        cwd=PROJECT_DIR, env=site.environment, pass_fds=[listening.fileno()], stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)  # and its workers with it: they hold the socket, too
