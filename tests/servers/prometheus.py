"""A throw-away Prometheus that scrapes one page every second: `with prometheus(folder, target, rules) as server:`."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.servers.ports import free_port

START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that runs."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What the expression is now: a list of samples with their labels.

        Raises:
            AssertionError: Prometheus does not take the expression.
        """
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=20).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """The rules of all groups, with what it thinks of them."""
        groups = httpx.get(f"{self.url}/api/v1/rules", timeout=20).json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


def is_installed() -> bool:
    """Whether there is one on this machine (Debian's package `prometheus`)."""
    return shutil.which("prometheus") is not None


@contextmanager
def prometheus(folder: Path, target: str, rules: Sequence[Path]) -> Iterator[Prometheus]:
    """Run one on loopback, with its data in ``folder``.

    Args:
        target: host and port whose /metrics is scraped.
        rules: files with rules.
    """
    port = free_port()
    config = folder / "prometheus.yml"
    files = "".join(f"  - {path}\n" for path in rules)
    config.write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files:\n{files}"
        f"scrape_configs:\n  - job_name: securenet\n    static_configs:\n      - targets: ['{target}']\n"
    )
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            server = Prometheus(f"http://127.0.0.1:{port}")
            _await_start(server, process, folder / "prometheus.log")
            yield server
        finally:
            process.terminate()
            process.wait(20)


def _await_start(server: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Prometheus ended at its start: {log.read_text()[-2000:]}")
        try:
            if httpx.get(f"{server.url}/-/ready", timeout=1).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"Prometheus was not ready within {START_SECONDS} s: {log.read_text()[-2000:]}")
