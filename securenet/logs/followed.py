"""Followed log files: each is taken in from where the last run stopped, over any rotation.

Lines and the position behind them are one transaction, and a position is only moved on from where it was read: a run
that is killed loses nothing, and of two runs at a time only one takes a line.
"""

from __future__ import annotations

import glob
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from securenet.logs.files import UNREADABLE, NotALogFile, Progress, Report, read_batches
from securenet.logs.ingest import IngestSummary, ingest_lines
from securenet.logs.models import FollowedFile
from securenet.logs.rotation import LOOKS, Head, Piece, Pieces, Position, is_rotated_name, open_piece, open_pieces
from securenet.logs.source import label_for

LONGEST_PATH = 1024

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What a run took in of a followed file.

    Attributes:
        path: the file.
        summary: of the lines that were stored.
        warnings: what an operator should know, such as lines that may be missing.
        error: why the file could not be read to its end; empty if it was.
    """

    path: Path
    summary: IngestSummary
    warnings: tuple[str, ...] = ()
    error: str = ""


def take_in_followed_files(progress: Callable[[float, str], None]) -> list[TakenIn]:
    """Take in what the files of ``LOG_FILES`` got since the last time. What goes wrong is logged, and in the result.

    Args:
        progress: told how far it is, as a fraction of 1 and in words; may raise to stop, which loses nothing.
    """
    paths, missing = followed_paths()
    results = []
    for number, path in enumerate(paths):

        def tell(now: Progress, path: Path = path, number: int = number) -> None:
            part = min(now.read / now.size, 1.0) if now.size else 1.0
            progress((number + part) / len(paths), f"{path}: {now.lines} lines")

        results.append(take_in(path, source=label_for(path.name), report=tell))
    problems = [text for result in results for text in (*result.warnings, result.error) if text]
    for problem in (*missing, *problems):
        logger.warning("%s", problem)
    return results


def followed_paths(patterns: Sequence[str] | None = None) -> tuple[list[Path], list[str]]:
    """The files that are followed, and what to say of patterns that match none.

    A pattern stands for regular files only, and not for those that rotation put aside: they are read as parts of
    the file that they were.

    Args:
        patterns: absolute paths, perhaps with ``*``, ``?`` and ``[...]``; by default those of ``LOG_FILES``.
    """
    paths: dict[Path, None] = {}
    missing = []
    for pattern in settings.SECURENET_LOG_FILES if patterns is None else patterns:
        if os.path.lexists(pattern) or not glob.has_magic(pattern):
            paths[Path(pattern)] = None
            continue
        found = [Path(name) for name in sorted(glob.glob(pattern)) if not is_rotated_name(name)]
        regular = [path for path in found if path.is_file() and not path.is_symlink()]
        paths.update(dict.fromkeys(regular))
        if not regular:
            missing.append(f"LOG_FILES: no file matches {pattern}.")
    return list(paths), missing


def take_in(path: Path, *, source: str, report: Report | None = None) -> TakenIn:
    """Take in what a file got since the last time, or all of it the first time; whole lines only.

    Args:
        path: not packed; its rotated parts are looked for in its folder.
        source: where the lines come from.
        report: told after each batch how far it is; may raise to stop, which loses nothing.
    """
    run = _Run(Path(os.path.abspath(path)), source, report)
    error = ""
    try:
        run.take_in()
    except NotALogFile as failure:
        error = str(failure)
    except UNREADABLE as failure:
        error = f"{path} cannot be read: {failure}."
    except _LeftToAnother:
        run.warnings.append(f"{path} is being taken in by another run; the rest was left to it.")
    return TakenIn(path, IngestSummary(run.kinds.total(), dict(run.kinds), run.unparsed), tuple(run.warnings), error)


class _LeftToAnother(Exception):
    """The position is not where this run put it: another run is taking the same lines in."""


class _CutMeanwhile(Exception):
    """The file was emptied while it was read; what was read last may be of the old content or of the new."""


class _Run:
    """One look at one file."""

    def __init__(self, path: Path, source: str, report: Report | None) -> None:
        self.kinds: Counter[str] = Counter()
        self.unparsed = 0
        self.warnings: list[str] = []
        self._path, self._source, self._report = path, source, report
        self._received_at = timezone.now()

    def take_in(self) -> None:
        """Read what is new; looks again if the file is emptied meanwhile."""
        self._check_name()
        for _ in range(LOOKS):
            try:
                self._look()
            except _CutMeanwhile:
                continue
            return
        raise NotALogFile(f"{self._path} is being rotated at this moment. Take it in again in a while.")

    def _look(self) -> None:
        """Read the rest of the file of the last look, the files that were rotated since, and the file itself."""
        with ExitStack() as stack:
            self._position = self._known_position(stack)
            pieces = open_pieces(self._path, self._position, stack)
            # As long as the successor is empty, the writer may still write into the old file.
            has_successor = pieces.current is not None and pieces.current.size > 0
            if pieces.rest:
                self._read_old(pieces.rest, is_ended=has_successor)
                if not has_successor:
                    return
            for path in pieces.unreadable:
                self.warnings.append(f"{path} cannot be read; its lines may be missing.")
            for piece in pieces.between:
                self._move_to(piece.at(0))
                self._read_old(piece, is_ended=True)
            self._read_current(pieces)

    def _check_name(self) -> None:
        name = str(self._path)
        if self._path.suffix == ".gz":
            raise NotALogFile(f"{name} is packed and does not grow. Take it in once, without --resume.")
        if len(name) > LONGEST_PATH or not name.isprintable():
            raise NotALogFile(
                f"{name!r} cannot be followed: a path has at most {LONGEST_PATH} characters, all printable."
            )

    def _known_position(self, stack: ExitStack) -> Position:
        row = FollowedFile.objects.filter(path=str(self._path)).first()
        if row is None:
            start = open_piece(self._path, stack).at(0)
            row, _ = FollowedFile.objects.get_or_create(path=str(self._path), defaults=_columns(start))
        return Position(row.device, row.inode, row.offset, Head(row.head_length, row.head_digest))

    def _read_old(self, piece: Piece, *, is_ended: bool) -> None:
        """Read a file that was rotated. One that is damaged must not keep the newer ones from being read."""
        try:
            self._read(piece, self._position, partial=is_ended)
        except UNREADABLE as error:
            self.warnings.append(f"{piece.path} cannot be read to its end: {error}. Lines of it may be missing.")

    def _read_current(self, pieces: Pieces) -> None:
        piece = pieces.current
        if pieces.is_lost:
            self.warnings.append(
                f"{self._path} was replaced or cut, and the file it was is not in {self._path.parent} any more: lines "
                "that were written to it after the last run may be missing."
            )
        if piece is None:
            raise NotALogFile(f"{self._path} cannot be read: it is not there.")
        if not pieces.is_continued:
            if not piece.has_its_head():
                raise _CutMeanwhile
            self._move_to(piece.at(0))
        self._read(piece, piece.at(self._position.offset), partial=False)

    def _read(self, piece: Piece, start: Position, *, partial: bool) -> None:
        """Read a file from a position on; that is also how the file is known from now on."""
        piece.seek(start.offset)
        for batch in read_batches(piece.stream, offset=start.offset, partial=partial):
            if not piece.is_packed and not piece.has_its_head():
                raise _CutMeanwhile
            self._store(batch.lines, replace(start, offset=batch.end))
            if self._report:
                self._report(Progress(piece.raw.tell(), piece.size, self.kinds.total()))

    def _store(self, lines: list[bytes], position: Position) -> None:
        summary = ingest_lines(
            lines, source=self._source, received_at=self._received_at, first=lambda: self._advance(position)
        )
        self._position = position
        self.kinds.update(summary.by_kind)
        self.unparsed += summary.unparsed

    def _move_to(self, position: Position) -> None:
        with transaction.atomic():
            self._advance(position)
        self._position = position

    def _advance(self, position: Position) -> None:
        """Write the new position over the one this run knows. The row stays locked until the transaction ends."""
        known = FollowedFile.objects.filter(path=str(self._path), **_columns(self._position))
        if not known.update(**_columns(position), updated_at=timezone.now()):
            raise _LeftToAnother


def _columns(position: Position) -> dict[str, str | int]:
    return {
        "device": position.device,
        "inode": position.inode,
        "offset": position.offset,
        "head_length": position.head.count,
        "head_digest": position.head.digest,
    }
