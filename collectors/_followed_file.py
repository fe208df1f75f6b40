"""A log file that is followed by name: over rotation, truncation and restarts, line by line."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

_CHUNK_BYTES = 65_536
_LONGEST_LINE_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class FilePlace:
    """Where reading goes on.

    Attributes:
        inode: Of the file that holds the place; 0 before the first.
        offset: Bytes of whole lines read.
        line: Lines read.
        turn: How often the file was replaced or cut; with *offset* it names a line for ever, as inodes are used again.
    """

    inode: int = 0
    offset: int = 0
    line: int = 0
    turn: int = 0


@dataclass(frozen=True, slots=True)
class FileLine:
    """One line and the place it starts at (*line* counts from 1)."""

    raw: bytes
    turn: int
    offset: int
    line: int


def file_place(position: Mapping[str, object]) -> FilePlace:
    """Return the place a stored position names; the beginning where it names none."""
    values = {name: position.get(name, 0) for name in FilePlace.__slots__}
    return FilePlace(**{name: value if isinstance(value, int) else 0 for name, value in values.items()})


class FollowedFile:
    """An open regular file or FIFO. *place* is behind the last line given."""

    def __init__(self) -> None:
        self.place = FilePlace()
        self._fd: int | None = None
        self._path = Path()
        self._rest = b""
        self._pending: deque[tuple[bytes, int]] = deque()

    def lines_after(self, place: FilePlace, path: Path) -> Iterator[FileLine]:
        """Yield the whole lines after *place*, first the end of a file that was rotated away, then its successor.

        Raises:
            OSError: The file cannot be opened or read.
        """
        self._stand_at(place, path)
        yield from self._whole_lines()
        while self._moved_on():
            yield from self._whole_lines()

    def close(self) -> None:
        """Give the file back."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None
        self._forget_read_ahead()

    def _stand_at(self, place: FilePlace, path: Path) -> None:
        if self._fd is not None and self.place == place and self._path == path:
            return
        self._open(_holder(path, place.inode))
        self._path, self.place = path, place
        inode = os.fstat(self._opened).st_ino
        if inode != place.inode:
            self._start_over(inode)
        elif self._is_regular:
            os.lseek(self._opened, place.offset, os.SEEK_SET)

    def _moved_on(self) -> bool:
        """Go to the beginning of what took the file's place, or of what is left of it; return whether it did."""
        if not self._is_regular:
            return False
        here = os.fstat(self._opened)
        if here.st_size < self.place.offset:
            os.lseek(self._opened, 0, os.SEEK_SET)
            self._start_over(here.st_ino)
            return True
        successor = _inode(self._path)
        if successor in (None, here.st_ino):
            return False
        self._open(self._path)
        self._start_over(os.fstat(self._opened).st_ino)
        return True

    def _whole_lines(self) -> Iterator[FileLine]:
        if self._is_regular:
            self._forget_read_ahead()
            os.lseek(self._opened, self.place.offset, os.SEEK_SET)
        while self._pending or self._read_ahead():
            if self._pending:
                yield self._next_line()

    def _read_ahead(self) -> bool:
        """Take in the next bytes; return whether there were any. A FIFO gives them only once, so they are kept."""
        chunk = _chunk(self._opened)
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        self._pending.extend((raw, 1) for raw in whole)
        if len(self._rest) > _LONGEST_LINE_BYTES:
            # Not a log line any more: cut here rather than hold it all in memory.
            self._pending.append((self._rest, 0))
            self._rest = b""
        return bool(chunk)

    def _next_line(self) -> FileLine:
        raw, line_break = self._pending.popleft()
        begins = self.place
        self.place = replace(begins, offset=begins.offset + len(raw) + line_break, line=begins.line + 1)
        return FileLine(raw, begins.turn, begins.offset, self.place.line)

    def _forget_read_ahead(self) -> None:
        self._pending.clear()
        self._rest = b""

    def _start_over(self, inode: int) -> None:
        began = self.place.inode != 0
        self._forget_read_ahead()
        self.place = FilePlace(inode=inode, turn=self.place.turn + 1 if began else 0)

    def _open(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.close()
        self._fd = fd

    @property
    def _opened(self) -> int:
        if self._fd is None:
            raise ValueError("the file is closed")
        return self._fd

    @property
    def _is_regular(self) -> bool:
        return stat.S_ISREG(os.fstat(self._opened).st_mode)


def _chunk(fd: int) -> bytes:
    try:
        return os.read(fd, _CHUNK_BYTES)
    except BlockingIOError:
        return b""


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _holder(path: Path, inode: int) -> Path:
    """Return the file that has *inode*: *path*, or what a rotation renamed it to; *path* where it is gone."""
    if inode and _inode(path) != inode:
        rotated = (sibling for sibling in path.parent.glob(f"{path.name}*") if _inode(sibling) == inode)
        return next(rotated, path)
    return path
