"""Keeps the logs of a long run bounded. Everything in the log folder is opened for appending, so it can be cut."""

import os
import shutil
from pathlib import Path

LONGEST_LOG = 50 * 1024 * 1024


def cut_long_logs(folder: Path, longest: int = LONGEST_LOG) -> None:
    """Move the content of each ``*.log`` of more than ``longest`` bytes to ``*.log.1``, over the one before.

    The file stays the same file, because the processes that write to it keep it open.
    """
    for log in folder.glob("*.log"):
        if log.stat().st_size > longest:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)
