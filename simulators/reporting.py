"""What happens in the simulation to the readings that real collectors would make of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from clusterwatch.model import Reading, Scalar, Trust, kinds


@dataclass(frozen=True, slots=True)
class Whose:
    """The job, attempt and rank a reading belongs to, and the file its lines go to."""

    job: str
    attempt: int | None
    rank: int | None = None
    log: str = ""


class Reporter:
    """Keeps readings until they are collected; numbers them as their sources would."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()
        self._waiting: list[Reading] = []

    def kernel(self, node: str, text: str, at: datetime) -> None:
        """Add a record of *node*'s kernel log."""
        seq = self._next(f"/dev/kmsg on {node}")
        self._waiting.append(
            Reading(
                source="kernel_log",
                node=node,
                position=str(seq),
                observed_at=at,
                happened_at=at,
                boot_id=f"boot-{node}",
                text=text,
                fields={"origin": f"/dev/kmsg:{seq}", "seq": seq},
                simulated=True,
            )
        )

    def printed(self, whose: Whose, node: str, text: str, at: datetime, stream: str = "stdout") -> None:
        """Add a line that a process of a job printed on *node*."""
        origin = f"{whose.log}:{self._next(whose.log)}"
        self._waiting.append(
            Reading(
                source="job_log",
                node=node,
                position=origin,
                observed_at=at,
                happened_at=at,
                trust=Trust.USER,
                text=text,
                fields={"origin": origin, "stream": stream},
                job=whose.job,
                attempt=whose.attempt,
                rank=whose.rank,
                simulated=True,
            )
        )

    def state(
        self, source: str, subject: str, whose: Whose, node: str, fields: Mapping[str, Scalar], at: datetime
    ) -> None:
        """Add a change of state that *source* saw on *node*."""
        self._waiting.append(
            Reading(
                source=source,
                node=node,
                position=str(self._next(source)),
                observed_at=at,
                happened_at=at,
                subject=subject,
                text=f"{whose.job}: {subject}",
                fields=fields,
                job=whose.job,
                attempt=whose.attempt,
                rank=whose.rank,
                simulated=True,
            )
        )

    def rebooted(self, node: str, at: datetime) -> None:
        """Add that *node* started anew."""
        self._waiting.append(
            Reading(
                source="host",
                node=node,
                position=str(self._next("host")),
                observed_at=at,
                happened_at=at,
                subject=kinds.REBOOTED,
                text="booted anew",
                fields={"booted_at": at.isoformat()},
                simulated=True,
            )
        )

    def take(self, now: datetime) -> tuple[Reading, ...]:
        """Return what is new, in the order of time, as seen at *now*."""
        taken, self._waiting = self._waiting, []
        return tuple(replace(reading, observed_at=now) for reading in taken)

    def _next(self, counter: str) -> int:
        self._numbers[counter] += 1
        return self._numbers[counter]
