"""`make run` as the person at the terminal sees it: it starts, survives, says what is wrong, and stops cleanly."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from securenet.run.config import PROJECT_DIR
from securenet.run.logs import cut_long_logs
from securenet.run.messages import CannotRun
from securenet.run.redis_server import RedisServer
from securenet.run.restart import GiveUp, RestartIn, RestartPolicy
from tests.servers import postgres
from tests.servers.ports import free_port
from tests.servers.redis import redis_server
from tests.servers.securenet import COMMAND, SecureNet, command_line, securenet, until

pytestmark = pytest.mark.slow

PASSWORD = "a password for one test"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[SecureNet]:
    with securenet(tmp_path / "data") as run:
        yield run.await_ready()


def refuses(data_dir: Path, **environment: str) -> str:
    """Start a SecureNet that cannot run; returns what it said."""
    with securenet(data_dir, **environment) as run:
        assert run.await_end() == 1, run.explain()
        return run.output


def token(run: SecureNet) -> str:
    """Sign the first admin in."""
    request = urllib.request.Request(
        f"{run.url}/api/auth/token",
        data=json.dumps({"username": "admin", "password": PASSWORD}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        access: str = json.load(response)["access"]
        return access


def is_up(run: SecureNet) -> bool:
    try:
        with urllib.request.urlopen(f"{run.url}/readyz", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def test_sigterm_leaves_nothing_running_though_a_job_is(running: SecureNet) -> None:
    work_horse = running.keep_worker_busy(seconds=120)
    running.send(signal.SIGTERM)
    assert running.await_end() == 0, running.explain()
    assert not command_line(work_horse)
    assert running.left_behind() == {}
    assert running.output.endswith("SecureNet has stopped.\n")


def test_killing_the_supervisor_leaves_nothing_running_though_a_job_is(running: SecureNet) -> None:
    running.keep_worker_busy(seconds=120)
    running.send(signal.SIGKILL)
    until(lambda: not running.left_behind(), 10, lambda: str(running.left_behind()))


def test_ctrl_c_leaves_nothing_running_and_the_next_start_finds_the_data(tmp_path: Path) -> None:
    two = {"WEB_WORKERS": "2", "JOB_WORKERS": "2"}
    with securenet(tmp_path / "data", SECURENET_ADMIN_PASSWORD=PASSWORD, **two) as run:
        run.await_ready().redis().set("kept", "yes")
        assert token(run)
        run.processes()
        os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does
        assert run.await_end() == 0, run.explain()
        assert run.left_behind() == {}
    with securenet(tmp_path / "data") as again:
        assert again.await_ready().redis().get("kept") == "yes"
        assert token(again)


def test_ctrl_c_reaches_securenet_through_make(tmp_path: Path) -> None:
    make = ("make", "--no-print-directory", "--old-file=install", f"VENV={sys.executable}", "run")
    with securenet(tmp_path / "data", command=make, JOB_WORKERS="0") as run:
        run.await_ready().processes()
        os.killpg(run.process.pid, signal.SIGINT)
        run.await_end()
        assert "SecureNet has stopped." in run.output
        assert run.left_behind() == {}


def test_killing_make_stops_securenet(tmp_path: Path) -> None:
    make = ("make", "--no-print-directory", "--old-file=install", f"VENV={sys.executable}", "run")
    with securenet(tmp_path / "data", command=make, JOB_WORKERS="0") as run:
        run.await_ready().send(signal.SIGKILL)
        until(lambda: not run.left_behind(), 15, lambda: str(run.left_behind()))


def test_killed_worker_is_replaced_and_takes_its_work_horse_along(running: SecureNet) -> None:
    before = running.processes("rqworker")
    work_horse = running.keep_worker_busy(seconds=120)
    os.kill(running.child("rqworker"), signal.SIGKILL)
    until(lambda: not any(map(command_line, [work_horse, *before])), 10, running.explain)
    until(lambda: running.processes("rqworker") - before, 10, running.explain)
    assert "job worker 1 ended (killed by SIGKILL); starting it again at once." in running.output
    assert is_up(running)


def test_killed_web_server_is_replaced(running: SecureNet) -> None:
    before = running.processes("securenet.run.web")
    os.kill(running.child("securenet.run.web"), signal.SIGKILL)
    until(lambda: not any(map(command_line, before)), 10, running.explain)
    until(lambda: is_up(running), 30, running.explain)


def test_killed_web_worker_is_replaced_by_the_web_server(running: SecureNet) -> None:
    before = running.processes("securenet.run.web")
    server = running.child("securenet.run.web")
    for worker in before - {server}:
        os.kill(worker, signal.SIGKILL)
    until(lambda: running.processes("securenet.run.web") - before, 10, running.explain)
    until(lambda: is_up(running), 30, running.explain)
    assert running.child("securenet.run.web") == server


def test_killed_redis_comes_back_with_its_data(running: SecureNet) -> None:
    running.redis().set("kept", "yes")
    (server,) = running.processes("unixsocket")
    os.kill(server, signal.SIGKILL)
    until(lambda: running.processes("unixsocket") - {server}, 10, running.explain)
    until(lambda: is_up(running), 30, running.explain)
    assert running.redis().get("kept") == "yes"


def test_web_server_that_cannot_be_kept_alive_stops_everything(running: SecureNet) -> None:
    killed: set[int] = set()

    def kill_it_again() -> bool:
        for pid in sorted(running.processes("securenet.run.web") - killed)[:1]:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        return running.process.poll() is not None

    until(kill_it_again, 60, running.explain)
    assert running.await_end() == 1
    assert "times within 60 s. SecureNet cannot run without it and stops." in running.output
    assert running.left_behind() == {}


def test_runs_without_job_workers(tmp_path: Path) -> None:
    with securenet(tmp_path / "data", JOB_WORKERS="0") as run:
        run.await_ready()
        assert run.processes("rqworker") == set()


def test_uses_the_redis_it_is_given(tmp_path: Path) -> None:
    with redis_server(tcp=True) as server, securenet(tmp_path / "data", REDIS_URL=server.url) as run:
        run.await_ready()
        assert run.processes("unixsocket") == set()
        assert redis.Redis.from_url(server.url).scard("rq:workers") == 1
        assert not (tmp_path / "data" / "redis").exists()


@pytest.mark.skipif(not postgres.is_available(), reason="no PostgreSQL on this machine")
def test_uses_the_postgresql_it_is_given(tmp_path: Path) -> None:
    with postgres.postgres_server() as url, securenet(tmp_path / "data", DATABASE_URL=url) as run:
        run.await_ready()
        assert "Database (postgresql): applying" in run.output
        assert not (tmp_path / "data" / "securenet.sqlite3").exists()


def test_requests_appear_in_the_access_log_in_combined_format(running: SecureNet) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(
            b"GET /no%0Asuch%22page?q=%22 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            b'User-Agent: forged" 200 - "\\\r\n\r\n'
        )
        while client.recv(4096):
            pass
    log = running.data_dir / "log" / "access.log"
    until(lambda: "/no%0Asuch" in log.read_text(), 5, running.explain)
    (line,) = [line for line in log.read_text().splitlines() if "/no%0Asuch" in line]
    assert line.startswith("127.0.0.1 - - [")
    assert line.endswith('"GET /no%0Asuch%22page?q=%22 HTTP/1.1" 404 - "-" "forged\\x22 200 - \\x22\\x5C"')


def test_taken_port_is_named_with_its_owner_and_another_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        output = refuses(tmp_path / "data", PORT=str(port))
    assert f"Port {port} is taken by process {os.getpid()} " in output
    assert f"PORT={port + 1} make run" in output


def test_second_run_on_the_same_data_is_refused(running: SecureNet) -> None:
    output = refuses(running.data_dir)
    assert f"SecureNet is already running on {running.data_dir} (process {running.process.pid})" in output
    assert is_up(running)


def test_data_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert f"The data folder {file}/data cannot be written to (Not a directory)" in refuses(file / "data")


def test_redis_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    output = refuses(tmp_path / "data", REDIS_URL=f"redis://user:secret@127.0.0.1:{free_port()}/0")
    assert "Redis cannot be reached at redis://user:***@127.0.0.1:" in output
    assert "secret@" not in output


def test_database_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://user:secret@127.0.0.1:{free_port()}/securenet"
    output = refuses(tmp_path / "data", DATABASE_URL=url)
    assert "The database cannot be reached at postgresql://user:***@127.0.0.1:" in output
    assert "secret@" not in output
    assert "Traceback" not in output


def test_restarts_come_later_and_later_until_it_is_given_up() -> None:
    patient = RestartPolicy(first_delay=0.5, longest_delay=3.0, window=60.0)
    deaths = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0]
    delays = [patient.after(deaths[:count], now=106.0) for count in range(1, 7)]
    assert delays == [RestartIn(0.0), RestartIn(0.5), RestartIn(1.0), RestartIn(2.0), RestartIn(3.0), RestartIn(3.0)]
    assert patient.after(deaths, now=164.5) == RestartIn(0.0)  # the others are longer ago than the window
    assert RestartPolicy(max_deaths=6).after(deaths, now=106.0) == GiveUp(deaths=6, window=60.0)


def test_long_log_is_cut_while_it_is_written_to(tmp_path: Path) -> None:
    with (tmp_path / "web.log").open("a") as log:
        log.write("a long line\n")
        log.flush()
        cut_long_logs(tmp_path, longest=5)
        log.write("next\n")
    assert (tmp_path / "web.log").read_text() == "next\n"
    assert (tmp_path / "web.log.1").read_text() == "a long line\n"


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "eight"), ("WEB_WORKERS", "0"), ("JOB_WORKERS", "-1"), ("PORT", "65536")]
)
def test_number_that_makes_no_sense_is_refused(tmp_path: Path, name: str, value: str) -> None:
    answer = subprocess.run(
        COMMAND, env={**os.environ, name: value}, cwd=PROJECT_DIR, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert f"{name} is '{value}'; set it to a whole number from" in answer.stderr


def test_redis_that_is_too_old_on_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "redis-server"
    old.write_text('#!/bin/sh\necho "Redis server v=6.0.16 sha=00000000:0 malloc=libc bits=64 build=0"\n')
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert RedisServer(tmp_path).binary.release.version >= (6, 2)
    assert RedisServer(tmp_path).binary.path != old


def test_server_older_than_the_redis_data_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RedisServer(tmp_path / "data") as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    older = tmp_path / "redis-server"
    older.write_text('#!/bin/sh\necho "Redis server v=6.2.0 sha=00000000:0 malloc=libc bits=64 build=0"\n')
    older.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert RedisServer(tmp_path / "fresh").binary.path == older
    with RedisServer(tmp_path / "data") as again, redis.Redis.from_url(again.url) as client:
        assert client.get("kept") == b"yes"


def test_redis_data_are_used_by_one_server_at_a_time(tmp_path: Path) -> None:
    with RedisServer(tmp_path), pytest.raises(CannotRun, match="Another Redis server is using"):
        RedisServer(tmp_path, socket_path=tmp_path / "second.sock").start()


def test_redis_survives_kill_and_restart_on_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / ("long " * 30))
    with server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        server.kill()
        assert not server.ping()
        server.start()
        assert client.get("kept") == b"yes"
        server.restart()
        assert client.get("kept") == b"yes"
    assert not server.socket_path.parent.exists()
