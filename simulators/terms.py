"""The named assumptions of a trace as the world reads them, and how it is acted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated

from simulators.cluster import OtherSaves
from simulators.tables import Range, from_table

Seconds = Annotated[float, Range(0.0, 366 * 86_400.0)]
MoreSeconds = Annotated[float, Range(above=0.0, most=366 * 86_400.0)]
Bytes = Annotated[float, Range(0.0, 1e18)]
Share = Annotated[float, Range(0.0, 1.0)]


@dataclass(frozen=True, slots=True)
class Channel:
    """How well signals arrive.

    Attributes:
        loss, late, twice: Shares of the readings.
        late_seconds: How late at most.
        skew_seconds: Standard deviation of the nodes' clocks.
    """

    loss: float = 0.02
    late: float = 0.02
    late_seconds: float = 30.0
    twice: float = 0.01
    skew_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """Times of the stages that every policy has to live with, in seconds.

    The names are those of the assumptions in the header of a trace; what it does not name is as here.

    Attributes:
        blocking_save_seconds: How long a checkpoint stops training; storage that is slower than Llama 3's, or that
            others use as well, adds what it takes longer.
        standby_node_seconds, cold_node_seconds: Until another node is ready.
        process_start_seconds: Until processes run and communicators are up.
        load_seconds: Until the checkpoint is loaded; storage adds to it likewise.
        checkpoint_bytes: What a save writes and a load reads.
        others_save_bytes, others_save_every_seconds: What other jobs write to the same storage, and how often; 0 for
            nobody.
        planned_stop_seconds: From a planned stop until it trains again.
        nccl_timeout_seconds: Until the ranks that wait give up.
        struck_after_restart_seconds: How long a job trains on a broken part, or until a fault that was due strikes.
        slow_seconds: How long a job goes on slowly before it stops.
        slowdown: So many times as long a step takes then.
        reboot_seconds: Until a node that was taken out for nothing stands by again.
        survey_seconds: How long a check of all nodes of the job takes.
        survey_finds: Chance that it finds a part that is broken, where the kind of fault has none of its own.
        survey_says_which: Chance that it says of what it failed.
        recorders_answer: Chance that the flight recorders of a job that hangs are on and can be asked.
        recorders_seconds: How long their answer takes.
        signal_loss: Share of the signals that are lost, and by how much the signals that a wording may lack are.
    """

    blocking_save_seconds: Seconds = 2.0
    standby_node_seconds: Seconds = 65.0
    cold_node_seconds: Seconds = 600.0
    process_start_seconds: Seconds = 75.0
    load_seconds: Seconds = 60.0
    checkpoint_bytes: Bytes = 5.67e12
    others_save_bytes: Bytes = 0.0
    others_save_every_seconds: Seconds = 0.0
    planned_stop_seconds: Seconds = 300.0
    nccl_timeout_seconds: MoreSeconds = 600.0
    struck_after_restart_seconds: MoreSeconds = 60.0
    slow_seconds: Seconds = 300.0
    slowdown: Annotated[float, Range(1.0, 1_000.0)] = 2.5
    reboot_seconds: Seconds = 900.0
    survey_seconds: Seconds = 300.0
    survey_finds: Share = 0.7
    survey_says_which: Share = 0.9
    recorders_answer: Share = 0.9
    recorders_seconds: Seconds = 3.0
    signal_loss: Share = 0.02
    duplicate_share: Share = 0.01
    late_share: Share = 0.02
    late_seconds: Seconds = 30.0
    clock_skew_seconds: Seconds = 1.0

    @classmethod
    def of(cls, assumed: Mapping[str, float]) -> Terms:
        """Return the terms that *assumed* names; other assumptions are not about the world.

        Raises:
            ConfigError: One is out of range: holds all mistakes.
        """
        return from_table(cls, {name: value for name, value in assumed.items() if name in cls.names()}, "assumptions")

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the assumptions that are terms."""
        return frozenset(field.name for field in fields(cls))

    @property
    def other_saves(self) -> OtherSaves:
        """What else the storage is asked to take."""
        return OtherSaves(self.others_save_bytes, self.others_save_every_seconds)

    @property
    def channel(self) -> Channel:
        """How well signals arrive."""
        return Channel(
            loss=self.signal_loss,
            late=self.late_share,
            late_seconds=self.late_seconds,
            twice=self.duplicate_share,
            skew_seconds=self.clock_skew_seconds,
        )
