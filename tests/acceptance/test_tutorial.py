"""docs/tutorial.md is carried out: every command, in one shell, and what it prints is what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.securenet import SecureNet, securenet

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
PASSWORD = "correct-horse-7"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANYTHING = "…"
LONGEST_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Step:
    """A command, perhaps of several lines, and the lines that it prints."""

    command: str
    output: tuple[str, ...]


def steps() -> list[Step]:
    """The commands of the page, in their order."""
    found: list[Step] = []
    for block in BLOCK.findall(PAGE.read_text()):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            more = [line for line in lines[1:] if line.startswith(">")]
            command = "\n".join([lines[0], *(line[2:] for line in more)])
            found.append(Step(command, tuple(line for line in lines[1:] if not line.startswith(">"))))
    return found


class Shell:
    """One bash, in which variables and functions stay."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._watchdog = threading.Timer(LONGEST_SECONDS, self._bash.kill)  # the page waits for jobs in loops
        self._watchdog.daemon = True
        self._watchdog.start()

    def run(self, command: str) -> list[str]:
        """The lines that a command prints."""
        end = uuid.uuid4().hex
        assert self._bash.stdin is not None and self._bash.stdout is not None
        self._bash.stdin.write(f"{command}\necho {end}\n")
        self._bash.stdin.flush()
        lines: list[str] = []
        for line in self._bash.stdout:
            if line.rstrip("\n").endswith(end):
                lines += [rest] if (rest := line.rstrip("\n").removesuffix(end)) else []
                return lines
            lines.append(line.rstrip("\r\n"))
        raise AssertionError(f"The shell ended at: {command}\n" + "\n".join(lines))

    def close(self) -> None:
        """End it."""
        self._watchdog.cancel()
        self._bash.kill()
        self._bash.wait(10)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SecureNet]:
    with securenet(tmp_path / "data", SECURENET_ADMIN_PASSWORD=PASSWORD) as site:
        yield site.await_ready()


@pytest.fixture
def shell(site: SecureNet, tmp_path: Path) -> Iterator[Shell]:
    """In a folder that looks like a clone after its first start."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("manage.py", "perf", "securenet"):
        (clone / name).symlink_to(ROOT / name)
    (clone / ".venv" / "bin").mkdir(parents=True)
    python = clone / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    shell = Shell(clone, {**site.environment, "TZ": "UTC"})
    yield shell
    shell.close()


def test_the_page_prints_what_it_says(site: SecureNet, shell: Shell) -> None:
    port = str(site.port)
    assert len(steps()) > 20
    for step in steps():
        printed = shell.run(step.command.replace("8000", port))
        expected = [line.replace("8000", port) for line in step.output]
        assert len(printed) == len(expected), (step.command, printed)
        for line, pattern in zip(printed, expected, strict=True):
            assert matches(line, pattern), (step.command, line, pattern)


def matches(line: str, pattern: str) -> bool:
    return re.fullmatch(".+".join(re.escape(part) for part in pattern.split(ANYTHING)), line) is not None


@pytest.mark.parametrize(
    ("line", "pattern", "fits"),
    [("ttl=59", "ttl=…", True), ("ttl=", "ttl=…", False), ("status 500", "status 200", False), ("a.b", "a.b", True)],
)
def test_only_what_is_left_out_may_differ(line: str, pattern: str, fits: bool) -> None:
    assert matches(line, pattern) is fits
