"""Log files: read in bounded pieces, and only if they are plain files and not links to others."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from django.utils import timezone

from securenet.logs.ingest import IngestSummary, ingest_lines

LINES_AT_A_TIME = 5000
BYTES_AT_A_TIME = 4 * 1024 * 1024
LONGEST_LINE = 64 * 1024

UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading a log may raise, packed or not."""


class NotALogFile(Exception):
    """The file cannot be read as a log; the message says why."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading of a file is.

    Attributes:
        read: bytes of it, as they lie on the disk.
        size: all its bytes; None where nobody knows.
        lines: taken in so far.
    """

    read: int
    size: int | None
    lines: int


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some lines of a file, and the position in bytes (unpacked) behind the last of them."""

    lines: list[bytes]
    end: int


def ingest_file(
    path: Path, *, source: str, most_lines: int | None = None, report: Report | None = None
) -> IngestSummary:
    """Take in a whole log file, at most 5,000 lines and some 4 MiB at a time.

    Args:
        path: a regular file; ``.gz`` is unpacked.
        source: where the lines come from.
        most_lines: stop after so many; None reads all.
        report: told after each batch how far it is.

    Raises:
        NotALogFile: it is missing, a link, not a regular file, not readable, or broken gzip; says what was taken in
            before that showed.
    """
    try:
        raw = open_regular(path)
    except OSError as error:
        raise NotALogFile(f"{path} cannot be read: {error}.") from error
    with raw, unpacked(path, raw) as stream:
        size = os.fstat(raw.fileno()).st_size

        def tell(lines: int) -> None:
            if report:
                report(Progress(raw.tell(), size, lines))

        return _ingest(str(path), read_batches(stream, most_lines=most_lines), source, tell)


def ingest_stream(stream: IO[bytes], *, name: str, source: str, report: Report | None = None) -> IngestSummary:
    """Take in what comes out of a pipe until it ends; otherwise as `ingest_file`.

    Args:
        stream: binary.
        name: what messages call it.
    """
    read = 0

    def counted() -> Iterator[Batch]:
        nonlocal read
        for batch in read_batches(stream):
            read = batch.end
            yield batch

    def tell(lines: int) -> None:
        if report:
            report(Progress(read, None, lines))

    return _ingest(name, counted(), source, tell)


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading; never waits, and follows no link in the last part of the path.

    Raises:
        NotALogFile: it is a device, a pipe, a folder.
        OSError: it is missing, a link, or not readable.
    """
    raw = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", closefd=True)
    if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        raw.close()
        raise NotALogFile(f"{path} is not a regular file.")
    return raw


def unpacked(path: Path, raw: IO[bytes]) -> IO[bytes]:
    """The bytes of the log in an open file: those of the file, or what gzip packed into it."""
    return gzip.open(raw) if path.suffix == ".gz" else raw  # type: ignore[return-value]


def read_batches(
    stream: IO[bytes], *, offset: int = 0, partial: bool = True, most_lines: int | None = None
) -> Iterator[Batch]:
    """Read lines to the end of a stream, in batches that fit into memory.

    Args:
        stream: stands at ``offset``.
        offset: bytes of the stream that were read before.
        partial: a last line without its line end is a line, too; False leaves it to be completed.
        most_lines: stop after so many.

    Raises:
        OSError, EOFError, zlib.error: see `UNREADABLE`.
    """
    lines: list[bytes] = []
    size = 0
    for line, length in islice(_lines(stream, partial), most_lines):
        lines.append(line)
        size += len(line)
        offset += length
        if len(lines) == LINES_AT_A_TIME or size >= BYTES_AT_A_TIME:
            yield Batch(lines, offset)
            lines, size = [], 0
    if lines:
        yield Batch(lines, offset)


def _lines(stream: IO[bytes], partial: bool) -> Iterator[tuple[bytes, int]]:
    """Lines with their lengths in the file.

    What is beyond the longest line is left out up to the line's end, so that it cannot pass for another line.
    """
    while line := stream.readline(LONGEST_LINE):
        piece, length = line, len(line)
        while len(piece) == LONGEST_LINE and not piece.endswith(b"\n"):
            piece = stream.readline(LONGEST_LINE)
            length += len(piece)
        if not partial and not piece.endswith(b"\n"):
            return
        yield line, length


def _ingest(name: str, batches: Iterator[Batch], source: str, tell: Callable[[int], None]) -> IngestSummary:
    kinds: Counter[str] = Counter()
    unparsed = 0
    received_at = timezone.now()
    try:
        for batch in batches:
            summary = ingest_lines(batch.lines, source=source, received_at=received_at)
            kinds.update(summary.by_kind)
            unparsed += summary.unparsed
            tell(kinds.total())
    except UNREADABLE as error:
        taken_in = f"; {kinds.total()} lines before that were taken in" if kinds else ""
        raise NotALogFile(f"{name} cannot be read: {error}{taken_in}.") from error
    return IngestSummary(kinds.total(), dict(kinds), unparsed)
