"""Paths to lines of text, or to blocks of them: files, folders, standard input; decompressed, unpacked, little at once.

1. What a file is, its first bytes tell, not its name: gzip, Zstandard, xz, bzip2, tar, text, or nothing to read.
2. Nothing here stops a neighbour: what cannot be read is a `Problem`, and the rest goes on.
3. Folders are walked in the order of names. Links to files are followed, links to folders are not, and no file is read
   twice.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import stat
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Generic, TypeVar, cast

import zstandard

from clusterwatch.reading.blocks import BLOCK_BYTES, Block, blocks
from clusterwatch.reading.journal import EXPORT_MARK, exported_lines
from clusterwatch.reading.splitting import raw_lines

if TYPE_CHECKING:
    from typing_extensions import Buffer

T = TypeVar("T")

STDIN = "-"
"""The path that means standard input."""

_CHUNK_BYTES = 256 * 1024
_HEAD_BYTES = 8 * 1024
# Less than is asked for at once: what is more goes straight to where it is wanted.
_HELD_BYTES = 64 * 1024
_NESTED_COMPRESSIONS = 3
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257

_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, tarfile.TarError)

_ADVICE: dict[type[Exception], str] = {
    FileNotFoundError: "no such file or folder",
    PermissionError: "permission denied: run as a user who may read it",
}
_NOT_TEXT: tuple[tuple[bytes, str], ...] = (
    (b"\x7fELF", "is a program, not a log"),
    (b"PK\x03\x04", "is a zip archive or a saved model: unpack it, if there are logs in it"),
    (b"SQLite format 3", "is a database, not a log"),
    (b"LPKSHHRH", 'is a binary journal: use "journalctl --file FILE -o json | clusterwatch diagnose -"'),
)
_TEXT_CONTROLS = b"\t\n\r\f\b\x1b"
_NOT_TEXT_BYTES = bytes(code for code in range(32) if code not in _TEXT_CONTROLS)
_MOST_NOT_TEXT = 0.2


@dataclass(frozen=True, slots=True)
class InputLine:
    """One line: *path* it stands in ("stdin", or "ARCHIVE:MEMBER"), its number from 1, its bytes (their beginning).

    *start* is the offset of its first byte in the file.
    """

    path: str
    number: int
    raw: bytes
    start: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something was not read, or not to its end; one sentence that names it."""

    words: str


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file was read to its end."""

    path: str


@dataclass(frozen=True, slots=True)
class InputBlock:
    """Lines of the file at *path*, one after the other until its `FileRead`."""

    path: str
    block: Block


Found = InputLine | Problem | FileRead
FoundBlock = InputBlock | Problem | FileRead


def lines_in(paths: Iterable[str], on_bytes: Callable[[int], None] = lambda count: None) -> Iterator[Found]:
    """Yield the lines of everything under *paths*, and what could not be read.

    *on_bytes* is told how many bytes of the files were read since it was told last.
    """
    return _found_in(paths, _Reader(_lines_of, on_bytes))


def blocks_in(paths: Iterable[str], on_bytes: Callable[[int], None] = lambda count: None) -> Iterator[FoundBlock]:
    """Yield blocks of lines of everything under *paths*, and what could not be read; a block lives until the next."""
    buffer = bytearray(2 * BLOCK_BYTES)
    return _found_in(paths, _Reader(lambda stream, path: _blocks_of(stream, path, buffer), on_bytes))


def _found_in(paths: Iterable[str], reader: _Reader[T]) -> Iterator[T | Problem | FileRead]:
    for path in paths:
        if path == STDIN:
            yield from reader.found_in(sys.stdin.buffer, "stdin")
        elif _is_folder(Path(path)):
            yield from _in_folder(Path(path), reader)
        else:
            yield from _in_file(path, reader)


def _lines_of(stream: io.BufferedReader, path: str) -> Iterator[InputLine]:
    number = 1
    for line in raw_lines(iter(lambda: stream.read1(_CHUNK_BYTES), b""), 0):
        if not line.is_rest:
            yield InputLine(path, number, line.raw, line.start)
        number += line.has_ended


def _blocks_of(stream: io.BufferedReader, path: str, buffer: bytearray) -> Iterator[InputBlock]:
    for block in blocks(stream, buffer=buffer):
        yield InputBlock(path, block)


def size_of(paths: Iterable[str]) -> int:
    """Return how many bytes the files under *paths* have, compressed as they are."""
    named = [Path(path) for path in paths if path != STDIN]
    files = [file for path in named for file in (_files(path, []) if _is_folder(path) else [path])]
    return sum(_size(file) for file in files)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):  # a name that holds a zero is no name
        return False


def _files(folder: Path, errors: list[OSError]) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, onerror=errors.append):
        folders.sort()
        for path in (Path(place, name) for name in sorted(names)):
            identity = _regular_file(path)
            if identity is not None and identity not in seen:
                seen.add(identity)
                yield path


def _regular_file(path: Path) -> tuple[int, int] | None:
    """Return what tells a regular file from every other; None for anything else: opening a pipe would wait for ever."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _in_folder(folder: Path, reader: _Reader[T]) -> Iterator[T | Problem | FileRead]:
    errors: list[OSError] = []
    is_empty = True
    for file in _files(folder, errors):
        is_empty = False
        yield from _in_file(str(file), reader)
    yield from (Problem(f"{error.filename}: {_words_of(error)}") for error in errors)
    if is_empty and not errors:
        yield Problem(f"{folder}: holds no file")


