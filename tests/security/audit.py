"""``make audit``: known weaknesses of the pinned packages, of the code, and licences that need a decision.

Run with the Python that has requirements-audit.txt; the licences are read by the one given as first argument, in which
the packages themselves are installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SECONDS = 300


def main(python: str) -> int:
    """Run the three checks, and say what each found; 1 where one found something."""
    found = [known_weaknesses(), weak_code(), licences(python)]
    return 1 if any(found) else 0


def known_weaknesses() -> bool:
    """Ask the advisory service about requirements.txt. Where it does not answer, say so: that is no finding."""
    command = [
        "-m",
        "pip_audit",
        "--requirement",
        "requirements.txt",
        "--require-hashes",
        "--disable-pip",
        "-f",
        "json",
    ]
    try:
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        print(f"packages: NOT CHECKED, no answer of the advisory service within {SECONDS} s")
        return False
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        print(f"packages: NOT CHECKED, the advisory service gave no answer: {reason[0]}")
        return False
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    weak = [package for package in packages if package.get("vulns")]
    for package in weak:
        print(f"packages: {package['name']} {package['version']}: {', '.join(v['id'] for v in package['vulns'])}")
    checked = len(packages) - len(skipped)
    print(f"packages: {checked} checked, {len(weak)} with known weaknesses, {len(skipped)} NOT CHECKED")
    if skipped and not checked:
        print("packages: the advisory service knows none of them; ask again where it can be reached")
    return bool(weak)


def weak_code() -> bool:
    """Bandit on the product's code, as pyproject.toml configures it."""
    command = ["-m", "bandit", "-q", "-r", "perf", "securenet", "-c", "pyproject.toml"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=SECONDS, check=False)
    print(done.stdout.strip() or done.stderr.strip() or "code: bandit found nothing")
    return done.returncode != 0


def licences(python: str) -> bool:
    """Licences that nobody has decided about, and a page that is old."""
    done = subprocess.run([python, "-m", "docs.make_licences", "--check"], timeout=SECONDS, check=False)
    print("licences: see above" if done.returncode else "licences: nothing to decide")
    return done.returncode != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
