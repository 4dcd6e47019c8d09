"""`make install` on a fresh checkout: what it makes, when it does nothing, and what it says when it cannot."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from securenet.run.config import PROJECT_DIR

pytestmark = pytest.mark.slow

INSTALL = PROJECT_DIR / "securenet" / "run" / "install.py"


def checkout(folder: Path, version: str = "1.0") -> Path:
    """Make a project that needs one package, which is a file beside it."""
    wheel = folder / f"tiny-{version}-py3-none-any.whl"
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", f"version = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "requirements.txt").write_text(f"tiny @ {wheel.as_uri()} --hash=sha256:{digest}\n")
    return folder


def install(project: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "import sys, pathlib, securenet.run.virtualenv as v; sys.exit(v.install(pathlib.Path(sys.argv[1])))"
    return subprocess.run(
        [sys.executable, "-c", code, project],
        cwd=PROJECT_DIR,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def installed_version(project: Path) -> str:
    command = [project / ".venv" / "bin" / "python", "-c", "import tiny; print(tiny.version)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_installs_once_and_again_when_the_requirements_change(tmp_path: Path) -> None:
    project = checkout(tmp_path)
    first = install(project)
    assert first.returncode == 0, first.stderr
    assert "[1/1] tiny 1.0" in first.stdout
    assert installed_version(project) == "1.0"

    assert install(project).stdout == ""

    checkout(tmp_path, version="2.0")
    assert install(project).returncode == 0
    assert installed_version(project) == "2.0"


def test_failed_installation_leaves_no_stamp_and_shows_no_address(tmp_path: Path) -> None:
    project = checkout(tmp_path)
    (project / "requirements.txt").write_text("tiny==1.0 --hash=sha256:" + "0" * 64 + "\n")
    offline = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    failed = install(project, PIP_EXTRA_INDEX_URL="", PIP_FIND_LINKS="", **offline)
    assert failed.returncode == 1
    assert "No matching distribution found for tiny==1.0" in failed.stderr
    assert "127.0.0.1" not in failed.stdout + failed.stderr
    assert not (project / ".venv" / "installed").exists()

    checkout(tmp_path)
    assert install(project).returncode == 0
    assert installed_version(project) == "1.0"


def test_environment_whose_making_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    project = checkout(tmp_path)
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (project / ".venv" / "unfinished").touch()
    assert install(project).returncode == 0
    assert installed_version(project) == "1.0"
    assert not (project / ".venv" / "unfinished").exists()


def test_old_python_is_told_which_one_is_needed() -> None:
    code = f"import runpy, sys; sys.version_info = (3, 10, 1); runpy.run_path({str(INSTALL)!r}, run_name='__main__')"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "Python 3.10 is too old: SecureNet needs 3.11 or newer." in answer.stderr


def test_python_without_ensurepip_is_told_which_package_to_install(tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError\n")
    answer = subprocess.run(
        [sys.executable, INSTALL],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "-venv (or python3-venv)" in answer.stderr
