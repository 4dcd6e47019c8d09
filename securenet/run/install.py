"""Makes `.venv` with the pinned packages; what `make install` runs, with any Python that is there.

Until the version is checked this must be readable for an old Python: no f-strings, no type hints, no walrus.
A stamp of what was installed, written last, is what makes the next call return at once.
"""

import sys

OLDEST_PYTHON = (3, 11)


def check_python():
    """End with a remedy when this Python is too old or cannot make virtual environments."""
    version = "%d.%d" % sys.version_info[:2]  # noqa: UP031
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            "Python %s is too old: SecureNet needs 3.11 or newer. Install one and name it: "  # noqa: UP031
            "make install PYTHON=python3.11" % version
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        sys.exit(
            "This Python %s cannot make virtual environments: its module venv or ensurepip is missing.\n"  # noqa: UP031
            "On Debian and Ubuntu: apt-get install python%s-venv (or python3-venv); then run make again."
            % (version, version)
        )


if __name__ == "__main__":
    check_python()
    from pathlib import Path

    project = Path(__file__).resolve().parent.parent.parent
    sys.path.insert(0, str(project))
    from securenet.run.virtualenv import install

    sys.exit(install(project))
