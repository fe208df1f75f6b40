"""A folder of dumps of flight recorders to which ranks hold up the others."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clusterwatch.errors import SourceError
from clusterwatch.localise import Localisation, Place, localised
from clusterwatch.model.collectives import Dump
from clusterwatch.reading.flight_recorder import LARGEST_DUMP_BYTES, dump_of, rank_in


@dataclass(frozen=True, slots=True)
class Examined:
    """What the dumps of a folder say; *problems* names each file that looked like a dump and could not be read."""

    answer: Localisation
    dumps: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    dump: Dump
    place: Place | None
    taken_at_ns: int


def examined(folder: Path, ended: Iterable[int] = ()) -> Examined:
    """Return which ranks hold up the job whose dumps lie in *folder* or in its folders, one a node.

    Args:
        ended: Ranks whose process is known to have ended.

    Raises:
        SourceError: There is no such folder, or nothing in it is named as a dump of a rank.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder")
    problems: list[str] = []
    read = list(_dumps(folder, problems))
    if not read and not problems:
        raise SourceError(f"{folder} holds no file named as a dump, such as nccl_trace_rank_0 or rank_0.json")
    places = {each.dump.rank: each.place for each in read if each.place is not None}
    # The first to be written: the others went on for that much longer.
    taken_at = min((each.taken_at_ns for each in read), default=0)
    return Examined(localised((each.dump for each in read), places, tuple(ended), taken_at), len(read), tuple(problems))


def _dumps(folder: Path, problems: list[str]) -> Iterator[_Read]:
    for path, rank in _named_as_dumps(folder):
        try:
            status = path.stat()
            # The pipe that asks a rank for its dump lies beside it; to open it would wait for ever.
            if not stat.S_ISREG(status.st_mode):
                continue
            if status.st_size > LARGEST_DUMP_BYTES:
                raise SourceError(f"{status.st_size >> 20} MiB are too large for a dump")
            dump = dump_of(path.read_bytes(), rank)
        except (OSError, SourceError) as error:
            problems.append(f"{path}: {error}")
            continue
        node = path.parent.name if path.parent != folder else ""
        yield _Read(dump, Place(node) if node else None, status.st_mtime_ns)


def _named_as_dumps(folder: Path) -> Iterator[tuple[Path, int]]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            rank = rank_in(name)
            if rank is not None:
                yield Path(parent, name), rank
