"""What nodes tell to the readings that arrive: some are lost, late or told twice, and clocks differ.

1. A reading is lost, or told twice, or late, by chance; what is told twice has the same position.
2. A node's clock is off by a constant: what its kernel and its jobs say carries that node's time.
3. What the scheduler and the job's own state say is asked for again until it is known: it is never lost.
4. What is told `in_passing` arrives like all else, and is no reason to look.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import cos, log, pi, sqrt
from random import Random

from clusterwatch.model import LINE, Reading, Scalar, Trust
from clusterwatch.model.making import maker
from simulators.schedule import seeded
from simulators.terms import Channel

_Waiting = tuple[float, int, Reading, float]
"""When it arrives, its place among those that arrive then, the reading, and when somebody has to look at the latest."""

_NOBODY = (None, None, None)
_made = maker(Reading)


@dataclass(frozen=True, slots=True)
class Whose:
    """The job, attempt and rank a reading belongs to."""

    job: str
    attempt: int
    rank: int | None = None


class Outbox:
    """Readings on their way. Times are seconds since *start*."""

    def __init__(self, start: datetime, channel: Channel, seed: int) -> None:
        self._start, self._channel, self._seed = start, channel, seed
        self._rng: Random = seeded(seed, "channel")
        self._numbers: dict[str, int] = {}
        self._of_nodes: dict[str, tuple[str, timedelta]] = {}
        self._waiting: list[_Waiting] = []
        self._is_sorted = True
        self._put_total = 0
        self._patience_seconds = 0.0

    @property
    def next_at(self) -> float | None:
        """When to look at the latest; None when nothing is on its way."""
        soonest = None
        for arrives, _, _, due in self._in_order():
            # Nothing is due before it arrives: what arrives later need not be gone through.
            if soonest is not None and arrives >= soonest:
                break
            soonest = due if soonest is None else min(soonest, due)
        return soonest

    @contextmanager
    def in_passing(self, patience_seconds: float) -> Iterator[None]:
        """Let what is told within wait for the next look, but no longer than *patience_seconds* from its arrival."""
        self._patience_seconds = patience_seconds
        try:
            yield
        finally:
            self._patience_seconds = 0.0

    def kernel(self, node: str, text: str, at: float) -> None:
        """Tell a record of *node*'s kernel log."""
        seq = self._next(f"kmsg {node}")
        self._send(node, at, "kernel_log", str(seq), text, Trust.NODE, LINE, {"origin": f"/dev/kmsg:{seq}", "seq": seq})

    def printed(
        self,
        whose: Whose,
        node: str,
        text: str,
        at: float,
        stream: str = "stdout",
        folded: Mapping[str, Scalar] | None = None,
    ) -> None:
        """Tell a line that a process of a job printed on *node*; *folded* when several ranks printed it alike."""
        log_name = f"{whose.job}-{node}.log"
        origin = f"{log_name}:{self._next(log_name)}"
        fields: dict[str, Scalar] = {"origin": origin, "stream": stream}
        if folded:
            fields.update(folded)
        self._send(node, at, "job_log", origin, text, Trust.USER, LINE, fields, whose)

    def line(self, source: str, node: str, text: str, at: float) -> None:
        """Tell a line of another log that speaks for *node*: a BMC's, a scheduler's."""
        number = self._next(f"{source} {node}")
        self._send(node, at, source, str(number), text, Trust.NODE, LINE, {"origin": f"{source}:{number}"})

    def sample(self, source: str, subject: str, node: str, fields: Mapping[str, Scalar], at: float) -> None:
        """Tell a sample of *node*."""
        self._send(node, at, source, str(self._next(f"{source} {node}")), "", Trust.NODE, subject, fields)

    def state(
        self, source: str, subject: str, whose: Whose | None, node: str, fields: Mapping[str, Scalar], at: float
    ) -> None:
        """Tell a state, which arrives for certain and in time."""
        position = str(self._next(source))
        self._put(at, self._reading(node, at, source, position, "", Trust.NODE, subject, fields, whose))

    def silence(self, whose: Whose, at: float) -> None:
        """Forget what the processes of an attempt would have printed after *at*: they are gone."""
        self._waiting = [each for each in self._waiting if not _is_printed_after(each, whose, at)]

    def take(self, now: float) -> tuple[Reading, ...]:
        """Return what arrived up to *now*, in the order of arrival."""
        count = bisect_right(self._in_order(), now, key=_arrival)
        taken = tuple(reading for _, _, reading, _ in self._waiting[:count])
        del self._waiting[:count]
        return taken

    def _send(
        self,
        node: str,
        at: float,
        source: str,
        position: str,
        text: str,
        trust: Trust,
        subject: str,
        fields: Mapping[str, Scalar],
        whose: Whose | None = None,
    ) -> None:
        channel, chance = self._channel, self._rng.random()
        if chance < channel.loss:
            return
        late = channel.late_seconds * self._rng.random() if chance > 1.0 - channel.late else 0.0
        reading = self._reading(node, at, source, position, text, trust, subject, fields, whose, late)
        self._put(at + late, reading)
        if channel.loss <= chance < channel.loss + channel.twice:
            self._put(at + late + 1.0, reading)

    def _reading(
        self,
        node: str,
        at: float,
        source: str,
        position: str,
        text: str,
        trust: Trust,
        subject: str,
        fields: Mapping[str, Scalar],
        whose: Whose | None = None,
        late: float = 0.0,
    ) -> Reading:
        happened_at = self._start + timedelta(0, round(at, 3))
        observed_at = happened_at + timedelta(0, round(late, 3)) if late else happened_at
        boot_id, skew = self._of_nodes.get(node) or self._of_node(node)
        if trust is Trust.USER or source == "kernel_log":
            happened_at += skew
        job, attempt, rank = (whose.job, whose.attempt, whose.rank) if whose else _NOBODY
        seen = (source, node, position, observed_at, happened_at, boot_id, trust, subject, text, fields)
        return _made((*seen, job, attempt, rank, True))

    def _put(self, arrives: float, reading: Reading) -> None:
        self._put_total += 1
        self._waiting.append((arrives, self._put_total, reading, arrives + self._patience_seconds))
        self._is_sorted = False

    def _in_order(self) -> list[_Waiting]:
        """Return what waits in the order of arrival: sorting a burst once takes less than keeping a heap."""
        if not self._is_sorted:
            self._waiting.sort()
            self._is_sorted = True
        return self._waiting

    def _of_node(self, node: str) -> tuple[str, timedelta]:
        """Return the boot of *node*, and how far its clock is off."""
        rng = seeded(self._seed, "skew", node)
        # Box-Muller: only `random()` is the same in every version of Python.
        normal = sqrt(-2.0 * log(1.0 - rng.random())) * cos(2 * pi * rng.random())
        skew = timedelta(seconds=round(self._channel.skew_seconds * normal, 3))
        return self._of_nodes.setdefault(node, (f"boot-{node}", skew))

    def _next(self, counter: str) -> int:
        number = self._numbers[counter] = self._numbers.get(counter, 0) + 1
        return number


def _arrival(waiting: _Waiting) -> float:
    return waiting[0]


def _is_printed_after(waiting: _Waiting, whose: Whose, at: float) -> bool:
    arrives, _, reading, _ = waiting
    is_theirs = (reading.job, reading.attempt) == (whose.job, whose.attempt)
    return arrives > at and is_theirs and reading.source == "job_log" and reading.subject == LINE