def _in_file(path: str, reader: _Reader[T]) -> Iterator[T | Problem | FileRead]:
    try:
        with Path(path).open("rb", buffering=0) as handle:
            yield from reader.found_in(handle, path)
    except (OSError, ValueError) as error:
        yield Problem(f"{path}: {_words_of(error)}")


def _words_of(error: Exception) -> str:
    known = _ADVICE.get(type(error))
    return known or (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__


class _Reader(Generic[T]):
    """Reads files, and those inside them, into what *taken* makes of a stream of text."""

    def __init__(self, taken: Callable[[io.BufferedReader, str], Iterator[T]], on_bytes: Callable[[int], None]) -> None:
        self._taken = taken
        self._on_bytes = on_bytes
        self._has_text = False

    def found_in(self, handle: BinaryIO, path: str) -> Iterator[T | Problem | FileRead]:
        self._has_text = False
        try:
            yield from self._decoded(_buffered(_Stream(handle, self._on_bytes)), path, 0)
        except (*_DAMAGE, OSError) as error:
            rest = "the lines before the damage were read" if self._has_text else "nothing of it was read"
            yield Problem(f"{path}: damaged or cut short ({_words_of(error)}); {rest}")

    def _decoded(self, stream: io.BufferedReader, path: str, depth: int) -> Iterator[T | Problem | FileRead]:
        head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
        opener = next((opener for mark, opener in _OPENERS if head.startswith(mark)), None)
        if opener is not None and depth < _NESTED_COMPRESSIONS:
            with closing(opener(stream)) as inner:
                yield from self._decoded(_buffered(inner), path, depth + 1)
        elif head[_TAR_MARK_AT:].startswith(_TAR_MARK):
            yield from self._members(stream, path, depth)
        elif problem := _why_not_text(head):
            yield Problem(f"{path}: {problem}")
        else:
            yield from self._text(stream, path)

    def _members(self, stream: io.BufferedReader, path: str, depth: int) -> Iterator[T | Problem | FileRead]:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is not None and depth < _NESTED_COMPRESSIONS:
                    yield from self._decoded(_buffered(_Stream(content)), f"{path}:{member.name}", depth + 1)

    def _text(self, stream: io.BufferedReader, path: str) -> Iterator[T | FileRead]:
        for each in self._taken(stream, path):
            self._has_text = True
            yield each
        yield FileRead(path)


class _Stream(io.RawIOBase):
    """A stream that is read once, from front to back, and tells how much of it was read."""

    def __init__(self, stream: IO[bytes], on_bytes: Callable[[int], None] = lambda count: None) -> None:
        self._stream = stream
        self._on_bytes = on_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        if isinstance(self._stream, io.RawIOBase):
            count = self._stream.readinto(view) or 0
            self._on_bytes(count)
            return count
        chunk = self._stream.read1(len(view)) if hasattr(self._stream, "read1") else self._stream.read(len(view))
        view[: len(chunk)] = chunk
        self._on_bytes(len(chunk))
        return len(chunk)


def _buffered(stream: IO[bytes] | io.RawIOBase) -> io.BufferedReader:
    # What decompresses is no RawIOBase by name, and one by what it can do.
    return io.BufferedReader(cast("io.RawIOBase", stream), _HELD_BYTES)


class _Translated(io.RawIOBase):
    """A stream of pieces of bytes that are made as they are asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(view), len(self._rest))
        view[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _in_utf8(stream: io.BufferedReader) -> io.RawIOBase:
    """Return a text of UTF-16, which begins with its byte order, as UTF-8."""
    chunks = iter(lambda: stream.read(_CHUNK_BYTES), b"")
    return _Translated(text.encode("utf-8", "replace") for text in codecs.iterdecode(chunks, "utf-16", "replace"))


_OPENERS: tuple[tuple[bytes, Callable[[io.BufferedReader], Any]], ...] = (
    (b"\x1f\x8b", lambda stream: gzip.GzipFile(fileobj=stream, mode="rb")),
    (b"\x28\xb5\x2f\xfd", lambda stream: zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"BZh", bz2.BZ2File),
    (codecs.BOM_UTF16_LE, _in_utf8),
    (codecs.BOM_UTF16_BE, _in_utf8),
    (EXPORT_MARK, lambda stream: _Translated(exported_lines(stream))),
)


def _why_not_text(head: bytes) -> str:
    """Return why *head* begins no log; "" where it may be one.

    Zeros at its beginning do not count: that is what a file holds that was cut short while a program wrote to it.
    """
    known = next((words for mark, words in _NOT_TEXT if head.startswith(mark)), "")
    sample = head.lstrip(b"\x00")
    if known or not sample:
        return known
    controls = len(sample) - len(sample.translate(None, _NOT_TEXT_BYTES))
    broken = sample.decode("utf-8", "replace").count("\N{REPLACEMENT CHARACTER}")
    return "binary data, not a log" if controls + broken > _MOST_NOT_TEXT * len(sample) else ""
