"""What the world does regardless of us: an endless schedule of faults from one seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from clusterwatch.model import Cause

FIRST_ONSET_SECONDS = 40.0
SHORTEST_GAP_SECONDS = 60.0
LONGEST_GAP_SECONDS = 90.0


class Harm(StrEnum):
    """What a fault does to the job it meets."""

    CRASH = "crash"
    HANG = "hang"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A sort of fault.

    Attributes:
        name: Of its wording.
        cause: What is really the matter.
        of_node: It strikes a node, whoever runs there; else a job, wherever it runs.
        exit_code: Of the struck rank's process; negative for a signal. 0 where it does not end.
        echoes: Wording of what follows the fault's own lines, in order.
        stays: It strikes whoever runs on the node next, until the node is repaired.
    """

    name: str
    cause: Cause
    harm: Harm
    of_node: bool = False
    exit_code: int = 0
    echoes: tuple[str, ...] = ()
    stays: bool = False


_OTHERS_WAIT = ("collective_timeout", "launcher_report")


def _broken_part(name: str, cause: Cause, exit_code: int) -> FaultKind:
    return FaultKind(name, cause, Harm.CRASH, True, exit_code, _OTHERS_WAIT, True)


FAULT_KINDS = (
    _broken_part("gpu_fell_off_bus", Cause.FAULTY_GPU, -6),
    FaultKind("python_exception", Cause.SOFTWARE_BUG, Harm.CRASH, False, 1, ("launcher_report",)),
    FaultKind("corrected_memory", Cause.BENIGN, Harm.NONE, True),
    _broken_part("hbm_uncorrectable", Cause.GPU_HBM, 1),
    FaultKind("host_oom", Cause.OOM_HOST, Harm.CRASH, False, -9, ("launcher_report",)),
    FaultKind("link_flap", Cause.BENIGN, Harm.NONE, True),
    _broken_part("link_down", Cause.NETWORK_SWITCH_CABLE, -6),
    FaultKind("silent_hang", Cause.UNKNOWN, Harm.HANG),
    _broken_part("nvlink_error", Cause.GPU_NVLINK, -6),
    FaultKind("crash_with_xid43", Cause.SOFTWARE_BUG, Harm.CRASH, False, -6, ("launcher_report",)),
    FaultKind("foreign_xid13", Cause.BENIGN, Harm.NONE, True),
    _broken_part("gsp_timeout", Cause.GPU_GSP, -6),
    FaultKind("preemption", Cause.PREEMPTION_OR_OPERATOR, Harm.CRASH, False, -15),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to come.

    Attributes:
        after_seconds: Time since the fault before it, or since the start.
        target: Where it strikes, 0-1: which of the nodes, or which of the jobs' ranks.
        seed: Chooses the wording and the numbers in it.
    """

    id: str
    kind: FaultKind
    after_seconds: float
    target: float
    seed: int


def seeded(*names: object) -> Random:
    """Return a generator of its own for what *names* name; always the same for the same names.

    Only its `random()` is used, which Python keeps the same from version to version.
    """
    return Random("/".join(map(str, names)))  # noqa: S311 - a simulation must repeat; nothing secret hangs on it


def faults(rng: Random, calm: float = 1.0) -> Iterator[Fault]:
    """Yield faults without end, soonest first; every kind once in each round, each round in another order.

    After the first they come *calm* times as far apart as the gaps above say.
    """
    number = 0
    while True:
        for kind in _shuffled(FAULT_KINDS, rng):
            gap = SHORTEST_GAP_SECONDS + rng.random() * (LONGEST_GAP_SECONDS - SHORTEST_GAP_SECONDS)
            number += 1
            after = calm * gap if number > 1 else FIRST_ONSET_SECONDS
            yield Fault(f"fault-{number:04d}", kind, after, rng.random(), int(rng.random() * 2**31))


def _shuffled(kinds: tuple[FaultKind, ...], rng: Random) -> list[FaultKind]:
    return [kind for _, kind in sorted(((rng.random(), kind) for kind in kinds), key=lambda pair: pair[0])]
