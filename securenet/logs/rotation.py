"""Where the rest of a rotated log lies: what was `auth.log` at the last look may be `auth.log.2.gz` now.

A file is known by its first bytes; device and inode only find it faster, since an inode may be another file's next.
Nothing here is kept: files and the position of the last look go in, open files in the order of their lines come out.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from securenet.logs.files import UNREADABLE, NotALogFile, open_regular, unpacked

HEAD_BYTES = 1024
LOOKS = 5

# logrotate's suffixes: a number (1 is the newest), or the date of the rotation; auth.log.1, auth-20251011.log.gz.
_NUMBER = re.compile(r"[.-](\d{1,3})")
_DATE = re.compile(r"[.-](\d{4}-?\d\d-?\d\d(?:[-_T.]?\d{1,10})?)")

Generation = tuple[str, int, str]
Listing = dict[str, os.stat_result]


@dataclass(frozen=True, slots=True)
class Head:
    """The first bytes of a file: how many, and their SHA-256. No bytes are the head of every file."""

    count: int
    digest: str

    @classmethod
    def of(cls, data: bytes) -> Head:
        """The head of a file that begins with ``data``."""
        return cls(len(data[:HEAD_BYTES]), hashlib.sha256(data[:HEAD_BYTES]).hexdigest())

    def begins(self, data: bytes) -> bool:
        """Say whether a file that begins with ``data`` has this head."""
        return len(data) >= self.count and Head.of(data[: self.count]).digest == self.digest


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file: ``offset`` bytes (unpacked) after its beginning."""

    device: str
    inode: str
    offset: int
    head: Head


@dataclass(frozen=True, slots=True)
class Piece:
    """An open file that holds a part of the log.

    Attributes:
        raw: the file itself.
        stream: its lines, unpacked.
        size: its bytes when it was opened.
        head_bytes: the first bytes of ``stream``.
    """

    path: Path
    raw: IO[bytes]
    stream: IO[bytes]
    device: str
    inode: str
    size: int
    head_bytes: bytes

    @property
    def is_packed(self) -> bool:
        """True for gzip."""
        return self.stream is not self.raw

    def at(self, offset: int) -> Position:
        """The position ``offset`` bytes into this file."""
        return Position(self.device, self.inode, offset, Head.of(self.head_bytes))

    def holds(self, position: Position) -> bool:
        """Say whether ``position`` may be one in this file, by its head and, unless it is packed, its length."""
        return position.head.begins(self.head_bytes) and (self.is_packed or self.size >= position.offset)

    def has_its_head(self) -> bool:
        """Say whether the file still begins as it did when it was opened: one that was cut does not."""
        return os.pread(self.raw.fileno(), len(self.head_bytes), 0) == self.head_bytes

    def begins_as(self, other: Piece) -> bool:
        """Say whether this file is, as far as it goes, a copy of another: of one that is to be cut after copying."""
        if self.is_packed or other.is_packed:
            return False
        end = os.fstat(self.raw.fileno()).st_size  # now: both may have grown since they were opened
        last = max(end - HEAD_BYTES, 0)
        return all(
            os.pread(self.raw.fileno(), length, start) == os.pread(other.raw.fileno(), length, start)
            for start, length in ((0, min(end, HEAD_BYTES)), (last, end - last))
        )

    def seek(self, offset: int) -> None:
        """Go to a position in the unpacked bytes.

        Raises:
            EOFError: there are not so many.
        """
        if self.stream.seek(offset) < offset:
            raise EOFError(f"it has fewer than {offset} bytes")


@dataclass(frozen=True, slots=True)
class Pieces:
    """The parts of a log that were not read yet.

    Attributes:
        rest: the file that the last look ended in, if it has another name now.
        between: files that came after it, the oldest first; none of their lines was read.
        current: the file that has the log's name now, if there is one.
        unreadable: what should be among those between, and cannot be opened.
        is_continued: ``current`` is the file that the last look ended in.
    """

    current: Piece | None
    rest: Piece | None = None
    between: tuple[Piece, ...] = ()
    unreadable: tuple[Path, ...] = ()
    is_continued: bool = False

    @property
    def is_lost(self) -> bool:
        """The file that the last look ended in is not to be found."""
        return self.rest is None and not self.is_continued


def open_pieces(path: Path, position: Position, stack: ExitStack) -> Pieces:
    """Open the files that hold what a log got since ``position``, all in the folder of ``path``.

    Args:
        path: the log.
        position: where the last look ended.
        stack: closes the files.

    Raises:
        NotALogFile: ``path`` is no regular file, or files kept being renamed while this looked at them.
        OSError: ``path`` or its folder cannot be read.
    """
    for _ in range(LOOKS):
        with ExitStack() as attempt:
            current = _current(path, attempt)
            if current and _is(current, position) and current.holds(position):
                stack.push(attempt.pop_all())
                return Pieces(current, is_continued=True)
            before = _listing(path)
            pieces = _pieces(path, current, position, before, attempt)
            # While names change hands, a file could be read under two of them, or under none.
            names = _names(path, before)
            is_stable = names == _names(path, _listing(path)) and names.get(path.name) == _identity(current)
            if is_stable and (current is None or current.has_its_head()):
                stack.push(attempt.pop_all())
                return pieces
    raise NotALogFile(f"{path} is being rotated at this moment. Take it in again in a while.")


