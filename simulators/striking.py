"""One fault and the job it meets, to what each of them prints and how the job ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from signal import Signals

from simulators.agenda import Agenda
from simulators.job import SimulatedJob
from simulators.reporting import Reporter
from simulators.schedule import Fault, Harm, seeded
from simulators.spec import GPUS_PER_NODE, address_of
from simulators.wording import Line, Speaker, Wording

# Where the eight GPUs of an HGX H100 board usually sit on the PCI bus.
_GPU_PCI = ("18:00", "2a:00", "3a:00", "5d:00", "9a:00", "ab:00", "ba:00", "db:00")
_REPORT_SECONDS = 0.5
_SIGTERM = -15


@dataclass(frozen=True, slots=True)
class Victim:
    """What a fault meets: a GPU of a node, and the rank of the job that trains there, if one does."""

    node: str
    gpu: int
    job: SimulatedJob | None = None

    @property
    def rank(self) -> int:
        """The rank on that GPU; only where there is a job."""
        assert self.job is not None
        return self.job.nodes.index(self.node) * GPUS_PER_NODE + self.gpu


class Striker:
    """Lets faults strike."""

    def __init__(self, agenda: Agenda, reporter: Reporter, wording: Wording) -> None:
        self._agenda, self._reporter, self._wording = agenda, reporter, wording

    def strike(self, fault: Fault, victim: Victim, at: datetime) -> None:
        """Let *fault* strike *victim* now: its words follow, and the job comes to harm."""
        values = _drawn(fault, victim)
        lines = self._words(fault)
        for line, seconds in lines:
            self._plan_line(line, seconds, victim, values, at)
        if victim.job is not None and fault.kind.harm is not Harm.NONE:
            victim.job.stall()
        if victim.job is not None and fault.kind.harm is Harm.CRASH:
            end = partial(_end, victim.job, victim.rank, fault.kind.exit_code)
            victim.job.while_alive(at, lines[-1][1] + _REPORT_SECONDS, end)

    def _words(self, fault: Fault) -> list[tuple[Line, float]]:
        words: list[tuple[Line, float]] = []
        began_seconds = 0.0
        for part in (fault.kind.name, *fault.kind.echoes):
            variants = self._wording[part]
            variant = variants[int(seeded(fault.seed, part).random() * len(variants))]
            words += [(line, began_seconds + line.after_seconds) for line in variant.lines]
            began_seconds += variant.seconds
        return words

    def _plan_line(
        self, line: Line, seconds: float, victim: Victim, values: Mapping[str, object], at: datetime
    ) -> None:
        if line.speaker is Speaker.KERNEL:
            self._agenda.after(at, seconds, partial(self._say_as_kernel, line, victim.node, values))
        elif victim.job is not None:
            for rank in _speaking(line.speaker, victim.job, victim.rank):
                victim.job.while_alive(at, seconds, partial(victim.job.say, line, rank, values))

    def _say_as_kernel(self, line: Line, node: str, values: Mapping[str, object], at: datetime) -> None:
        for text in line.printed(values):
            self._reporter.kernel(node, text, at)


def _speaking(speaker: Speaker, job: SimulatedJob, struck: int) -> list[int]:
    if speaker is not Speaker.PEER:
        return [struck]
    firsts = range(0, job.ranks_total, GPUS_PER_NODE)
    return [rank for rank in firsts if rank // GPUS_PER_NODE != struck // GPUS_PER_NODE]


def _end(job: SimulatedJob, rank: int, exit_code: int, at: datetime) -> None:
    job.rank_exited(at, rank, exit_code)
    job.end(at, exit_code if exit_code == _SIGTERM else 1)


def _drawn(fault: Fault, victim: Victim) -> dict[str, object]:
    """Return the numbers of one strike: the same for the same fault and victim."""
    rng = seeded(fault.seed)
    stranger = 30_000 + int(rng.random() * 9_000)
    return {
        "pci": f"0000:{_GPU_PCI[victim.gpu]}",
        "gpu": victim.gpu,
        "local_rank": victim.gpu,
        "pid": stranger if victim.job is None else victim.job.pid(victim.rank),
        "slurm_job": 0 if victim.job is None else victim.job.spec.scheduler_id,
        "stranger": stranger,
        "uuid": f"{int(rng.random() * 2**32):08x}-4b1d-9c02-a7f3-{int(rng.random() * 2**48):012x}",
        "unit": 1 + int(rng.random() * 8),
        "word": 10_000_000 + int(rng.random() * 500_000_000),
        "address": int(rng.random() * 2**36),
        "kib": 400_000_000 + int(rng.random() * 90_000_000),
        "port": 32_768 + int(rng.random() * 28_000),
        "line": 100 + int(rng.random() * 300),
        "sequence": 1_000 + int(rng.random() * 90_000),
        "ip": address_of(victim.node),
        "nic": f"mlx5_{victim.gpu}",
        "nic_pci": f"0000:{0x1A + 16 * victim.gpu:02x}:00",
        "netdev": f"enp{26 + 16 * victim.gpu}s0f0np0",
        "exit_code": fault.kind.exit_code,
        "how_it_ended": _how_it_ended(fault.kind.exit_code, victim),
    }


def _how_it_ended(exit_code: int, victim: Victim) -> str:
    if exit_code >= 0 or victim.job is None:
        return "To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html"
    return f"Signal {-exit_code} ({Signals(-exit_code).name}) received by PID {victim.job.pid(victim.rank)}"
