"""Trace files on disk: plain, or compressed with zstd; what is too large to be one is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from clusterwatch.errors import ConfigError, Mistake, SourceError
from simulators.trace.forms import LONGEST_LINE
from simulators.trace.reading import Kinds, schedule_in
from simulators.trace.records import Schedule, lines

LARGEST_BYTES = 4 << 30
"""Bytes of the largest trace that is read, uncompressed."""

_MAGIC = b"\x28\xb5\x2f\xfd"
_LARGEST_WINDOW = 1 << 27
_LEVEL = 9

OnBytes = Callable[[int], None]
"""Told how many bytes of a file have been read since it was told last."""


def _nobody(count: int) -> None:
    """Tell nobody."""


def read_file(path: Path, kinds: Kinds | None = None, on_bytes: OnBytes = _nobody) -> Schedule:
    """Return the schedule that the trace file *path* holds.

    Raises:
        ConfigError: The file is wrong; holds all mistakes, each with its line.
        SourceError: It cannot be read.
    """
    return schedule_in(lines_of(path, on_bytes), str(path), kinds)


def lines_of(path: Path, on_bytes: OnBytes = _nobody) -> Iterator[bytes]:
    """Yield the lines of the file *path*, uncompressed; the last may be cut where it is too long to be read.

    Raises:
        ConfigError: It is damaged, or too large.
        SourceError: It cannot be read.
    """
    try:
        with _opened(path) as stream:
            yield from _lines(stream, str(path), on_bytes)
    except OSError as cause:
        raise SourceError(f"{path} cannot be read: {cause.strerror or cause}") from cause
    except zstandard.ZstdError as cause:
        words = f"is damaged, or no zstd that is read here ({cause}): write or fetch it again"
        raise ConfigError(str(path), [Mistake("file", words)]) from cause


def write_file(schedule: Schedule, path: Path, on_line: Callable[[], None] = lambda: None) -> str:
    """Write *schedule* to *path*; see `write_lines`."""
    return write_lines(lines(schedule), path, on_line)


def write_lines(texts: Iterable[str], path: Path, on_line: Callable[[], None] = lambda: None) -> str:
    """Write *texts* to *path*, compressed where that ends in ".zst"; return the SHA-256 of its lines.

    The file is there as a whole or not at all.

    Raises:
        SourceError: It cannot be written.
    """
    digest, beside = hashlib.sha256(), path.with_name(f".{path.name}.new")
    try:
        with _created(beside, compressed=path.suffix == ".zst") as stream:
            for line in texts:
                data = f"{line}\n".encode()
                digest.update(data)
                stream.write(data)
                on_line()
        beside.replace(path)
    except OSError as cause:
        raise SourceError(f"{path} cannot be written: {cause.strerror or cause}") from cause
    finally:
        beside.unlink(missing_ok=True)
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        is_compressed = file.read(len(_MAGIC)) == _MAGIC
        file.seek(0)
        if not is_compressed:
            yield file
            return
        decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        with decompressor.stream_reader(file, read_across_frames=True) as stream:
            yield cast(BinaryIO, stream)


@contextmanager
def _created(path: Path, *, compressed: bool) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        if not compressed:
            yield file
            return
        with zstandard.ZstdCompressor(level=_LEVEL).stream_writer(file) as stream:
            yield cast(BinaryIO, stream)


def _lines(stream: BinaryIO, origin: str, on_bytes: OnBytes) -> Iterator[bytes]:
    """Yield the lines of *stream*; none of them is longer than one byte more than the longest that is read."""
    rest, total = b"", 0
    while chunk := stream.read(1 << 16):
        total += len(chunk)
        on_bytes(len(chunk))
        if total > LARGEST_BYTES:
            words = f"is larger than {LARGEST_BYTES:,} bytes uncompressed: split the trace"
            raise ConfigError(origin, [Mistake("file", words)])
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > LONGEST_LINE:
            # What comes after so long a line says nothing about the file.
            break
    if rest:
        yield rest
