"""Generates a Python client from a description, with the command that docs/api-clients.md gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGE = "securenet_client"
# The generator sends bodies of these types as they are.
CONFIG = {
    "content_type_overrides": {
        "application/xml": "application/octet-stream",
        "text/xml": "application/octet-stream",
        "text/plain": "application/octet-stream",
    },
    "post_hooks": [],
}


def generate_client(openapi: dict[str, Any], folder: Path) -> Path:
    """Write the package ``securenet_client`` into ``folder``, and return that. A warning is a failure."""
    (folder / "openapi.json").write_text(json.dumps(openapi))
    (folder / "client.yaml").write_text(json.dumps(CONFIG))  # YAML can be written as JSON
    command = [
        sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", "--config", "client.yaml",
        "--meta", "none", "--output-path", PACKAGE, "--fail-on-warning",
    ]  # fmt: skip
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder
