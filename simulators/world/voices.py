"""A fault and whom it meets to the lines and samples that collectors would see.

A wording says who speaks and when; here it is filled with the numbers of one strike and put into the outbox. What all
ranks of a node print alike is one reading with its ranks, as the agent on the node folds it; told rank by rank it is
eight of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import compress, islice

from clusterwatch.model import Scalar
from simulators.cluster import gpu_pci, nic_device, nic_pci
from simulators.fleet_wording import FleetLine, FleetSample, FleetVariant, LineWho, families
from simulators.schedule import seeded
from simulators.world.outbox import Outbox, Whose

_RACK_NODES = 2
_LOOK_SECONDS = 10.0
_FOLD_SECONDS = 1.0
_RANKS_SPREAD_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class Scene:
    """A job where something is about to be said. *nodes* are in the order of rank, *slots* their places there."""

    whose: Whose
    nodes: Sequence[str]
    slots: Mapping[str, int]
    gpus_per_node: int
    step: int
    user: str
    scheduler_id: int
    directory: str

    @property
    def world_size(self) -> int:
        """How many ranks it has."""
        return len(self.nodes) * self.gpus_per_node

    def first_beside(self, node: str) -> str:
        """Return the first node that is not *node*: who speaks for all when *node* is lost."""
        return next((name for name in self.nodes[:2] if name != node), node)


class Voices:
    """Puts words into the outbox."""

    def __init__(self, outbox: Outbox, start: datetime, *, rank_by_rank: bool = False) -> None:
        self.rank_by_rank = rank_by_rank
        self._outbox, self._start = outbox, start.astimezone(UTC).replace(tzinfo=None)

    def strike(
        self,
        variant: FleetVariant,
        scene: Scene,
        node: str,
        gpu: int,
        exit_code: int,
        seed: int,
        at: float,
        loss: float,
    ) -> None:
        """Say what *variant* says of *node*; *loss* multiplies how often a signal is missing."""
        values = self._values(scene, node, gpu, exit_code, seed, at)
        told = [line.seen for line in variant.lines] + [sample.seen for sample in variant.samples]
        seen = _seen(told, loss, seed)
        for line in compress(variant.lines, seen):
            self._say(line, scene, node, gpu, values, at + line.after_seconds)
        looked_at: dict[str, float] = {}
        for sample in compress(variant.samples, islice(seen, len(variant.lines), None)):
            self._sample(sample, node, values, at, looked_at)

    def everywhere(
        self,
        family: str,
        scene: Scene,
        nodes: Iterable[str],
        seed: int,
        at: float,
        spread_seconds: float,
        about: str = "",
        most_lines: int | None = None,
    ) -> None:
        """Let all ranks of *nodes* say a variant of *family*, each node within *spread_seconds* of *at*.

        What the step says is said once. *about* is the node of the peer that they name, their neighbour where it is
        not given; with *most_lines* each node says only so many lines of the variant.
        """
        variants = families()[family]
        rng = seeded(seed, family)
        variant = variants[int(rng.random() * len(variants))]
        shared = self._values(scene, scene.nodes[0], 0, 0, seed, at)
        if about:
            shared |= _of_peer(scene, about)
        for line in variant.lines:
            if line.who is LineWho.STEP:
                self._say(line, scene, about or scene.nodes[0], 0, shared, at + line.after_seconds)
        said_by_each = [line for line in variant.lines if line.who is not LineWho.STEP][:most_lines]
        said_by_each = [line.shared(shared, _OF_RANK) for line in said_by_each]
        for node in nodes:
            values = _of_rank(scene, node, 0)
            begins = at + spread_seconds * rng.random()
            for line in said_by_each:
                self._say_alike(line, scene, node, values, begins + line.after_seconds)

    def once(self, family: str, scene: Scene, node: str, gpu: int, exit_code: int, seed: int, at: float) -> None:
        """Let one rank or launcher of *node* say a variant of *family*."""
        variants = families()[family]
        variant = variants[int(seeded(seed, family).random() * len(variants))]
        self.strike(variant, scene, node, gpu, exit_code, seed, at, loss=0.0)

    def _say(self, line: FleetLine, scene: Scene, node: str, gpu: int, values: Mapping[str, Scalar], at: float) -> None:
        for text in line.printed(self._values_at(line, values, at)):
            self._tell[line.who](self, scene, node, gpu, text, at)

    def _tell_kernel(self, scene: Scene, node: str, gpu: int, text: str, at: float) -> None:
        self._outbox.kernel(node, text, at)

    def _tell_rank(self, scene: Scene, node: str, gpu: int, text: str, at: float) -> None:
        if node in scene.slots:
            rank = scene.slots[node] * scene.gpus_per_node + gpu
            self._outbox.printed(Whose(scene.whose.job, scene.whose.attempt, rank), node, text, at)

    def _tell_launcher(self, scene: Scene, node: str, gpu: int, text: str, at: float) -> None:
        if node in scene.slots:
            self._outbox.printed(scene.whose, node, text, at, "stderr")

    def _tell_step(self, scene: Scene, node: str, gpu: int, text: str, at: float) -> None:
        self._outbox.printed(scene.whose, scene.first_beside(node), text, at, "stderr")

    def _tell_bmc(self, scene: Scene, node: str, gpu: int, text: str, at: float) -> None:
        self._outbox.line("bmc", node, text, at)

    def _tell_scheduler(self, scene: Scene, node: str, gpu: int, text: str, at: float) -> None:
        self._outbox.line("slurm", node, text, at)

    _tell: Mapping[LineWho, Callable[..., None]] = {
        LineWho.KERNEL: _tell_kernel,
        LineWho.RANK: _tell_rank,
        LineWho.LAUNCHER: _tell_launcher,
        LineWho.STEP: _tell_step,
        LineWho.BMC: _tell_bmc,
        LineWho.SCHEDULER: _tell_scheduler,
    }

    def _say_alike(self, line: FleetLine, scene: Scene, node: str, values: dict[str, Scalar], at: float) -> None:
        if line.who is not LineWho.RANK:
            self._say(line, scene, node, 0, values, at)
            return
        first = int(values["rank"] or 0)
        if self.rank_by_rank:
            for gpu in range(scene.gpus_per_node):
                own = _of_rank(scene, node, gpu)
                self._say(line, scene, node, gpu, own, at + _RANKS_SPREAD_SECONDS * gpu / scene.gpus_per_node)
            return
        last_at = at + _RANKS_SPREAD_SECONDS * (scene.gpus_per_node - 1) / scene.gpus_per_node
        folded: dict[str, Scalar] = {
            "ranks": f"{first}-{first + scene.gpus_per_node - 1}",
            "count": scene.gpus_per_node,
            "first_at": self.iso(at),
            "last_at": self.iso(last_at),
        }
        whose = Whose(scene.whose.job, scene.whose.attempt, first)
        for text in line.printed(self._values_at(line, values, at)):
            self._outbox.printed(whose, node, text, at + _FOLD_SECONDS, folded=folded)

    def _sample(
        self,
        sample: FleetSample,
        node: str,
        values: Mapping[str, Scalar],
        at: float,
        looked_at: dict[str, float],
    ) -> None:
        """Take the sample, and before it the regular one before the fault, or what it found between two looks."""
        source, subject = sample.who.value, sample.subject
        before_at = max(looked_at.get(subject, 0.0), at + sample.after_seconds - _LOOK_SECONDS)
        first = subject not in looked_at
        # What is told once, as a reboot is, has no regular sample before it.
        if before := sample.read_before(values):
            self._outbox.sample(source, subject, node, before, at - _LOOK_SECONDS if first else before_at)
        self._outbox.sample(source, subject, node, sample.read(values), at + sample.after_seconds)
        looked_at[subject] = at + sample.after_seconds

    def iso(self, at: float) -> str:
        """Return the moment *at* as text."""
        return f"{self._moment(at).isoformat()}+00:00"

    def _moment(self, at: float) -> datetime:
        """Return *at* in UTC without the zone: Python would work that out for each text anew, and take long for it."""
        return self._start + timedelta(seconds=round(at, 3))

    def _values_at(self, line: FleetLine, values: Mapping[str, Scalar], at: float) -> Mapping[str, Scalar]:
        return {**values, **self._clock(at)} if line.tells_time else values

    def _clock(self, at: float) -> dict[str, Scalar]:
        moment = self._moment(at)
        return {"clock": moment.isoformat(" ", "seconds"), "milli": moment.microsecond // 1000}

    def _values(self, scene: Scene, node: str, gpu: int, exit_code: int, seed: int, at: float) -> dict[str, Scalar]:
        rng = seeded(seed, "values", node, gpu)
        slot = scene.slots.get(node, 0)
        peer = scene.nodes[(slot + 1) % len(scene.nodes)]
        return {
            "pci": gpu_pci(gpu),
            "pci_full": f"{gpu_pci(gpu)}.0",
            "gpu": gpu,
            **_of_peer(scene, peer),
            "first_host": scene.first_beside(node),
            "tor": f"tor{slot // _RACK_NODES + 1:04d}",
            "port": 32_768 + int(rng.random() * 28_000),
            "nic": nic_device(gpu),
            "netdev": f"eth{gpu}",
            "nic_pci": nic_pci(gpu).rpartition(".")[0],
            "uuid": f"{int(rng.random() * 2**32):08x}-4b1d-9c02-a7f3-{int(rng.random() * 2**48):012x}",
            "serial": str(1_650_000_000_000 + int(rng.random() * 9_000_000_000)),
            "unit": 1 + int(rng.random() * 8),
            "word": int(rng.random() * 2**32),
            "address": int(rng.random() * 2**36),
            "line": 100 + int(rng.random() * 300),
            "sequence": 1_000 + int(rng.random() * 90_000),
            "step": scene.step,
            "next_step": scene.step + 1,
            "loss": round(1.7 + 4.0 / (1.0 + scene.step / 2_000), 4),
            "seconds": 6.2,
            "milliseconds": 6_200.0,
            "user": scene.user,
            "directory": scene.directory,
            "path": f"{scene.directory}/iter_{scene.step:07d}",
            "exit_code": exit_code,
            "agent": 19_000 + slot % 900,
            "sel_id": f"{1 + int(rng.random() * 4_000):x}",
            "slurm_job": scene.scheduler_id,
            "world_size": scene.world_size,
            **self._clock(at),
            **_of_rank(scene, node, gpu),
        }


@cache
def address_of(node: str) -> str:
    """Return the IP address of *node*, from the number at the end of its name."""
    number = int("".join(filter(str.isdigit, node)) or 0)
    return f"10.{20 + number // 65_536}.{number // 256 % 256}.{number % 256}"


_OF_RANK = frozenset({"rank", "local_rank", "pid", "thread", "host", "host_ip"})


def _of_rank(scene: Scene, node: str, gpu: int) -> dict[str, Scalar]:
    rank = scene.slots.get(node, 0) * scene.gpus_per_node + gpu
    pid = 20_000 + 31 * scene.whose.attempt % 9_000 + 13 * rank % 60_000
    where = {"host": node, "host_ip": address_of(node)}
    return {"rank": rank, "local_rank": gpu, "pid": pid, "thread": pid + 211, **where}


def _of_peer(scene: Scene, node: str) -> dict[str, Scalar]:
    rank = scene.slots.get(node, 0) * scene.gpus_per_node
    return {"peer_host": node, "peer_rank": rank, "peer_ip": address_of(node)}


def _seen(probabilities: Sequence[float], loss: float, seed: int) -> list[bool]:
    """Return which of several signals are there, by how probable each is where *loss* is 1."""
    if all(probability >= 1.0 for probability in probabilities):
        return [True] * len(probabilities)
    rng = seeded(seed, "seen")
    return [rng.random() < 1.0 - min((1.0 - probability) * loss, 1.0) for probability in probabilities]
