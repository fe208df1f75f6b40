"""Files that grow, are renamed, cut short or compressed -> their next chunks, from where reading stopped."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import BinaryIO

import zstandard

from clusterwatch.errors import SourceError

COMPRESSED = (".gz", ".zst")
DELETED = " (deleted)"
"""What marks, as in /proc, the path of a file that is gone but was still open here."""

DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)
"""What reading a compressed file that is damaged or still being written raises."""

_CHUNK_BYTES = 64 * 1024
_OPEN_FILES = 64
_WHAT_TO_DO = {
    PermissionError: "permission denied: run as a user who may read it, or give its group the right to",
    IsADirectoryError: "is a folder: name the files in it, such as {path}/*.log",
}


@dataclass(frozen=True, slots=True)
class Spot:
    """How far one file was read.

    Attributes:
        offset: Bytes (decompressed ones of a compressed file) before the next line.
        line: Lines that ended before *offset*; -1 where some were passed over uncounted.
        generation: How often the file was cut short and begun again.
        stream: Path under which it was followed before it was renamed; "" if it never was.
        is_inside: *offset* lies inside a line that was given up.
        seen_bytes: Size of the file when its end was last reached; -1 before.
        seen_at: When a last line without an end was first seen at that size, ISO 8601; "" when there was none.
    """

    inode: int
    offset: int = 0
    line: int = 0
    generation: int = 0
    stream: str = ""
    is_inside: bool = False
    seen_bytes: int = -1
    seen_at: str = ""

    def beyond(self, end: int, ended_lines: int, *, is_inside: bool) -> Spot:
        """Return the spot after what ends at byte *end* was read."""
        line = self.line + ended_lines if self.line >= 0 else self.line
        return replace(self, offset=end, line=line, is_inside=is_inside, seen_at="")

    def begun_again(self) -> Spot:
        """Return the spot of the same file after it was cut short."""
        return Spot(self.inode, generation=self.generation + 1, stream=self.stream)


def spots_in(position: Mapping[str, object]) -> dict[str, Spot]:
    """Return the spot of each path that a saved position names."""
    saved = position.get("files")
    names = [field.name for field in fields(Spot)]
    return (
        {path: Spot(**{name: entry[name] for name in names if name in entry}) for path, entry in saved.items()}
        if isinstance(saved, Mapping)
        else {}
    )


def position_of(spots: Mapping[str, Spot]) -> dict[str, object]:
    """Return *spots* as a JSON-serialisable position."""
    return {"files": {path: asdict(spot) for path, spot in spots.items()}}


class GoneError(SourceError):
    """There is no such file, or not any more."""


def unreadable(path: str, error: OSError) -> SourceError:
    """Return what to tell of a file that cannot be opened."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return GoneError(f"{path}: no such file")
    words = _WHAT_TO_DO.get(type(error), error.strerror or str(error)).format(path=path)
    return SourceError(f"{path}: {words}")


def inode_at(path: str) -> int | None:
    """Return the inode of the file at *path*; None when there is none."""
    try:
        return Path(path).stat().st_ino
    except OSError:
        return None


def is_compressed(path: str) -> bool:
    """Whether *path* is read whole, through a decompressor."""
    return path.endswith(COMPRESSED)


