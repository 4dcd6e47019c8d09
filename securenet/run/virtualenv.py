"""The virtual environment of a checkout: made, filled from requirements.txt, and known to be complete by a stamp.

Uses the standard library only, because it runs before anything is installed.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path

_COLLECTING = re.compile(r"(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)(?:\[.*?\])?==(\S+)")
_PROCESSING = re.compile(r"Processing \S*?([A-Za-z0-9_.]+)-([^-/]+)-[^/]+\.whl")
_ADDRESS = re.compile(r"(https?://)[^/\s'\"]+|(host=')[^']+|(resolve ')[^']+")


def install(project: Path) -> int:
    """Bring ``project/.venv`` in line with ``project/requirements.txt``; returns the exit code.

    Does nothing when the stamp says that this was done before. An environment whose making was interrupted is
    made anew; a failure before anything in it was touched leaves it as it was.
    """
    requirements = project / "requirements.txt"
    environment = project / ".venv"
    with requirements.open("rb") as file:
        wanted = _fingerprint(environment, file.read())
        if _is_installed(environment, wanted):
            return 0
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # `make run` and `make test` at the same time: one installs
            if _is_installed(environment, wanted):
                return 0
            return _install(environment, requirements, wanted)
        except KeyboardInterrupt:
            print("Interrupted; run make again to go on.", file=sys.stderr)
            return 130


def _fingerprint(environment: Path, requirements: bytes) -> str:
    """What an installation depends on: the packages, the Python, and the place, which scripts carry inside."""
    facts = [str(environment), sys.version, sys.platform]
    return hashlib.sha256(requirements + "\n".join(facts).encode()).hexdigest()


def _stamp(environment: Path) -> Path:
    return environment / "installed"


def _unfinished(environment: Path) -> Path:
    return environment / "unfinished"


def _is_installed(environment: Path, wanted: str) -> bool:
    stamp = _stamp(environment)
    return stamp.is_file() and stamp.read_text() == wanted and (environment / "bin" / "python").exists()


def _install(environment: Path, requirements: Path, wanted: str) -> int:
    if not _works(environment):
        print(f"Making a virtual environment in {environment} …", flush=True)
        if not _make(environment):
            print(
                f"The virtual environment could not be made. Remove {environment}, see that the disk has room, "
                f"and on Debian and Ubuntu that python3-venv is installed; then run make again.",
                file=sys.stderr,
            )
            return 1
    if not _install_packages(environment, requirements):
        print(
            "The packages could not be installed, see above. Is the network there? Then run make again.",
            file=sys.stderr,
        )
        return 1
    _unfinished(environment).unlink(missing_ok=True)
    draft = _stamp(environment).with_suffix(".new")
    draft.write_text(wanted)
    draft.replace(_stamp(environment))
    return 0


def _works(environment: Path) -> bool:
    """True if ``environment`` is whole and of the Python that runs this."""
    python = environment / "bin" / "python"
    if not python.exists() or _unfinished(environment).exists():
        return False
    question = "import sys, pip; print(sys.version)"
    answer = subprocess.run([python, "-c", question], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.rstrip("\n") == sys.version


def _make(environment: Path) -> bool:
    shutil.rmtree(environment, ignore_errors=True)
    environment.mkdir()
    _unfinished(environment).touch()
    made = subprocess.run([sys.executable, "-m", "venv", environment], check=False)
    if made.returncode == 0:
        _unfinished(environment).unlink()
    return made.returncode == 0


def _install_packages(environment: Path, requirements: Path) -> bool:
    total = len(re.findall(r"^[A-Za-z0-9]", requirements.read_text(), flags=re.MULTILINE))
    print(f"Installing {total} packages from {requirements.name} …", flush=True)
    command = [str(environment / "bin" / "python"), "-m", "pip", "install", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "-r", str(requirements)]
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_pip_environment())
    tail: deque[str] = deque(maxlen=12)
    try:
        _show_progress(environment, pip.stdout or (), total, tail)
    except KeyboardInterrupt:
        pip.terminate()
        raise
    finally:
        pip.wait()
    if pip.returncode != 0:
        print("\n".join("  " + _ADDRESS.sub(r"\1\2\3(package index)", line) for line in tail), file=sys.stderr)
    return pip.returncode == 0


def _show_progress(environment: Path, output: Iterable[str], total: int, tail: deque[str]) -> None:
    """Print one line per package; pip's last lines are left in ``tail``, for the case that it fails."""
    number = 0
    for line in output:
        tail.append(line.rstrip())
        if match := _COLLECTING.match(line) or _PROCESSING.match(line):
            number += 1
            print(f"  [{number}/{total}] {match[1]} {match[2]}", flush=True)
        elif line.startswith("WARNING: Retrying"):
            print("  the package index does not answer; trying again …", flush=True)
        elif line.startswith("Installing collected packages"):
            print("  unpacking …", flush=True)
            _stamp(environment).unlink(missing_ok=True)
            _unfinished(environment).touch()


def _pip_environment() -> dict[str, str]:
    """The environment without PIP_REQUIRE_VIRTUALENV-like switches that would send packages elsewhere."""
    elsewhere = {"PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH"}
    return {name: value for name, value in os.environ.items() if name not in elsewhere}
