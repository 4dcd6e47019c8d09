"""Runs a Python script whose forks die with it: `python -m securenet.run.tethered manage.py rqworker`.

See `lifeline.forks_die_with_parent` for why the script cannot be started plainly.
"""

import runpy
import sys
from pathlib import Path

from securenet.run import lifeline


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit("Usage: python -m securenet.run.tethered SCRIPT [ARGUMENT …]")
    lifeline.forks_die_with_parent()
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
