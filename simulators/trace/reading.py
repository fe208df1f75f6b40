"""Lines of a trace file to a schedule, or to every mistake in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from clusterwatch.errors import ConfigError, Mistake
from clusterwatch.model import Cause
from simulators.trace.checks import RecordChecks, header_problems
from simulators.trace.forms import FormError, header_in, record_in
from simulators.trace.records import Fault, Noise, PlannedStop, Record, Schedule

MOST_RECORDS = 5_000_000
"""Records of the longest trace that is read."""

MISTAKES_KEPT = 100
"""So many mistakes are told; a file with more is not read to its end."""

Kinds = Mapping[str, Cause]
"""Cause by the name of a kind of fault; `Cause.BENIGN` for noise."""


def schedule_in(texts: Iterable[str | bytes], origin: str, kinds: Kinds | None = None) -> Schedule:
    """Return the schedule that the lines *texts* hold.

    Args:
        texts: Lines, with or without their ends; empty ones are passed over.
        origin: What they are called in mistakes.
        kinds: The kinds that faults and noise may have; any when not given.

    Raises:
        ConfigError: Something is wrong; holds all mistakes, or the first `MISTAKES_KEPT`.
    """
    reader = _Reader(kinds)
    for number, text in enumerate(texts, 1):
        if text.strip():
            reader.take(number, text)
        if reader.is_full:
            break
    if reader.head is None and not reader.mistakes:
        reader.mistakes.append(Mistake("line 1", "the file is empty: a trace begins with its header"))
    if reader.mistakes or reader.head is None:
        raise ConfigError(origin, reader.mistakes)
    return reader.schedule(reader.head)


class _Reader:
    def __init__(self, kinds: Kinds | None) -> None:
        self.mistakes: list[Mistake] = []
        self.head: Schedule | None = None
        self._has_begun = False
        self._kinds = kinds
        self._checks: RecordChecks | None = None
        self._records: list[Record] = []

    @property
    def is_full(self) -> bool:
        """Whether there is no use in reading on."""
        return len(self.mistakes) >= MISTAKES_KEPT

    def take(self, number: int, text: str | bytes) -> None:
        """Take line *number* in, or note what is wrong with it."""
        try:
            if self._has_begun:
                self._take_record(number, text)
            else:
                self._has_begun = True
                self._take_header(number, text)
        except FormError as error:
            self._note(number, error.problems)

    def schedule(self, head: Schedule) -> Schedule:
        """Return *head* with the records."""
        return replace(
            head,
            faults=tuple(each for each in self._records if isinstance(each, Fault)),
            planned=tuple(each for each in self._records if isinstance(each, PlannedStop)),
            noise=tuple(each for each in self._records if isinstance(each, Noise)),
        )

    def _take_header(self, number: int, text: str | bytes) -> None:
        head = header_in(text)
        before = len(self.mistakes)
        self._note(number, header_problems(head))
        if len(self.mistakes) == before:
            self.head = head
            slots = frozenset(node for job in head.jobs for node in head.nodes_of(job))
            self._checks = RecordChecks(head.cluster, slots, head.seconds, self._kinds)

    def _take_record(self, number: int, text: str | bytes) -> None:
        if len(self._records) >= MOST_RECORDS:
            raise FormError(("", f"a trace holds at most {MOST_RECORDS:,} records: split it"))
        record = record_in(text)
        # Without a good header only the form of the records can be judged.
        if self._checks is not None:
            self._note(number, self._checks.problems(record))
            self._records.append(record)

    def _note(self, number: int, problems: Iterable[tuple[str, str]]) -> None:
        self.mistakes.extend(_mistakes(number, problems))


def _mistakes(number: int, problems: Iterable[tuple[str, str]]) -> Iterator[Mistake]:
    for place, words in problems:
        yield Mistake(f"line {number}, {place}" if place else f"line {number}", words)
