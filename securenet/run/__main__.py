"""`python -m securenet.run`: runs SecureNet until Ctrl-C or SIGTERM.

With ``--with-parent`` it also stops when the process that started it dies; `make run` asks for that. ``--restart`` asks
the one that runs to replace its web server and job workers, without failing a request; that is `make restart`.
"""

import argparse
import os
import signal
import sys

from securenet.run import lifeline
from securenet.run.config import RunConfig
from securenet.run.messages import CannotRun, complain, say
from securenet.run.wakeup import RESTART, Wakeup


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m securenet.run", description="Run SecureNet until Ctrl-C.")
    parser.add_argument("--with-parent", action="store_true", help="stop when the process that started this one ends")
    parser.add_argument("--restart", action="store_true", help="replace the processes of the SecureNet that runs")
    options = parser.parse_args()
    if options.restart:
        return restart()
    os.umask(0o077)  # what SecureNet writes is its own
    wakeup = Wakeup()
    wakeup.install()
    if options.with_parent:
        lifeline.die_with_parent(signal.SIGTERM, os.getppid())
    try:
        config = RunConfig.from_environment()
    except CannotRun as error:
        complain(str(error))
        return 1
    # Only now, with signals in hand: loading it takes a while.
    from securenet.run.supervisor import Supervisor

    return Supervisor(config, wakeup).run()


def restart() -> int:
    """Ask the supervisor that runs on our data folder; its own output says how it goes."""
    from securenet.run.preflight import owner_of

    try:
        data_dir = RunConfig.from_environment().data_dir
    except CannotRun as error:
        complain(str(error))
        return 1
    if (pid := owner_of(data_dir)) is None:
        complain(
            f"No SecureNet runs on {data_dir}. Start one with `make run`, or name its folder: SECURENET_DATA_DIR=…"
        )
        return 1
    os.kill(pid, RESTART)
    say(f"Process {pid} replaces its web server and job workers; it says where it was started when that is done.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