def open_piece(path: Path, stack: ExitStack) -> Piece:
    """Open a file and read its head.

    Raises:
        NotALogFile: it is no regular file.
        OSError, EOFError, zlib.error: see `UNREADABLE`.
    """
    raw = stack.enter_context(open_regular(path))
    stream = unpacked(path, raw)
    status = os.fstat(raw.fileno())
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    return Piece(path, raw, stream, str(status.st_dev), str(status.st_ino), status.st_size, head)


def is_rotated_name(name: str) -> bool:
    """Say whether a file's name is one that rotation gives: packed, or with a number or a date."""
    return name.endswith((".gz", ".bz2", ".xz", ".zst", ".old")) or any(
        re.search(rf"{suffix.pattern}(?:\.[A-Za-z]{{1,8}})?$", name) for suffix in (_NUMBER, _DATE)
    )


def _current(path: Path, stack: ExitStack) -> Piece | None:
    try:
        return open_piece(path, stack)
    except FileNotFoundError:
        return None


def _pieces(path: Path, current: Piece | None, position: Position, listing: Listing, stack: ExitStack) -> Pieces:
    others = {name: status for name, status in listing.items() if name != path.name}
    rest = _by_inode(path, current, position, others, stack) or _by_head(path, position, others, stack)
    if rest is None:
        # Another inode under the same name, with the same content: a restored backup, a device that was renumbered.
        is_same = current is not None and position.head.count > 0 and current.holds(position)
        return Pieces(current, is_continued=is_same and current is not None and not _is(current, position))
    between, unreadable = [], []
    for newer in _newer(path, rest.path.name, others):
        try:
            piece = open_piece(newer, stack)
        except (NotALogFile, *UNREADABLE):
            unreadable.append(newer)
            continue
        if current is None or not piece.begins_as(current):
            between.append(piece)
    return Pieces(current, rest, tuple(between), tuple(unreadable))


def _by_inode(path: Path, current: Piece | None, position: Position, others: Listing, stack: ExitStack) -> Piece | None:
    if current and _is(current, position):
        return None  # emptied or reused: what was in it is elsewhere
    for name, status in others.items():
        if (str(status.st_dev), str(status.st_ino)) != (position.device, position.inode):
            continue
        if position.head.count == 0 and not _is_relative(path, name):
            continue
        if piece := _holding(path.with_name(name), position, stack):
            return piece
    return None


def _by_head(path: Path, position: Position, others: Listing, stack: ExitStack) -> Piece | None:
    if position.head.count == 0:
        return None
    names = sorted(
        (name for name in others if _is_relative(path, name)),
        key=lambda name: (_generation(path, name) is None, name.endswith(".gz"), -others[name].st_mtime_ns),
    )
    return next((piece for name in names if (piece := _holding(path.with_name(name), position, stack))), None)


def _holding(path: Path, position: Position, stack: ExitStack) -> Piece | None:
    """The file, if the position may be one in it; one that cannot be read is not the one looked for."""
    with ExitStack() as attempt:
        try:
            piece = open_piece(path, attempt)
        except (NotALogFile, *UNREADABLE):
            return None
        if piece.holds(position):
            stack.push(attempt.pop_all())
            return piece
    return None


def _newer(path: Path, name: str, others: Listing) -> list[Path]:
    """The files that were rotated after ``name``, the oldest first; of one that is just being packed the original."""
    of = _generation(path, name)
    if of is None:
        return []
    found: dict[Generation, str] = {}
    for other in sorted(others):  # a packed name comes after the plain one
        generation = _generation(path, other)
        if generation and generation[0] == of[0] and generation > of:
            found.setdefault(generation, other)
    return [path.with_name(found[generation]) for generation in sorted(found)]


def _generation(path: Path, name: str) -> Generation | None:
    """What kind of suffix the name of a rotated ``path`` has, and its place among those of that kind."""
    name = name.removesuffix(".gz")
    suffix = ""
    if name.startswith(path.name):
        suffix = name[len(path.name) :]
    elif path.suffix and name.startswith(path.stem) and name.endswith(path.suffix):
        suffix = name[len(path.stem) : -len(path.suffix)]
    if match := _NUMBER.fullmatch(suffix):
        return "number", -int(match[1]), ""
    if match := _DATE.fullmatch(suffix):
        return "date", 0, match[1]
    return None


def _is_relative(path: Path, name: str) -> bool:
    return name.startswith(path.name.split(".")[0])


def _is(piece: Piece, position: Position) -> bool:
    return (piece.device, piece.inode) == (position.device, position.inode)


def _listing(path: Path) -> Listing:
    """The regular files in the folder of ``path``; those that vanish meanwhile are left out."""
    found: Listing = {}
    with os.scandir(path.parent) as entries:
        for entry in entries:
            try:
                status = os.stat(entry.path, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                found[entry.name] = status
    return found


def _names(path: Path, listing: Listing) -> dict[str, tuple[str, str]]:
    """Which file has which of the names that rotation may give."""
    return {
        name: (str(status.st_dev), str(status.st_ino)) for name, status in listing.items() if _is_relative(path, name)
    }


def _identity(piece: Piece | None) -> tuple[str, str] | None:
    return (piece.device, piece.inode) if piece else None
