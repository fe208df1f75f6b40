"""What the whole site does to its jobs: storage that is shared, power that swings, afternoons that are slower."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import cos, pi
from typing import Annotated

from simulators.tables import Range

_WATTS_PER_MEGAWATT = 1e6
_SECONDS_PER_DAY = 86_400.0

Positive = Annotated[float, Range(above=0.0)]
NotNegative = Annotated[float, Range(0.0)]


@dataclass(frozen=True, slots=True)
class OtherSaves:
    """Checkpoints that other jobs write to the same storage: *bytes_total* every *every_seconds*, from second 0 on."""

    bytes_total: float = 0.0
    every_seconds: float = 0.0

    @property
    def are_made(self) -> bool:
        """Whether there are any."""
        return self.bytes_total > 0 and self.every_seconds > 0


@dataclass(frozen=True, slots=True)
class Storage:
    """Storage that all jobs share. The defaults are those of the cluster that trained Llama 3.

    It takes a burst at its peak for *burst_seconds* and goes on at the sustained rate.

    Source:
        The Llama 3 Herd of Models, arXiv 2407.21783, section 3.3.1 (2 TB/s sustained, 7 TB/s peak). How long the
        peak lasts is not published: an assumption.
    """

    sustained_bytes_per_second: Positive = 2e12
    peak_bytes_per_second: Positive = 7e12
    burst_seconds: NotNegative = 5.0

    def seconds_for(self, bytes_total: float, others_bytes: float = 0.0) -> float:
        """Return how long *bytes_total* take while *others_bytes* are moved as well; everyone gets an equal rate.

        Of two that begin together, the smaller is through when twice its bytes are moved.
        """
        moved = bytes_total + min(bytes_total, others_bytes)
        in_burst = min(moved, self.peak_bytes_per_second * self.burst_seconds)
        return in_burst / self.peak_bytes_per_second + (moved - in_burst) / self.sustained_bytes_per_second

    def seconds_at(self, at: float, bytes_total: float, others: OtherSaves) -> float:
        """Return how long *bytes_total* take from second *at* on, while *others* save as well."""
        alone = self.seconds_for(bytes_total)
        if not others.are_made or not bytes_total:
            return alone
        since = at % others.every_seconds
        under_way = max(1.0 - since / self.seconds_for(others.bytes_total), 0.0) * others.bytes_total
        # What they begin later meets only what is not through by then.
        not_through = max(1.0 - (others.every_seconds - since) / alone, 0.0) * bytes_total
        return self.seconds_for(bytes_total, max(under_way, min(others.bytes_total, not_through)))

    def delay_at(self, at: float, bytes_total: float, others: OtherSaves) -> float:
        """Return how much longer *bytes_total* take than on storage like Llama 3's that nobody else uses."""
        return max(self.seconds_at(at, bytes_total, others) - Storage().seconds_for(bytes_total), 0.0)


@dataclass(frozen=True, slots=True)
class Power:
    """What a node draws, in watts: its GPUs, and everything around them.

    Source:
        H100 SXM5 700 W. What a waiting GPU and the rest of a server draw are assumptions, so that 16,384 GPUs which
        stop together swing by 9-15 MW; the paper speaks of tens of megawatts for the whole data centre.
    """

    gpu_busy_watts: NotNegative = 700.0
    gpu_waiting_watts: NotNegative = 150.0
    rest_busy_watts: NotNegative = 4_400.0
    rest_waiting_watts: NotNegative = 1_800.0

    def megawatts(self, nodes_total: int, gpus_per_node: int, *, is_busy: bool) -> float:
        """Return what *nodes_total* nodes draw while they all train, or all wait."""
        gpu, rest = (
            (self.gpu_busy_watts, self.rest_busy_watts)
            if is_busy
            else (self.gpu_waiting_watts, self.rest_waiting_watts)
        )
        return nodes_total * (gpus_per_node * gpu + rest) / _WATTS_PER_MEGAWATT

    def swing_megawatts(self, nodes_total: int, gpus_per_node: int) -> float:
        """Return by how much the draw falls when *nodes_total* nodes stop training together."""
        busy = self.megawatts(nodes_total, gpus_per_node, is_busy=True)
        return busy - self.megawatts(nodes_total, gpus_per_node, is_busy=False)


@dataclass(frozen=True, slots=True)
class Diurnal:
    """How much slower the hottest hour of the day is than the coolest: a share of the throughput.

    Source:
        The Llama 3 Herd of Models, section 3.3.4 (1-2 % over the day, higher temperature at noon). The shape, a
        cosine, and the hour of the trough are assumptions.
    """

    depth: Annotated[float, Range(0.0, 0.5)] = 0.015
    slowest_hour: Annotated[float, Range(0.0, 24.0)] = 14.0

    def throughput_at(self, at: datetime) -> float:
        """Return the throughput at *at* (its own hour counts), 1 at the coolest hour."""
        seconds = at.hour * 3600 + at.minute * 60 + at.second - self.slowest_hour * 3600
        return 1.0 - self.depth * (1.0 + cos(2.0 * pi * seconds / _SECONDS_PER_DAY)) / 2.0
