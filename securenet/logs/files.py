"""Log files: read in bounded pieces, and only if they are plain files and not links to others."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from django.utils import timezone

from securenet.logs.ingest import IngestSummary, ingest_lines

LINES_AT_A_TIME = 5000
LONGEST_LINE = 64 * 1024


class NotALogFile(Exception):
    """The file cannot be read as a log; the message says why."""


def ingest_file(path: Path, *, source: str, most_lines: int | None = None) -> IngestSummary:
    """Take in a log file, 5,000 lines at a time.

    Args:
        path: a regular file; ``.gz`` is unpacked.
        source: where the lines come from.
        most_lines: stop after so many; None reads all.

    Raises:
        NotALogFile: it is missing, a link, not a regular file, not readable, or broken gzip; says what was taken in
            before that showed.
    """
    kinds: Counter[str] = Counter()
    unparsed = 0
    received_at = timezone.now()
    lines = islice(_lines(path), most_lines)
    try:
        while batch := list(islice(lines, LINES_AT_A_TIME)):
            summary = ingest_lines(batch, source=source, received_at=received_at)
            kinds.update(summary.by_kind)
            unparsed += summary.unparsed
    except (OSError, EOFError, zlib.error) as error:
        taken_in = f"; {kinds.total()} lines before that were taken in" if kinds else ""
        raise NotALogFile(f"{path} cannot be read: {error}{taken_in}.") from error
    return IngestSummary(kinds.total(), dict(kinds), unparsed)


def _lines(path: Path) -> Iterator[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as raw:
        if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
            raise NotALogFile(f"{path} is not a regular file.")
        if path.suffix == ".gz":
            with gzip.open(raw) as unpacked:
                yield from _read_lines(unpacked)
        else:
            yield from _read_lines(raw)


def _read_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """What is beyond the longest line is left out up to the line's end, so that it cannot pass for another line."""
    while line := stream.readline(LONGEST_LINE):
        yield line
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = stream.readline(LONGEST_LINE)
