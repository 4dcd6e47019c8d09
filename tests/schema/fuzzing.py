"""Runs Schemathesis against a site, and reads its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from securenet.run.config import PROJECT_DIR
from tests.acceptance.site import Site
from tests.schema.site import ended_job

# Its own checks of data know nothing of what a form cannot say; `tests.schema.checks` has those that do.
REPLACED = "positive_data_acceptance,negative_data_rejection"
TIME_OUT = 900  # seconds; a run takes less than a tenth of it

# A job's id is random: none that is made up would ever be there.
CONFIG = """
[[operations]]
include-name = "DELETE /api/performance/background-job/{{id}}"
parameters = {{ "path.id" = "{job}" }}
"""


def fuzz(site: Site, folder: Path, *, username: str = "", examples: int, phases: str) -> dict[str, Any]:
    """Send generated requests for every operation, the same in each run.

    Args:
        folder: where the report is written.
        username: who sends them; nobody in particular if empty.
        examples: requests that are made up for each operation, on top of those at the edges of its schemas.
        phases: of Schemathesis: ``coverage``, ``fuzzing``, ``stateful``.

    Returns:
        its report as JSON, with what it printed as ``output``.
    """
    report = folder / "report.json"
    with site.client("platform-owner") as api:
        (folder / "schemathesis.toml").write_text(CONFIG.format(job=ended_job(api)))
    who = ["--header", f"Authorization: Bearer {site.token(username)}"] if username else []
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{site.url_a}/api/schema?format=json", *who,
        "--phases", phases, "--max-examples", str(examples), "--generation-deterministic", "--workers", "1",
        "--generation-allow-x00", "false", "--exclude-checks", REPLACED, "--continue-on-failure", "--no-shrink",
        "--request-timeout", "60", "--no-color", "--report", "json", "--report-json-path", str(report),
    ]  # fmt: skip
    run = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT_DIR),
            "DJANGO_SETTINGS_MODULE": "securenet.settings",
            "SCHEMATHESIS_HOOKS": "tests.schema.checks",
        },
        capture_output=True,
        text=True,
        timeout=TIME_OUT,
        check=False,
    )
    output = run.stdout + run.stderr
    assert report.exists(), output
    return {**json.loads(report.read_text()), "output": output}


def explain(report: dict[str, Any]) -> str:
    """What went wrong, for the message of a failed assertion."""
    output: str = report["output"]
    return output[output.find("=====") :][:20_000]
