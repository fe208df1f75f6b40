"""The flight recorders of the ranks on this node, asked through the pipes that PyTorch made for that.

A rank with TORCH_NCCL_DEBUG_INFO_PIPE_FILE in its environment looks once a second whether anything was written to its
pipe, and then writes what it recorded to its file. https://github.com/pytorch/pytorch,
torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp (DumpPipe)
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusterwatch.errors import SourceError
from clusterwatch.model.collectives import Dump
from clusterwatch.reading.flight_recorder import LARGEST_DUMP_BYTES, dump_of
from clusterwatch.seams import Recalled

ANSWER_SECONDS = 5.0
"""How long ranks are waited for; who has not answered by then is left out."""

PIPE_VARIABLE = "TORCH_NCCL_DEBUG_INFO_PIPE_FILE"
# The second is the older name; PyTorch takes the first that is set.
FILE_VARIABLES = ("TORCH_FR_DUMP_TEMP_FILE", "TORCH_NCCL_DEBUG_INFO_TEMP_FILE")

_LOOK_SECONDS = 0.1
_NOTHING = (0, 0)


@dataclass(frozen=True, slots=True)
class Recorders:
    """Where the ranks of a job listen, and where they write: the beginnings of paths that end in the rank."""

    pipe_prefix: str
    file_prefix: str

    def asked(self) -> Recalled:
        """Ask every rank that listens, and return what came within `ANSWER_SECONDS`."""
        listening = dict(self._listening())
        files = {rank: Path(f"{self.file_prefix}{rank}") for rank in listening}
        before = {rank: _written(path) for rank, path in files.items()}
        open_ranks = {rank for rank, pipe in listening.items() if _write_to(pipe)}
        dumps: dict[int, Dump] = {}
        pause = threading.Event()
        for _ in range(int(ANSWER_SECONDS / _LOOK_SECONDS)):
            for rank in sorted(open_ranks - dumps.keys()):
                dump = _read(files[rank], rank) if _written(files[rank]) != before[rank] else None
                if dump is not None:
                    dumps[rank] = dump
            if dumps.keys() >= open_ranks:
                break
            pause.wait(_LOOK_SECONDS)
        return Recalled(tuple(dumps.values()), detail=_detail(len(dumps), len(listening)))

    def _listening(self) -> Iterable[tuple[int, Path]]:
        prefix = Path(self.pipe_prefix)
        for pipe in sorted(prefix.parent.glob("*.pipe")):
            rank = pipe.name.removeprefix(prefix.name).removesuffix(".pipe")
            if pipe.name.startswith(prefix.name) and rank.isdecimal():
                yield int(rank), pipe


def recorders_of(environment: Mapping[str, str]) -> Recorders | None:
    """Return where the ranks of a command with *environment* can be asked; None where they make no pipes."""
    pipe = environment.get(PIPE_VARIABLE, "")
    file = next((environment[name] for name in FILE_VARIABLES if environment.get(name)), "")
    return Recorders(pipe, file) if pipe and file else None


def _write_to(pipe: Path) -> bool:
    """Ask through *pipe*; return whether somebody listens. Without a reader to open it would wait for ever."""
    try:
        if not stat.S_ISFIFO(pipe.stat().st_mode):
            return False
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.write(descriptor, b"1\n") > 0
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _written(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return _NOTHING
    return status.st_mtime_ns, status.st_size


def _read(path: Path, rank: int) -> Dump | None:
    """Return the dump in *path*; None while it is not whole."""
    try:
        return dump_of(path.read_bytes(), rank) if path.stat().st_size <= LARGEST_DUMP_BYTES else None
    except (OSError, SourceError):
        return None


def _detail(answered: int, listening: int) -> str:
    if not listening:
        return "no rank listens: its pipe is made with its first NCCL group"
    return "" if answered == listening else f"{answered} of {listening} ranks answered in {ANSWER_SECONDS:g} s"
