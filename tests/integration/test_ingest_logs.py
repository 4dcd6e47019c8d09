"""``manage.py ingest_logs`` as operators use it: whole files, and files that are followed over rotations and kills."""

from __future__ import annotations

import errno
import gzip
import os
import pty
import random
import re
import shutil
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

from perf.jobs import submit
from perf.jobs.run import run_job
from securenet import environment
from securenet.logs.files import LINES_AT_A_TIME, Progress
from securenet.logs.followed import take_in, take_in_followed_files
from securenet.logs.ingest import ingest_lines
from securenet.logs.jobs import LOG_ANALYSIS
from securenet.logs.management.progress_bar import progress_line
from securenet.logs.models import FollowedFile, LogEvent, LogSource
from securenet.run.config import PROJECT_DIR
from tests.chaos.load import database_url
from tests.integration.helpers import eventually
from tests.integration.people import staff_client

pytestmark = pytest.mark.django_db(transaction=True)


def line(number: int) -> str:
    return f"Nov 20 08:00:01 gate app[7]: line {number}.\n"


def lines(*numbers: int) -> str:
    return "".join(map(line, numbers))


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def run(*words: str, **options: Any) -> str:
    """What the command says, on both of its outputs."""
    output = StringIO()
    call_command("ingest_logs", *words, stdout=output, stderr=output, **options)
    return output.getvalue()


def resume(path: Path) -> str:
    return run(str(path), "--resume")


def taken_in() -> list[int]:
    """The numbers of the lines that are stored, in the order of their arrival."""
    messages = LogEvent.objects.order_by("pk").values_list("message", flat=True)
    return [int(re.fullmatch(r"line (\d+)\.", message)[1]) for message in messages]  # type: ignore[index]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with the lines 1 to 3, which were taken in."""
    path = tmp_path / "auth.log"
    path.write_text(lines(1, 2, 3))
    resume(path)
    assert taken_in() == [1, 2, 3]
    return path