class OpenFiles:
    """Handles that stay open between collections, so that a file that was renamed or removed can be finished."""

    def __init__(self) -> None:
        self._handles: dict[int, BinaryIO] = {}
        self._streams: dict[int, _Stream] = {}

    def holds(self, inode: int) -> bool:
        """Whether the file can still be read although it has no name any more."""
        return inode in self._handles

    def size(self, path: str, spot: Spot) -> int:
        """Return the bytes of the file as it stands.

        Raises:
            SourceError: It cannot be opened; says what to do. GoneError where it does not exist.
        """
        return os.fstat(self._handle(path, spot.inode).fileno()).st_size

    def chunks(self, path: str, spot: Spot) -> Iterator[bytes]:
        """Yield the file from the spot on, decompressed.

        Raises:
            SourceError: It cannot be opened; says what to do. GoneError where it does not exist.
        """
        handle = self._handle(path, spot.inode)
        if is_compressed(path):
            return self._stream(path, handle, spot).chunks(spot.offset)
        handle.seek(spot.offset)
        return iter(lambda: handle.read(_CHUNK_BYTES), b"")

    def release(self, inode: int) -> None:
        """Close what is open of one file."""
        self._streams.pop(inode, None)
        handle = self._handles.pop(inode, None)
        if handle:
            handle.close()

    def keep_only(self, inodes: set[int]) -> None:
        """Close every file but these, and no more than a bounded number stay open."""
        for inode in [held for held in self._handles if held not in inodes]:
            self.release(inode)
        for inode in list(self._handles)[:-_OPEN_FILES]:
            self.release(inode)

    def close(self) -> None:
        """Close everything."""
        self.keep_only(set())

    def _handle(self, path: str, inode: int) -> BinaryIO:
        if inode not in self._handles:
            self._handles[inode] = _opened(path, inode)
        return self._handles[inode]

    def _stream(self, path: str, handle: BinaryIO, spot: Spot) -> _Stream:
        stream = self._streams.get(spot.inode)
        if stream is None or not stream.can_go_to(spot.offset):
            handle.seek(0)
            stream = self._streams[spot.inode] = _Stream(_decompressor(path, handle))
        return stream


class _Stream:
    """A decompressor that can go back within the last chunk it gave, which is all that a full batch needs."""

    def __init__(self, source: gzip.GzipFile | zstandard.ZstdDecompressionReader) -> None:
        self._source = source
        self._last = b""
        self._end = 0
        self._is_spent = False

    def can_go_to(self, offset: int) -> bool:
        return not self._is_spent and offset >= self._end - len(self._last)

    def chunks(self, offset: int) -> Iterator[bytes]:
        while True:
            begin = self._end - len(self._last)
            if offset < self._end:
                yield self._last[max(offset - begin, 0) :]
            try:
                self._last = self._source.read(_CHUNK_BYTES)
            except DAMAGE:
                self._is_spent = True
                raise
            self._end += len(self._last)
            if not self._last:
                self._is_spent = True
                return


def renamed(spots: Mapping[str, Spot], files: OpenFiles) -> dict[str, Spot]:
    """Return *spots* under the names their files have now; those that can no longer be read are left out.

    Log rotation renames a file, then maybe compresses it: reading goes on in the renamed or the compressed one.
    """
    moved: dict[str, Spot] = {}
    siblings: dict[str, dict[int, str]] = {}
    for path, spot in spots.items():
        if inode_at(path) == spot.inode:
            moved[path] = spot
            continue
        folder = str(Path(path).parent)
        names = siblings.setdefault(folder, _names_by_inode(folder))
        found = _found_again(path, spot, names, files)
        if found:
            moved[found[0]] = replace(found[1], stream=spot.stream or path)
    return moved


def _found_again(path: str, spot: Spot, names: Mapping[int, str], files: OpenFiles) -> tuple[str, Spot] | None:
    if spot.inode in names:
        return names[spot.inode], spot
    if files.holds(spot.inode):
        return path.removesuffix(DELETED) + DELETED, spot
    for suffix in COMPRESSED:
        inode = inode_at(path + suffix)
        if inode is not None:
            return path + suffix, replace(spot, inode=inode, seen_bytes=-1, seen_at="")
    return None


def _names_by_inode(folder: str) -> dict[int, str]:
    with suppress(OSError), os.scandir(folder) as entries:
        return {entry.inode(): str(Path(folder) / entry.name) for entry in entries if not entry.is_symlink()}
    return {}


def _opened(path: str, inode: int) -> BinaryIO:
    try:
        mode = Path(path).stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a pipe would wait for its writer
            raise SourceError(f"{path}: not a file that can be followed")
        handle = Path(path).open("rb")  # noqa: SIM115 # stays open between collections
    except OSError as error:
        raise unreadable(path, error) from error
    if os.fstat(handle.fileno()).st_ino != inode:
        handle.close()
        raise GoneError(f"{path}: another file by now")
    return handle


def _decompressor(path: str, handle: BinaryIO) -> gzip.GzipFile | zstandard.ZstdDecompressionReader:
    if path.endswith(".gz"):
        return gzip.GzipFile(fileobj=handle, mode="rb")
    return zstandard.ZstdDecompressor().stream_reader(handle, read_across_frames=True, closefd=False)
