"""The management commands as operators use them: what they take in, what they leave as it is, what they refuse."""

from __future__ import annotations

import gzip
import os
import stat
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command

from perf.jobs import submit
from perf.models import Job, JobPolicy
from securenet.accounts.models import User
from securenet.accounts.roles import ROLES
from securenet.dashboard.management.commands import first_start
from securenet.logs.models import LogEvent
from tests.integration.helpers import given_user

FAILED_LOGIN = "Mar  1 12:00:00 gate sshd[7]: Failed password for root from 203.0.113.9 port 4711 ssh2\n"


def run(*words: str, **options: Any) -> str:
    """What a command says, on both of its outputs."""
    output = StringIO()
    call_command(*words, stdout=output, stderr=output, **options)
    return output.getvalue()


class TestIngestLogs:
    @pytest.mark.parametrize("name", ["auth.log", "auth.log.1.gz"])
    def test_says_what_was_taken_in_and_what_was_not_understood(self, tmp_path: Path, name: str) -> None:
        content = (FAILED_LOGIN * 2 + "\nno format at all\n").encode() + b"caf\xe9 \0\n"
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        said = run("ingest_logs", str(path), "--source", "gate")
        assert said == f"4 lines from {path} (auth.failure 2, other 2); 2 not understood.\n"
        assert set(LogEvent.objects.values_list("source", flat=True)) == {"gate"}
        assert LogEvent.objects.latest("id").message == "caf\ufffd "

    def test_an_empty_file_is_no_failure(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.log"
        path.touch()
        assert run("ingest_logs", str(path)).startswith("0 lines from")

    def test_a_dangling_link_and_a_link_to_itself_are_refused(self, tmp_path: Path) -> None:
        for target in ("missing", "loop.log"):
            path = tmp_path / "loop.log"
            path.symlink_to(tmp_path / target)
            with pytest.raises(CommandError, match=r"loop\.log cannot be read"):
                run("ingest_logs", str(path))
            path.unlink()

    def test_a_fifo_without_a_writer_keeps_nobody_waiting(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe.log"
        os.mkfifo(path)
        refused: list[str] = []

        def read() -> None:
            try:
                run("ingest_logs", str(path))
            except CommandError as error:
                refused.append(str(error))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(5)
        assert refused == [f"{path} is not a regular file."]

    def test_a_device_is_refused(self) -> None:
        assert stat.S_ISCHR(os.stat("/dev/zero").st_mode)
        with pytest.raises(CommandError, match="not a regular file"):
            run("ingest_logs", "/dev/zero")

    def test_a_gzip_bomb_takes_little_memory_and_is_one_line(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb.gz"
        with gzip.open(path, "wb", compresslevel=1) as bomb:
            for _ in range(64):
                bomb.write(b"x" * 1024 * 1024)
        tracemalloc.start()
        try:
            run("ingest_logs", str(path))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8 * 1024 * 1024
        event = LogEvent.objects.get()
        assert (len(event.message), event.fields["truncated"]) == (8192, "true")


class TestFirstStart:
    @pytest.fixture(autouse=True)
    def machine(self, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A machine whose only log is in a folder of the test's."""
        settings.DATA_DIR = tmp_path
        monkeypatch.setattr(first_start, "CANDIDATES", (str(tmp_path / "auth.log"),))
        return tmp_path

    def test_done_three_times_is_done_once(self, machine: Path) -> None:
        (machine / "auth.log").write_text(FAILED_LOGIN)
        first = run("first_start")
        before = set(Job.objects.values_list("pk", flat=True))
        for _ in range(2):
            run("first_start")
        assert "submitted" in first
        assert set(Job.objects.values_list("pk", flat=True)) == before
        assert (len(before), LogEvent.objects.count()) == (2, 1)

    def test_reads_no_log_through_a_link(self, machine: Path) -> None:
        (machine / "secret").write_text("secret\n")
        (machine / "auth.log").symlink_to(machine / "secret")
        run("first_start")
        assert not LogEvent.objects.exists()

    def test_keeps_the_events_that_somebody_has_sent_already(self, machine: Path) -> None:
        (machine / "auth.log").write_text(FAILED_LOGIN)
        (machine / "sent.log").write_text("sent\n")
        run("ingest_logs", str(machine / "sent.log"))
        run("first_start")
        assert [event.message for event in LogEvent.objects.all()] == ["sent"]

    def test_a_full_queue_is_told_and_does_not_stop_the_start(self) -> None:
        JobPolicy.objects.update_or_create(name="log_analysis", defaults={"capacity": 1})
        submit("log_analysis", {"source": "another"})
        assert "First log analysis not submitted" in run("first_start")


class Imposter(BaseHTTPRequestHandler):
    """Something that listens where SecureNet should, and wants the traffic sent elsewhere."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Location", "http://192.0.2.1/api/auth/token")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def imposter() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Imposter)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


class TestDemoTraffic:
    @pytest.mark.parametrize("status", [302, 307, 500])
    def test_follows_nobody_and_takes_no_failure_for_a_token(self, imposter: ThreadingHTTPServer, status: int) -> None:
        imposter.status = status  # type: ignore[attr-defined]
        url = f"http://127.0.0.1:{imposter.server_port}"
        with pytest.raises(CommandError, match=f"failed: {status}"):
            run("demo_traffic", "--url", url, "--password", "x")

    def test_a_wrong_password_is_told_without_repeating_it(self, live_server: Any) -> None:
        given_user("alice", "viewer")
        with pytest.raises(CommandError, match="Signing in as alice failed: 401") as refused:
            run("demo_traffic", "--url", live_server.url, "--username", "alice", "--password", "guess-me-not")
        assert "guess-me-not" not in str(refused.value)

    @pytest.mark.parametrize(("option", "value"), [("--seconds", "601"), ("--rate", "1001"), ("--rate", "-1")])
    def test_more_than_is_harmless_is_refused_before_anything_is_sent(self, option: str, value: str) -> None:
        with pytest.raises(CommandError, match="--seconds from 1 to 600 and --rate from 1 to 1000"):
            run("demo_traffic", "--url", "http://127.0.0.1:9", "--password", "x", option, value)


class TestSetup:
    def test_doing_it_again_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECURENET_ADMIN_PASSWORD", "correct horse battery staple")
        run("securenet_setup")
        before = everything_about_access()
        assert run("securenet_setup") == ""
        assert everything_about_access() == before
        assert {name for name, _ in before["groups"]} == set(ROLES)

    def test_an_admin_who_was_switched_off_stays_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECURENET_ADMIN_PASSWORD", "correct horse battery staple")
        run("securenet_setup")
        User.objects.filter(username="admin").update(is_active=False)
        run("securenet_setup")
        assert not User.objects.get(username="admin").is_active


def everything_about_access() -> dict[str, list[tuple[Any, ...]]]:
    """Users with their password hashes and groups, groups with their permissions."""
    return {
        "users": list(
            User.objects.order_by("pk").values_list("pk", "username", "password", "is_active", "groups__name")
        ),
        "groups": [
            (group.name, tuple(group.permissions.order_by("pk").values_list("pk", flat=True)))
            for group in Group.objects.order_by("pk")
        ],
        "permissions": list(Permission.objects.order_by("pk").values_list("pk", "codename")),
    }
