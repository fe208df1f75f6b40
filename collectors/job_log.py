"""Log files of jobs to readings, one for each line."""

from __future__ import annotations

import fnmatch
import glob
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from clusterwatch.errors import SourceError
from clusterwatch.model import Collected, Reading, Scalar, Trust
from clusterwatch.reading.lines import decode, leading_stamp, ranked_line
from clusterwatch.reading.sources import rank_in_path
from clusterwatch.reading.splitting import RawLine, raw_lines
from clusterwatch.reading.text import printable
from clusterwatch.seams import Site, WatchedJob
from collectors._log_files import (
    COMPRESSED,
    DAMAGE,
    DELETED,
    GoneError,
    OpenFiles,
    Spot,
    inode_at,
    is_compressed,
    position_of,
    renamed,
    spots_in,
    unreadable,
)

LINES_PER_BATCH = 5_000
BYTES_PER_BATCH = 4 * 1024 * 1024

FAR_BYTES = 64 * 1024 * 1024
"""How far reading may be behind a file's end: lines older than that come too late to act on."""

NEAR_BYTES = 16 * 1024 * 1024
"""How far before the end reading goes on when it was too far behind."""

SKIPPED = "job_log.skipped"
"""Subject of the reading that says how many bytes of a file were passed over. Fields: path, bytes."""

PARTIAL_LINE_PATIENCE = timedelta(seconds=5)
"""How long a last line without an end stays unchanged before it is given as it stands.

Programs whose output is buffered write half lines all the time, and half a line reads as a wrong number.
"""


@dataclass(frozen=True, slots=True)
class _File:
    """A file to read: *stream* is the path it is known by, *path* where it is now."""

    path: str
    stream: str
    job: WatchedJob | None


@dataclass(slots=True)
class _Batch:
    """What one collection gathers, and how much more it may."""

    site: Site
    now: datetime
    spots: dict[str, Spot]
    readings: list[Reading] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    bytes_left: int = BYTES_PER_BATCH

    @property
    def is_full(self) -> bool:
        return len(self.readings) >= LINES_PER_BATCH or self.bytes_left <= 0


