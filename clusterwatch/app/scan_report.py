"""What a scan found, as values: checks, the worst of them, one line for a monitoring system, an event.

1. A check that could not look is not well: it failed, unless its source does not exist here.
2. A fault fails a check; what a job's own program did, or what only deserves a look, is a warning.
3. Where no check could run nothing is known, which is not "ok".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    Event,
    Finding,
    Knowledge,
    Reading,
    Scalar,
    Severity,
    node_component,
)
from clusterwatch.reading.text import printable

LONGEST_LINE = 400


class State(StrEnum):
    """What became of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_HERE = "not_here"


# From good to bad, as a whole report is judged by its worst check; nothing looked at is no good news.
_BY_GRAVITY = (State.NOT_HERE, State.OK, State.WARNING, State.FAILED)

# The codes of monitoring plugins, https://www.monitoring-plugins.org/doc/guidelines.html .
_NAGIOS = {
    State.OK: (0, "OK"),
    State.WARNING: (1, "WARNING"),
    State.FAILED: (2, "CRITICAL"),
    State.NOT_HERE: (3, "UNKNOWN"),
}

# What a program may do to itself on a node that is well.
_OF_A_PROGRAM = frozenset(
    {
        Cause.SOFTWARE_BUG,
        Cause.OOM_GPU,
        Cause.OOM_HOST,
        Cause.NCCL_TIMEOUT_UNKNOWN,
        Cause.PREEMPTION_OR_OPERATOR,
        Cause.PLANNED_MAINTENANCE,
        Cause.UNKNOWN,
        Cause.BENIGN,
    }
)


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found, or one of the things it found.

    Attributes:
        name: Of the check, such as "nvml".
        state: What became of it.
        what: What was found, in words.
        next_step: What to do about it; "" when nothing.
        kind: Of the event it would be; "" where it is none.
        component: What it happened to; "" where that is the node or nothing.
        count: How often it was found.
    """

    name: str
    state: State
    what: str
    next_step: str = ""
    kind: str = ""
    component: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Report:
    """A scan of a node.

    Attributes:
        state: That of the worst check.
        seconds: How long it took.
        events: What the checks saw, for whoever records it; in the order of the checks.
    """

    node: str
    state: State
    started_at: datetime
    seconds: float
    checks: tuple[Check, ...]
    events: tuple[Event, ...] = ()

    @property
    def kind(self) -> str:
        """Kind of the event that the scan would be."""
        return f"scan.{self.state.value}"

    @property
    def summary(self) -> str:
        """The scan in one sentence."""
        wrong = [check for check in self.checks if check.state in {State.FAILED, State.WARNING}]
        gravest = sorted(wrong, key=lambda check: -_BY_GRAVITY.index(check.state))
        return "; ".join(f"{check.name}: {check.what}" for check in gravest) or _counted(self.checks)


def report_of(
    node: str, started_at: datetime, seconds: float, checks: Sequence[Check], events: Iterable[Event] = ()
) -> Report:
    """Return the report of *checks*, and of the *events* that they saw."""
    return Report(node, worst(checks), started_at, round(seconds, 1), tuple(checks), tuple(events))


def worst(checks: Iterable[Check]) -> State:
    """Return the gravest state among *checks*; NOT_HERE when there are none."""
    return max((check.state for check in checks), key=_BY_GRAVITY.index, default=State.NOT_HERE)


def checks_of(name: str, events: Iterable[Event], knowledge: Knowledge, summary: str) -> list[Check]:
    """Return what *events* of one source mean for the node; one check with *summary* when they mean nothing."""
    found: dict[tuple[str, str], Check] = {}
    for event in events:
        state = _state_of(event, knowledge)
        if state is State.OK:
            continue
        key = (event.kind, str(event.component))
        before = found.get(key)
        signal = knowledge[event.kind]
        count = event.count + (before.count if before else 0)
        text = before.what if before else event.text or signal.meaning
        found[key] = Check(name, state, text, signal.action, event.kind, _part(event), count)
    by_gravity = sorted(found.values(), key=lambda check: -_BY_GRAVITY.index(check.state))
    return by_gravity or [Check(name, State.OK, summary)]


def exit_code(report: Report) -> int:
    """Return what a shell is told: 10 when something failed."""
    return 10 if report.state is State.FAILED else 0


def nagios(report: Report, deadline_seconds: float) -> tuple[int, str]:
    """Return the exit code and the text of a monitoring plugin: a line with performance data, and what failed below it.

    Those lines are for who checks many nodes, see `clusterwatch.model.finding`.
    """
    code, word = _NAGIOS[report.state]
    counts = Counter(check.state for check in report.checks)
    performance = [
        f"{State.OK.value}={counts[State.OK]}",
        # A limit is the last value that is still well.
        f"{State.WARNING.value}={counts[State.WARNING]};0",
        f"{State.FAILED.value}={counts[State.FAILED]};;0",
        f"{State.NOT_HERE.value}={counts[State.NOT_HERE]}",
        f"seconds={report.seconds}s;;{deadline_seconds:g}",
    ]
    line = f"SCAN {word} - {_on_one_line(report.summary)} | {' '.join(performance)}"
    return code, "\n".join((line, *dict.fromkeys(each.line for each in findings_of(report))))


def findings_of(report: Report) -> Iterator[Finding]:
    """Yield what the checks that failed found, as far as it has a kind."""
    for check in report.checks:
        if check.state is State.FAILED and check.kind:
            kind, _, rest = check.component.partition(" ")
            name = rest.removesuffix(f" on {report.node}")
            part = Component(ComponentKind(kind), name, report.node) if name else node_component(report.node)
            yield Finding(check.kind, part)


def unknown(words: str) -> tuple[int, str]:
    """Return the exit code and the line of a plugin that could not even begin."""
    code, word = _NAGIOS[State.NOT_HERE]
    return code, f"SCAN {word} - {_on_one_line(words)}"


def _on_one_line(words: str) -> str:
    # "|" begins the performance data.
    return printable(" ".join(words.replace("|", "/").split()), LONGEST_LINE)


def reading_of(report: Report, boot_id: str) -> Reading:
    """Return the reading that tells of the scan: what a policy that waits for a check hears."""
    counts = Counter(check.state.value for check in report.checks)
    failed = sorted({check.name for check in report.checks if check.state is State.FAILED})
    values: dict[str, Scalar] = {
        **{state.value: counts[state.value] for state in State},
        "failed_checks": ",".join(failed),
    }
    return Reading(
        source="scan",
        node=report.node,
        position=report.started_at.isoformat(),
        observed_at=report.started_at,
        happened_at=report.started_at,
        boot_id=boot_id,
        subject=report.kind,
        text=report.summary[:LONGEST_LINE],
        fields=values,
    )


def _state_of(event: Event, knowledge: Knowledge) -> State:
    if event.severity < Severity.WARNING:
        return State.OK
    is_mild = event.severity < Severity.ERROR or knowledge[event.kind].leading_cause in _OF_A_PROGRAM
    return State.WARNING if is_mild else State.FAILED


def _part(event: Event) -> str:
    return str(event.component) if event.component.id != event.component.node else ""


def _counted(checks: Sequence[Check]) -> str:
    counts = Counter(check.state for check in checks)
    return f"{counts[State.OK]} checks ok, {counts[State.NOT_HERE]} not here"
