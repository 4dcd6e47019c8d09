"""A line on a terminal that says how far the reading of a file is, written over and over."""

from __future__ import annotations

import shutil
import time
from typing import Protocol

from securenet.logs.files import Progress

BAR_WIDTH = 20
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Terminal(Protocol):
    """What the bar writes to: Django's wrapper of stderr."""

    def write(self, msg: str, style_func: object = ..., ending: str | None = ...) -> None: ...

    def flush(self) -> None: ...


class ProgressBar:
    """Shows the progress of one file.

    Args:
        terminal: where to.
        name: what the file is called.
    """

    def __init__(self, terminal: Terminal, name: str) -> None:
        self._terminal, self._name = terminal, name
        self._began = time.monotonic()

    def show(self, progress: Progress) -> None:
        """Write the line anew."""
        line = progress_line(self._name, progress, time.monotonic() - self._began)
        self._write(line[: shutil.get_terminal_size().columns - 1])

    def clear(self) -> None:
        """Leave the line empty for what comes next."""
        self._write("")

    def _write(self, text: str) -> None:
        self._terminal.write(f"\r\x1b[K{text}", str, ending="")
        self._terminal.flush()


def progress_line(name: str, progress: Progress, seconds: float) -> str:
    """How far a file is, in one line.

    Args:
        seconds: since its beginning.
    """
    rate = f"{progress.lines / seconds:,.0f} lines/s" if seconds > 0 else "- lines/s"
    if progress.size is None:
        return f"{name}  {_amount(progress.read)}  {rate}"
    part = min(progress.read / progress.size, 1.0) if progress.size else 1.0
    bar = "#" * int(part * BAR_WIDTH)
    return f"{name}  [{bar:<{BAR_WIDTH}}] {part:4.0%}  {_amount(progress.read)} of {_amount(progress.size)}  {rate}"


def _amount(count: float) -> str:
    for unit in UNITS:
        if count < 1024 or unit == UNITS[-1]:
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
