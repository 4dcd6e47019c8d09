"""What the supervisor tells the person who started it: single lines, never a traceback.

Output may go to a pipe whose reader has left; that must not stop a shutdown half-way, so printing never fails.
"""

import os
import re
from pathlib import Path

READY = "SecureNet is ready at {url}"
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/@\s]*:)[^/\s]*(@)|((?:sentinel_)?password=)[^&\s]*")


class CannotRun(Exception):
    """SecureNet cannot run; the text says what is wrong and what to do about it."""


def say(line: str) -> None:
    """Print one line of progress to standard output."""
    _print(line, descriptor=1)


def complain(line: str) -> None:
    """Print one line about something that went wrong to standard error."""
    _print(line, descriptor=2)


def _print(line: str, descriptor: int) -> None:
    try:
        os.write(descriptor, f"{line}\n".encode(errors="replace"))
    except OSError:
        # The terminal or pipe is gone: from now on there is nobody to tell.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def without_password(url: str) -> str:
    """Return ``url`` with its passwords replaced by ``***``, fit for a message."""
    return _PASSWORD_IN_URL.sub(r"\1\3***\2", url)


def log_excerpt(path: Path, lines: int = 15) -> str:
    """Return the last ``lines`` lines of the log at ``path``, indented, under a line naming the file."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 16_384))
            tail = log.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        tail = []
    return "\n".join([f"The end of {path}:", *(f"    {line}" for line in tail or ["(empty)"])])