class JobLogCollector:
    """Follows the log files of this node's jobs and those of ``paths`` in its settings (paths or patterns).

    Each file is followed through renaming, truncation and compression. A last line that was not finished is given
    when the job has ended (``final`` in the settings) or once nothing was written for `PARTIAL_LINE_PATIENCE`.
    A file that is written faster than it can be read is read near its end, and a reading says what was passed over.
    """

    name = "job_log"
    every_seconds = 1.0
    deadline_seconds = 30.0

    def __init__(self) -> None:
        self._files = OpenFiles()

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return the lines written since *position*, at most a batch; a file that cannot be read is a condition."""
        batch = _Batch(site, now, renamed(spots_in(position), self._files))
        files = _files(site, batch.spots)
        batch.spots = {file.path: batch.spots[file.path] for file in files if file.path in batch.spots}
        for file in files:
            self._read_if_possible(file, batch)
        self._files.keep_only({spot.inode for spot in batch.spots.values()})
        return Collected(tuple(batch.readings), position_of(batch.spots), "; ".join(batch.problems), more=batch.is_full)

    def close(self) -> None:
        """Close the followed files."""
        self._files.close()

    def _read_if_possible(self, file: _File, batch: _Batch) -> None:
        try:
            self._read(file, batch)
        except GoneError:  # not there yet, or not any more
            return
        except SourceError as problem:
            batch.problems.append(str(problem))
        except DAMAGE as damage:
            batch.problems.append(f"{file.path}: damaged, or still being compressed: {damage}")
        except OSError as error:
            batch.problems.append(str(unreadable(file.path, error)))

    def _read(self, file: _File, batch: _Batch) -> None:
        spot = batch.spots.get(file.path) or Spot(_inode(file.path))
        size = self._files.size(file.path, spot)
        if size < spot.offset and not is_compressed(file.path):
            spot = spot.begun_again()
        batch.spots[file.path] = spot
        if _is_read(file.path, spot, size):
            self._forget_if_deleted(file.path, batch)
        elif not batch.is_full and not _is_waiting(spot, size, batch):
            if _is_far_behind(file.path, spot, size, batch):
                spot = self._skip(file, spot, size, batch)
            self._read_lines(file, spot, size, batch)

    def _skip(self, file: _File, spot: Spot, size: int, batch: _Batch) -> Spot:
        """Return the spot near the end of the file, at the beginning of a line where one begins in reach."""
        # One byte more: a line that begins right there is known by the line feed before it.
        near = replace(spot, offset=size - NEAR_BYTES - 1)
        rest = next(raw_lines(self._files.chunks(file.path, near), near.offset, is_rest=True), None)
        if rest is None:  # cut short since its size was taken
            return spot
        skipped = replace(spot, offset=rest.end, line=-1, is_inside=_is_inside(rest), seen_bytes=-1, seen_at="")
        batch.readings.append(_skipped(file, spot, skipped, batch))
        batch.spots[file.path] = skipped
        return skipped

    def _read_lines(self, file: _File, spot: Spot, size: int, batch: _Batch) -> None:
        gives_all = _is_final(batch) or _has_waited(spot, size)
        try:
            for line in raw_lines(self._files.chunks(file.path, spot), spot.offset, spot.is_inside):
                if not (_is_whole(line) or gives_all):
                    batch.spots[file.path] = replace(spot, seen_bytes=size, seen_at=batch.now.isoformat())
                    return
                _take(file, spot, line, batch)
                spot = batch.spots[file.path] = spot.beyond(line.end, line.has_ended, is_inside=_is_inside(line))
                if batch.is_full:
                    return
        except DAMAGE:
            batch.spots[file.path] = replace(spot, seen_bytes=size)  # looked at again when it has grown
            raise
        batch.spots[file.path] = replace(spot, seen_bytes=size, seen_at="")

    def _forget_if_deleted(self, path: str, batch: _Batch) -> None:
        if path.endswith(DELETED):
            self._files.release(batch.spots.pop(path).inode)


def _files(site: Site, spots: Mapping[str, Spot]) -> list[_File]:
    """Return what to read in this order: of each stream the renamed files, oldest first, then the one it is now."""
    patterns: list[tuple[str, WatchedJob | None]] = [(pattern, job) for job in site.jobs for pattern in job.log_paths]
    patterns += [(pattern, None) for pattern in _configured(site)]
    found: dict[str, _File] = {}
    for path, spot in spots.items():
        stream = spot.stream or path
        owner = [job for pattern, job in patterns if _belongs(stream, pattern)]
        if owner:
            found[path] = _File(path, stream, owner[0])
    for pattern, job in patterns:
        for path in _expanded(pattern):
            if not _is_copy(path, spots):
                found.setdefault(path, _File(path, path, job))
    return _each_once(sorted(found.values(), key=_order))


def _configured(site: Site) -> list[str]:
    paths = site.settings.get("paths", ())
    return [str(path) for path in paths] if isinstance(paths, (list, tuple)) else [str(paths)]


def _belongs(path: str, pattern: str) -> bool:
    return path == pattern or fnmatch.fnmatchcase(path, pattern)


def _expanded(pattern: str) -> list[str]:
    if glob.has_magic(pattern) and not Path(pattern).exists():
        return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 # Path.glob takes no absolute pattern
    return [pattern]


def _is_copy(path: str, spots: Mapping[str, Spot]) -> bool:
    """Whether *path* is being compressed from a file that is followed, and would be read twice."""
    plain = [path.removesuffix(suffix) for suffix in COMPRESSED if path.endswith(suffix)]
    return path not in spots and any(name in spots for name in plain)


def _order(file: _File) -> tuple[str, bool, float]:
    try:
        written_at = Path(file.path).stat().st_mtime
    except OSError:
        written_at = 0.0
    return file.stream, file.path == file.stream, written_at


def _each_once(files: list[_File]) -> list[_File]:
    """Return *files* without second names of the same file, such as a link to the latest log."""
    inodes: set[int] = set()
    kept = []
    for file in files:
        inode = inode_at(file.path)
        if inode is None or inode not in inodes:
            kept.append(file)
        if inode is not None:
            inodes.add(inode)
    return kept


def _inode(path: str) -> int:
    try:
        return Path(path).stat().st_ino
    except OSError as error:
        raise unreadable(path, error) from error


def _is_read(path: str, spot: Spot, size: int) -> bool:
    if is_compressed(path):
        return spot.seen_bytes == size and not spot.seen_at
    return spot.offset >= size


def _has_waited(spot: Spot, size: int) -> bool:
    return spot.seen_bytes == size and spot.seen_at != ""


def _is_waiting(spot: Spot, size: int, batch: _Batch) -> bool:
    if not _has_waited(spot, size) or _is_final(batch):
        return False
    return batch.now - datetime.fromisoformat(spot.seen_at) < PARTIAL_LINE_PATIENCE


def _is_final(batch: _Batch) -> bool:
    return bool(batch.site.settings.get("final"))


def _is_whole(line: RawLine) -> bool:
    return line.has_ended or line.is_overwritten or line.is_given_up or line.is_rest


def _is_inside(line: RawLine) -> bool:
    """Whether what follows *line* is the rest of it."""
    return line.is_given_up or (line.is_rest and not line.has_ended and not line.is_overwritten)


def _is_far_behind(path: str, spot: Spot, size: int, batch: _Batch) -> bool:
    return size - spot.offset > FAR_BYTES and not is_compressed(path) and not _is_final(batch)


def _take(file: _File, spot: Spot, line: RawLine, batch: _Batch) -> None:
    batch.bytes_left -= line.end - line.start
    if not line.is_rest:
        batch.readings.append(_reading(file, spot, line, batch))


def _reading(file: _File, spot: Spot, line: RawLine, batch: _Batch) -> Reading:
    rank, text = ranked_line(printable(decode(line.raw)), batch.now)
    stamp = leading_stamp(text, batch.now)
    return replace(
        _of_file(file, batch, _position(spot, line.start)),
        happened_at=stamp.at if stamp and stamp.has_zone else None,
        text=text,
        fields=_fields(file, spot, line),
        rank=rank if rank is not None else rank_in_path(file.stream),
    )


def _skipped(file: _File, before: Spot, after: Spot, batch: _Batch) -> Reading:
    passed_over = after.offset - before.offset
    return replace(
        _of_file(file, batch, f"{_position(before, before.offset)}-{after.offset}"),
        subject=SKIPPED,
        text=f"{passed_over} bytes of {file.path} were passed over: it grows faster than it can be read",
        fields={"path": file.path, "bytes": passed_over},
    )


def _of_file(file: _File, batch: _Batch, position: str) -> Reading:
    return Reading(
        source=JobLogCollector.name,
        node=batch.site.node if file.job is None or file.job.node is None else file.job.node,
        boot_id=batch.site.boot_id,
        position=position,
        observed_at=batch.now,
        trust=Trust.USER,
        job=file.job.id if file.job else None,
        attempt=file.job.attempt if file.job else None,
    )


def _fields(file: _File, spot: Spot, line: RawLine) -> dict[str, Scalar]:
    place = str(spot.line + 1) if spot.line >= 0 else f"@{line.start}"
    fields: dict[str, Scalar] = {"origin": f"{file.path}:{place}", "stream": file.stream}
    if not _is_whole(line):
        fields["is_cut"] = True
    return fields


def _position(spot: Spot, offset: int) -> str:
    # A file that was cut short begins again at byte 0, and its new first line is not its old one.
    generation = f".{spot.generation}" if spot.generation else ""
    return f"{spot.inode}{generation}:{offset}"
