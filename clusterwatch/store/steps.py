"""The life of a step in the database: recorded, begun, ended; each change by compare-and-set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from clusterwatch.model import ENDED_STEP_STATES, NEXT_STEP_STATES, Mode, Outcome, Step, StepKind, StepState
from clusterwatch.store.audit import write_audit
from clusterwatch.store.binding import conversions, converted
from clusterwatch.store.driver import changed_by, rows_of
from clusterwatch.store.records import OUTCOME, STEP
from clusterwatch.store.tables import approvals, decisions, steps
from clusterwatch.store.writing import add, mark_of

APPROVED, VETOED = "approved", "vetoed"

# Made once: each is made of more parts than it takes to run it.
_IS_APPROVED = sa.exists().where(approvals.c.decision_id == decisions.c.id, approvals.c.verdict == APPROVED)
# By name: an index finds those that are in a state, none those that are not.
_STATES_BEFORE_THE_END = [state for state in StepState if state not in ENDED_STEP_STATES]
_NOT_ENDED = (
    sa.select(steps, decisions.c.mode, _IS_APPROVED.label("approved"))
    .join(decisions)
    .where(steps.c.state.in_(_STATES_BEFORE_THE_END))
    .order_by(decisions.c.happened_at, decisions.c.id, steps.c.position)
)
_ANY_NOT_ENDED = "SELECT 1 FROM steps WHERE state IN ({}) LIMIT 1".format(  # noqa: S608 - names of our own states
    ", ".join(f"'{state}'" for state in _STATES_BEFORE_THE_END)
)
_MOVED = ("state", "changed_at", "detail", "id")
_STEP = "SELECT actuator, decision_id, position FROM steps WHERE id = {mark}"
_MOVED_TO = {
    state: "UPDATE steps SET state = {mark}, changed_at = {mark}, detail = {mark} "  # noqa: S608 - names of our own states
    f"WHERE id = {{mark}} AND state IN ({before})"
    for state in StepState
    if (before := ", ".join(f"'{earlier}'" for earlier, following in NEXT_STEP_STATES.items() if state in following))
}
"""How a step gets to a state, from those that lead there."""


def to_perform(connection: sa.Connection, actuators: Mapping[str, frozenset[str] | None]) -> list[Step]:
    """Return the first step that has not ended of each decision, where it may be done and is for *actuators*."""
    # Most of the time there is nothing to do, and to ask only that costs less than a tenth.
    if not rows_of(connection, _ANY_NOT_ENDED):
        return []
    return [step for step in _next_steps(connection) if _is_for(step, actuators)]


def begin(connection: sa.Connection, step_id: str, now: datetime) -> bool:
    """Move a step from recorded to begun; False if it is not recorded."""
    return _move(connection, step_id, StepState.BEGUN, now)


def finish(connection: sa.Connection, outcome: Outcome) -> bool:
    """Write what became of a step; False if it cannot have become that from what it is."""
    if not _move(connection, outcome.step_id, outcome.state, outcome.at, outcome.detail):
        return False
    add(connection, OUTCOME, [outcome], outcome.at)
    statement = _STEP.format(mark=mark_of(connection.dialect))
    ((actuator, decision_id, position),) = rows_of(connection, statement, (outcome.step_id,))
    write_audit(connection, actuator, f"step {outcome.state}", outcome.step_id, outcome.detail, outcome.at)
    if outcome.state is not StepState.DONE:
        _cancel_after(connection, decision_id, position, outcome)
    return True


def approve(connection: sa.Connection, decision_id: str, actor: str, reason: str, now: datetime) -> None:
    """Record that *actor* allows a decision to be carried out."""
    _judge(connection, decision_id, APPROVED, actor, reason, now)


def veto(connection: sa.Connection, decision_id: str, actor: str, reason: str, now: datetime) -> list[Step]:
    """Cancel the steps of a decision that were not begun, on the word of *actor*; return those steps."""
    _judge(connection, decision_id, VETOED, actor, reason, now)
    waiting = sa.select(steps).where(steps.c.decision_id == decision_id, steps.c.state == StepState.RECORDED)
    found = [STEP.record(row) for row in connection.execute(waiting.order_by(steps.c.position)).mappings()]
    detail = f"vetoed by {actor}: {reason}"
    return [
        replace(step, state=StepState.CANCELLED, changed_at=now, detail=detail)
        for step in found
        if _move(connection, step.id, StepState.CANCELLED, now, detail)
    ]


def _judge(connection: sa.Connection, decision_id: str, verdict: str, actor: str, reason: str, now: datetime) -> None:
    times = {"happened_at": now, "observed_at": now, "received_at": now}
    row = {"decision_id": decision_id, "verdict": verdict, "actor": actor, "reason": reason, **times}
    connection.execute(sa.insert(approvals), row)
    write_audit(connection, actor, verdict, decision_id, reason, now)


def change(connection: sa.Connection, changed: Iterable[Step], now: datetime) -> None:
    """Take over new states of steps, where the life cycle allows; what an actuator wrote meanwhile stays."""
    for step in changed:
        _move(connection, step.id, step.state, step.changed_at or now, step.detail)


def _next_steps(connection: sa.Connection) -> Iterator[Step]:
    seen: set[str] = set()
    for row in connection.execute(_NOT_ENDED).mappings():
        is_first = row["decision_id"] not in seen
        seen.add(row["decision_id"])
        if is_first and (row["mode"] == Mode.AUTO or row["approved"] or row["kind"] == StepKind.ASK):
            yield STEP.record(row)


def _is_for(step: Step, actuators: Mapping[str, frozenset[str] | None]) -> bool:
    targets = actuators.get(step.actuator, frozenset())
    return targets is None or step.target in targets


def _move(connection: sa.Connection, step_id: str, state: StepState, now: datetime, detail: str = "") -> bool:
    dialect = connection.dialect
    (values,) = converted([(state, now, detail, step_id)], conversions(steps, _MOVED, dialect.name))
    return changed_by(connection, _MOVED_TO[state].format(mark=mark_of(dialect)), values) == 1


def _cancel_after(connection: sa.Connection, decision_id: str, position: int, outcome: Outcome) -> None:
    later = sa.update(steps).where(
        steps.c.decision_id == decision_id, steps.c.position > position, steps.c.state == StepState.RECORDED
    )
    detail = f"an earlier step of the plan ended as {outcome.state}"
    connection.execute(later.values(state=StepState.CANCELLED, changed_at=outcome.at, detail=detail))