def in_a_process(*words: str, **options: Any) -> subprocess.Popen[bytes]:
    """The command in a process of its own, on the database of the test."""
    variables = {**os.environ, "DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "securenet.settings"}
    return subprocess.Popen(
        [sys.executable, "manage.py", "ingest_logs", *words], cwd=PROJECT_DIR, env=variables, **options
    )


class TestWholeFiles:
    def test_several_files_are_taken_in_and_each_has_its_line(self, tmp_path: Path) -> None:
        plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
        plain.write_text(lines(1, 2))
        packed.write_bytes(gzip.compress(line(3).encode()))
        assert run(str(plain), str(packed), "--source", "gate").splitlines() == [
            f"2 lines from {plain} (other 2); 0 not understood.",
            f"1 lines from {packed} (other 1); 0 not understood.",
        ]
        assert taken_in() == [1, 2, 3]
        assert set(LogEvent.objects.values_list("source", flat=True)) == {"gate"}

    @pytest.mark.parametrize("options", [[], ["--resume"]], ids=["whole", "resume"])
    def test_a_file_that_cannot_be_read_is_an_error_after_the_others_are_done(
        self, tmp_path: Path, options: list[str]
    ) -> None:
        good, missing, link = tmp_path / "good.log", tmp_path / "missing.log", tmp_path / "link.log"
        good.write_text(line(1))
        link.symlink_to(good)
        with pytest.raises(CommandError) as refused:
            run(str(missing), str(link), str(tmp_path), "/dev/null", str(good), *options)
        complaints = str(refused.value).splitlines()
        assert len(complaints) == 4
        for name, complaint in zip(["missing.log", "link.log", tmp_path.name, "/dev/null"], complaints, strict=True):
            assert name in complaint
        assert taken_in() == [1]

    def test_standard_input_is_a_file_like_others(self) -> None:
        process = in_a_process("-", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said, complained = process.communicate(lines(1, 2).encode() + line(3).rstrip().encode(), timeout=120)
        assert (process.returncode, complained) == (0, b"")
        assert said == b"3 lines from standard input (other 3); 0 not understood.\n"
        assert taken_in() == [1, 2, 3]
        assert set(LogEvent.objects.values_list("source", flat=True)) == {"stdin"}

    def test_standard_input_cannot_be_resumed(self) -> None:
        with pytest.raises(CommandError, match="Leave --resume out"):
            run("-", "--resume")

    def test_without_a_file_and_without_log_files_it_says_what_to_do(self) -> None:
        with pytest.raises(CommandError, match="Name a file, or set LOG_FILES"):
            run()

    def test_thousands_of_the_longest_lines_take_bounded_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "long.log"
        with path.open("wb") as file:
            for _ in range(1500):
                file.write(b"x" * 60_000 + b"\n")
        tracemalloc.start()
        try:
            run(str(path))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert LogEvent.objects.count() == 1500
        assert peak < 48 * 1024 * 1024  # of 90 MB

    def test_a_terminal_shows_how_far_it_is_and_a_file_gets_no_such_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "auth.log"
        path.write_text("".join(map(line, range(LINES_AT_A_TIME + 1))))
        controller, terminal = pty.openpty()
        process = in_a_process(str(path), stdout=subprocess.PIPE, stderr=terminal)
        os.close(terminal)
        shown = b"".join(read_all(controller))
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert re.search(rb"auth\.log  \[#{20}\] 100%  .* KiB of .* KiB  [\d,]+ lines/s", shown), shown
        assert b"\x1b" not in said
        assert said.startswith(b"5001 lines from")

    def test_the_progress_line_says_part_bytes_and_rate(self) -> None:
        assert progress_line("a.log", Progress(512, 2048, 1500), 2.0) == (
            "a.log  [#####               ]  25%  512 B of 2.0 KiB  750 lines/s"
        )
        assert progress_line("standard input", Progress(3 * 1024**2, None, 10), 0.0) == (
            "standard input  3.0 MiB  - lines/s"
        )
        assert "100%" in progress_line("empty", Progress(0, 0, 0), 1.0)


def read_all(descriptor: int) -> Iterator[bytes]:
    """What comes out of a terminal until its other end is closed."""
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while True:
            try:
                data = file.read(4096)
            except OSError as error:  # nobody has the other end any more
                if error.errno != errno.EIO:
                    raise
                return
            if not data:
                return
            yield data


class TestFollowing:
    def test_what_was_taken_in_is_not_taken_in_again(self, log: Path) -> None:
        assert resume(log) == f"0 lines from {log} (); 0 not understood.\n"
        append(log, lines(4, 5))
        assert resume(log).startswith("2 lines from")
        assert taken_in() == [1, 2, 3, 4, 5]

    def test_a_line_without_end_waits_for_it(self, log: Path) -> None:
        append(log, line(4) + line(5)[:20])
        resume(log)
        assert taken_in() == [1, 2, 3, 4]
        append(log, line(5)[20:])
        resume(log)
        assert taken_in() == [1, 2, 3, 4, 5]

    def test_a_file_that_was_empty_is_followed_from_its_first_line(self, tmp_path: Path) -> None:
        path = tmp_path / "auth.log"
        path.touch()
        resume(path)
        path.write_text(line(1))
        resume(path)
        assert taken_in() == [1]

    def test_without_resume_the_whole_file_is_taken_in(self, log: Path) -> None:
        run(str(log))
        assert taken_in() == [1, 2, 3, 1, 2, 3]

    def test_a_packed_file_is_not_followed(self, tmp_path: Path) -> None:
        path = tmp_path / "auth.log.1.gz"
        path.write_bytes(gzip.compress(b"x\n"))
        with pytest.raises(CommandError, match="without --resume"):
            resume(path)

    def test_one_file_is_one_however_its_path_is_written(self, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(log.parent)
        resume(Path("./auth.log"))
        assert taken_in() == [1, 2, 3]
        assert FollowedFile.objects.count() == 1


def renamed(log: Path) -> None:
    log.rename(log.with_name("auth.log.1"))


def renamed_by_date(log: Path) -> None:
    log.rename(log.with_name("auth.log-20261123"))


def packed(log: Path) -> None:
    log.with_name("auth.log.2.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()


def copied_and_cut(log: Path) -> None:
    shutil.copy2(log, log.with_name("auth.log.1"))
    os.truncate(log, 0)


def copied_packed_and_cut(log: Path) -> None:
    log.with_name("auth.log.1.gz").write_bytes(gzip.compress(log.read_bytes()))
    os.truncate(log, 0)


ROTATIONS = [renamed, renamed_by_date, packed, copied_and_cut, copied_packed_and_cut]


class TestRotation:
    @pytest.mark.parametrize("rotate", ROTATIONS)
    def test_the_rest_of_the_old_file_is_read_before_the_new_one(self, log: Path, rotate: Any) -> None:
        append(log, lines(4, 5))
        rotate(log)
        append(log, line(6))
        assert resume(log) == f"3 lines from {log} (other 3); 0 not understood.\n"
        append(log, line(7))
        resume(log)
        assert taken_in() == [1, 2, 3, 4, 5, 6, 7]

    @pytest.mark.parametrize("rotate", ROTATIONS)
    def test_a_new_file_that_is_longer_than_the_old_one_is_a_new_one(self, log: Path, rotate: Any) -> None:
        rotate(log)
        append(log, lines(*range(4, 30)))
        resume(log)
        assert taken_in() == list(range(1, 30))

    @pytest.mark.parametrize("rotate", ROTATIONS)
    def test_the_last_line_of_an_old_file_needs_no_end(self, log: Path, rotate: Any) -> None:
        append(log, line(4).rstrip("\n"))
        rotate(log)
        append(log, line(5))
        resume(log)
        assert taken_in() == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("successor", ["none yet", "empty"])
    def test_a_writer_that_still_has_the_old_file_loses_nothing(self, log: Path, successor: str) -> None:
        old = log.with_name("auth.log.1")
        renamed(log)
        if successor == "empty":
            log.touch()
        append(old, line(4) + line(5)[:20])
        resume(log)
        append(old, line(5)[20:])
        resume(log)
        assert taken_in() == [1, 2, 3, 4, 5]
        append(log, line(6))
        append(old, line(7))
        resume(log)
        assert sorted(taken_in()) == [1, 2, 3, 4, 5, 6, 7]

    @pytest.mark.parametrize("numbered", [True, False], ids=["numbers", "dates"])
    def test_files_that_came_and_went_between_two_looks_are_read_in_their_order(
        self, log: Path, numbered: bool
    ) -> None:
        names = ["auth.log.3.gz", "auth.log.2.gz", "auth.log.1"]
        if not numbered:
            names = ["auth.log-20261101.gz", "auth.log-20261108.gz", "auth.log-20261115"]
        log.with_name(names[0]).write_bytes(gzip.compress((log.read_text() + line(4)).encode()))
        log.with_name(names[1]).write_bytes(gzip.compress(lines(5, 6).encode()))
        log.with_name(names[2]).write_text(line(7))
        log.unlink()
        log.write_text(line(8))
        log.with_name("auth.log.4.gz" if numbered else "auth.log-20261025.gz").write_bytes(gzip.compress(b"older\n"))
        assert resume(log).startswith("5 lines from")
        resume(log)
        assert taken_in() == [1, 2, 3, 4, 5, 6, 7, 8]

    @pytest.mark.parametrize("copied", [0, 50, None], ids=["nothing", "a part", "all"])
    def test_a_copy_that_is_just_being_made_is_not_read_beside_its_original(
        self, log: Path, copied: int | None
    ) -> None:
        log.rename(log.with_name("auth.log.2"))
        log.write_text(lines(4, 5, 6))
        copy = log.with_name("auth.log.1")
        copy.write_bytes(log.read_bytes()[:copied])
        resume(log)
        assert taken_in() == [1, 2, 3, 4, 5, 6]
        copy.write_bytes(log.read_bytes() + line(7).encode())
        log.write_text(line(8))
        resume(log)
        assert taken_in() == [1, 2, 3, 4, 5, 6, 7, 8]

    def test_another_file_with_the_old_inode_is_told_by_its_beginning(self, log: Path) -> None:
        append(log, line(4))
        known = FollowedFile.objects.get()
        packed(log)
        log.write_text(lines(*range(5, 20)))
        # As on file systems that give a freed inode to the next file.
        status = log.stat()
        FollowedFile.objects.update(device=str(status.st_dev), inode=str(status.st_ino))
        assert status.st_size > known.offset
        resume(log)
        assert taken_in() == list(range(1, 20))

    def test_an_inode_that_went_to_an_unrelated_file_does_not_mislead(self, log: Path) -> None:
        append(log, line(4))
        packed(log)
        other = log.with_name("other.log")
        other.write_text("nothing of ours\n" * 40)
        log.write_text(line(5))
        FollowedFile.objects.update(inode=str(other.stat().st_ino))
        resume(log)
        assert taken_in() == [1, 2, 3, 4, 5]

    def test_an_old_file_that_is_gone_is_told_once_and_the_new_one_is_read(self, log: Path) -> None:
        log.unlink()
        log.write_text(lines(*range(4, 20)))
        assert "lines that were written to it after the last run may be missing" in resume(log)
        assert "missing" not in resume(log)
        assert taken_in() == list(range(1, 20))

    def test_a_file_that_was_cut_is_read_from_its_beginning(self, log: Path) -> None:
        os.truncate(log, 0)
        assert "may be missing" in resume(log)
        append(log, line(4))
        assert "missing" not in resume(log)
        assert taken_in() == [1, 2, 3, 4]

    def test_a_file_that_was_restored_is_the_same_file(self, log: Path) -> None:
        content = log.read_text()
        log.rename(log.with_name("elsewhere"))
        log.write_text(content + line(4))
        log.with_name("elsewhere").unlink()
        assert "missing" not in resume(log)
        assert taken_in() == [1, 2, 3, 4]

    def test_a_damaged_archive_is_told_and_does_not_hold_up_what_came_after(self, log: Path) -> None:
        append(log, lines(*range(4, 30_000)))
        archive = gzip.compress(log.read_bytes())
        log.unlink()
        log.with_name("auth.log.1.gz").write_bytes(archive[:-6])
        log.write_text(line(30_000))
        assert "auth.log.1.gz cannot be read to its end" in resume(log)
        assert "cannot be read" not in resume(log)
        numbers = taken_in()
        assert len(numbers) > LINES_AT_A_TIME
        assert numbers == [*range(1, len(numbers)), 30_000]

    def test_a_link_among_the_old_files_is_not_followed(self, log: Path, tmp_path_factory: pytest.TempPathFactory):
        elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret"
        elsewhere.write_text(log.read_text() + line(666))
        log.unlink()
        log.with_name("auth.log.1").symlink_to(elsewhere)
        log.write_text(line(4))
        assert "may be missing" in resume(log)
        assert taken_in() == [1, 2, 3, 4]

    def test_a_file_that_is_gone_without_a_trace_is_an_error(self, log: Path) -> None:
        log.unlink()
        with pytest.raises(CommandError, match="it is not there"):
            resume(log)


class TestSafety:
    def test_a_run_that_is_killed_neither_loses_nor_doubles_a_line(self, tmp_path: Path) -> None:
        count = 20 * LINES_AT_A_TIME
        path = tmp_path / "auth.log"
        path.write_text(lines(*range(count)))
        process = in_a_process("--resume", str(path), stdout=subprocess.DEVNULL)
        eventually(lambda: LogEvent.objects.exists())
        process.kill()
        assert process.wait(60) == -9
        before = LogEvent.objects.count()
        assert 0 < before < count
        assert before % LINES_AT_A_TIME == 0
        assert FollowedFile.objects.get().offset == len(lines(*range(before)).encode())
        assert resume(path).startswith(f"{count - before} lines from")
        assert Counter(taken_in()) == Counter(range(count))

    def test_two_runs_at_once_take_each_line_once(self, tmp_path: Path) -> None:
        count = 4 * LINES_AT_A_TIME
        path = tmp_path / "auth.log"
        path.write_text(lines(*range(count)))
        begin = threading.Barrier(2)
        results = []

        def look() -> None:
            try:
                begin.wait(60)
                results.append(take_in(path, source="gate"))
            finally:
                connections.close_all()

        runs = [threading.Thread(target=look) for _ in range(2)]
        for each in runs:
            each.start()
        for each in runs:
            each.join(300)
        assert sum(result.summary.accepted for result in results) == count
        assert Counter(taken_in()) == Counter(range(count))
        assert not any(result.error for result in results)

    def test_a_run_that_was_overtaken_leaves_the_rest_to_the_other(self, log: Path) -> None:
        append(log, "".join(map(line, range(4, LINES_AT_A_TIME + 100))))
        inner = []

        def overtaken(_: Progress) -> None:
            if not inner:
                inner.append(take_in(log, source="other"))

        outer = take_in(log, source="gate", report=overtaken)
        assert outer.summary.accepted == LINES_AT_A_TIME
        assert inner[0].summary.accepted == 99 - 3
        assert outer.warnings == (f"{log} is being taken in by another run; the rest was left to it.",)
        assert Counter(taken_in()) == Counter(range(1, LINES_AT_A_TIME + 100))

    def test_whoever_stops_it_between_batches_loses_nothing(self, log: Path) -> None:
        append(log, "".join(map(line, range(4, 2 * LINES_AT_A_TIME))))

        class Stopped(Exception):
            pass

        def stop(_: Progress) -> None:
            raise Stopped

        with pytest.raises(Stopped):
            take_in(log, source="gate", report=stop)
        resume(log)
        assert taken_in() == list(range(1, 2 * LINES_AT_A_TIME))

    def test_a_file_that_is_emptied_while_it_is_read_loses_nothing(self, log: Path) -> None:
        last = 6 * LINES_AT_A_TIME
        append(log, lines(*range(4, last)))
        cut = []

        def cut_once(_: Progress) -> None:
            if not cut:
                cut.append(True)
                copied_and_cut(log)
                append(log, lines(*range(last, 3 * last)))

        take_in(log, source="gate", report=cut_once)
        resume(log)
        assert taken_in() == list(range(1, 3 * last))

    @pytest.mark.parametrize("seed", range(3))
    def test_over_many_rotations_at_any_moment_each_line_comes_once(self, tmp_path: Path, seed: int) -> None:
        writer = Writer(tmp_path / "auth.log", random.Random(seed))
        thread = threading.Thread(target=writer.write, args=(60,))
        problems = [*take_in(writer.path, source="gate").warnings]  # from here on it is followed
        thread.start()
        while thread.is_alive():
            problems += take_in(writer.path, source="gate").warnings
        thread.join()
        result = take_in(writer.path, source="gate")
        assert (result.error, problems, result.warnings) == ("", [], ())
        assert Counter(taken_in()) == Counter(range(writer.written))


class Writer:
    """Writes a log and rotates it as logrotate does, keeping so many files that none is lost before it is read."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path, self.written = path, 0
        self._chance = chance
        self._append()

    def write(self, steps: int) -> None:
        for _ in range(steps):
            self._append()
            if self._chance.random() < 0.3:
                self._rotate()
                self._append()

    def _append(self) -> None:
        count = self._chance.randint(1, 300)
        append(self.path, lines(*range(self.written, self.written + count)))
        self.written += count

    def _rotate(self) -> None:
        for number in range(99, 0, -1):
            for suffix in ("", ".gz"):
                old = self.path.with_name(f"auth.log.{number}{suffix}")
                if old.exists():
                    old.rename(self.path.with_name(f"auth.log.{number + 1}{suffix}"))
        first, second = self.path.with_name("auth.log.1"), self.path.with_name("auth.log.2")
        if second.exists():
            # As gzip does: the archive is whole before the original goes.
            second.with_name("auth.log.2.gz").write_bytes(gzip.compress(second.read_bytes()))
            second.unlink()
        if self._chance.random() < 0.5:
            shutil.copy2(self.path, first)
            os.truncate(self.path, 0)
        else:
            self.path.rename(first)


class TestLogFiles:
    def test_the_files_named_there_are_followed(self, tmp_path: Path, settings: Any) -> None:
        (tmp_path / "nginx").mkdir()
        auth, access = tmp_path / "auth.log", tmp_path / "nginx" / "access.log"
        auth.write_text(lines(1, 2))
        access.write_text(line(3))
        access.with_name("access.log.1").write_text(line(66))
        access.with_name("access.log-20261101.gz").write_bytes(gzip.compress(line(67).encode()))
        access.with_name("link.log").symlink_to(auth)
        settings.SECURENET_LOG_FILES = [str(auth), f"{tmp_path}/nginx/*"]
        assert run().splitlines() == [
            f"2 lines from {auth} (other 2); 0 not understood.",
            f"1 lines from {access} (other 1); 0 not understood.",
        ]
        append(access, line(4))
        run()
        assert taken_in() == [1, 2, 3, 4]
        assert set(LogEvent.objects.values_list("source", flat=True)) == {"auth.log", "access.log"}

    def test_a_pattern_without_a_file_is_told(self, tmp_path: Path, settings: Any) -> None:
        settings.SECURENET_LOG_FILES = [f"{tmp_path}/*.log"]
        assert run() == f"LOG_FILES: no file matches {tmp_path}/*.log.\n"

    def test_an_analysis_can_take_them_in_and_is_told_how_far_that_is(
        self, tmp_path: Path, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        log, missing = tmp_path / "auth.log", tmp_path / "missing.log"
        log.write_text(lines(1, 2))
        settings.SECURENET_LOG_FILES = [str(missing), str(log)]
        told: list[tuple[float, str]] = []
        results = take_in_followed_files(lambda part, text: told.append((part, text)))
        assert [result.summary.accepted for result in results] == [0, 2]
        assert "missing.log" in results[0].error
        assert "missing.log" in caplog.text
        assert told == [(1.0, f"{log}: 2 lines")]
        assert taken_in() == [1, 2]

    def test_an_analysis_looks_at_what_they_got(self, log: Path, settings: Any) -> None:
        settings.SECURENET_LOG_FILES = [str(log)]
        append(log, lines(4, 5))
        job = submit(LOG_ANALYSIS)
        run_job(str(job.pk))
        job.refresh_from_db()
        assert (job.status, job.error) == ("completed", "")
        assert job.result["events"] == 5
        assert taken_in() == [1, 2, 3, 4, 5]

    def test_the_environment_names_whole_paths_with_colons_between_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("LOG_FILES", raising=False)
        assert environment.log_files() == []
        monkeypatch.setenv("LOG_FILES", "/var/log/auth.log::/var/log/nginx/*.log")
        assert environment.log_files() == ["/var/log/auth.log", "/var/log/nginx/*.log"]
        monkeypatch.setenv("LOG_FILES", "auth.log")
        with pytest.raises(ImproperlyConfigured, match="write the whole path"):
            environment.log_files()


# --- Time zones of sources


@pytest.mark.parametrize(
    ("zone", "line", "time"),
    [
        ("Europe/Berlin", "Jul  1 12:00:00 gate sshd[1]: x", "2026-07-01T10:00:00+00:00"),
        ("Europe/Berlin", "Nov  1 12:00:00 gate sshd[1]: x", "2026-11-01T11:00:00+00:00"),
        ("America/New_York", "Jul  1 12:00:00 gate sshd[1]: x", "2026-07-01T16:00:00+00:00"),
        ("Asia/Kolkata", "2026-07-01T12:00:00+02:00 gate sshd[1]: x", "2026-07-01T10:00:00+00:00"),
    ],
)
def test_stamps_without_a_zone_are_of_the_zone_of_their_source(zone: str, line: str, time: str) -> None:
    LogSource.objects.create(label="gate", time_zone=zone)
    ingest_lines([line], source="gate", received_at=datetime(2026, 11, 20, tzinfo=UTC))
    assert LogEvent.objects.get().time == datetime.fromisoformat(time)


@override_settings(SECURENET_LOG_TIME_ZONE="Asia/Tokyo")
def test_a_source_that_nobody_described_has_the_zone_of_the_settings() -> None:
    ingest_lines(["Jul  1 12:00:00 gate sshd[1]: x"], source="gate", received_at=datetime(2026, 11, 20, tzinfo=UTC))
    assert LogEvent.objects.get().time == datetime(2026, 7, 1, 3, tzinfo=UTC)


def test_an_admin_sets_the_zone_and_only_one_that_there_is() -> None:
    admin = staff_client("security_admin")
    page = admin.post("/admin/logs/logsource/add/", {"label": "gate", "time_zone": "Europe/Atlantis"})
    assert "Europe/Berlin" in page.content.decode(), "an example of what to write"
    assert not LogSource.objects.exists()
    admin.post("/admin/logs/logsource/add/", {"label": "gate", "time_zone": "Europe/Berlin"})
    ingest_lines(["Jul  1 12:00:00 gate sshd[1]: x"], source="gate", received_at=datetime(2026, 11, 20, tzinfo=UTC))
    assert LogEvent.objects.get().time == datetime(2026, 7, 1, 10, tzinfo=UTC)
