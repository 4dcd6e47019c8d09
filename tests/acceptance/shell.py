"""A Django process that runs the code it is sent: starting one for each piece would take most of the tests' time.

``python -m tests.acceptance.shell`` reads one JSON string per line and answers ``{"printed": …, "error": …}``.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import traceback
from collections.abc import Mapping

from securenet.run.config import PROJECT_DIR


class Shell:
    """Runs code on the data that ``environment`` names, each piece with names and connections of its own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.shell"],
            cwd=PROJECT_DIR,
            env={**environment, "DJANGO_SETTINGS_MODULE": "securenet.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> str:
        """Run ``code``; returns what it prints.

        Raises:
            AssertionError: it raised something, whose traceback this has.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "The shell has ended."}')
        assert not answer["error"], answer["error"]
        printed: str = answer["printed"]
        return printed

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)


def main() -> None:
    import django
    from django.db import connections

    django.setup()
    answers = sys.stdout
    for line in sys.stdin:
        printed, error = io.StringIO(), ""
        with contextlib.redirect_stdout(printed):
            try:
                exec(compile(json.loads(line), "<shell>", "exec"), {"__name__": "__main__"})
            except BaseException:
                error = traceback.format_exc()
        connections.close_all()
        answers.write(json.dumps({"printed": printed.getvalue(), "error": error}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
