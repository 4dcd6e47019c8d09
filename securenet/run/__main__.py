"""`python -m securenet.run`: runs SecureNet until Ctrl-C or SIGTERM.

With ``--with-parent`` it also stops when the process that started it dies; `make run` asks for that.
"""

import argparse
import os
import signal
import sys

from securenet.run import lifeline
from securenet.run.config import RunConfig
from securenet.run.messages import CannotRun, complain
from securenet.run.wakeup import Wakeup


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m securenet.run", description="Run SecureNet until Ctrl-C.")
    parser.add_argument("--with-parent", action="store_true", help="stop when the process that started this one ends")
    options = parser.parse_args()
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


if __name__ == "__main__":
    sys.exit(main())
