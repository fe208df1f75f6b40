"""Recorded decisions to the brakes that were not kept, counted anew from what was carried out.

The brakes themselves count before a decision is made; this counts afterwards, in another way, so that a mistake in the
one does not hide in the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from clusterwatch.model import Decision, Step, StepKind, StepState
from clusterwatch.policy import DAY, Limits
from clusterwatch.store import Store

Carried = tuple[Decision, Step]
"""A step that was carried out, with the decision it belongs to."""

HOUR = timedelta(hours=1)
_ALL = 1_000_000


def broken_brakes(store: Store, limits: Limits) -> tuple[str, ...]:
    """Return a sentence for each brake that what is on record in *store* did not keep; () as it should be."""
    decisions = sorted(store.read.decisions(limit=_ALL), key=lambda decision: decision.made_at)
    done = [(each, step) for each in decisions for step in each.steps if step.state is StepState.DONE]
    return (
        *_too_many_drains(done, limits),
        *_too_many_out(done, len(store.read.nodes()), limits),
        *_too_many_restarts(done, limits),
        *_on_a_users_word(store, done),
        *_too_late(done),
    )


def _too_many_drains(done: Sequence[Carried], limits: Limits) -> Iterator[str]:
    drains = [each for each in done if each[1].kind is StepKind.DRAIN]
    yield from _over("nodes drained", drains, HOUR, limits.drains_per_hour)
    yield from _over("nodes drained", drains, DAY, limits.drains_per_day)
    for job, of_job in _by_job(drains).items():
        yield from _over(f"nodes drained because of {job}", of_job, DAY, limits.drains_per_job_per_day)


def _too_many_out(done: Sequence[Carried], nodes_total: int, limits: Limits) -> Iterator[str]:
    allowed = min(limits.drained_at_most, max(1, int(limits.drained_share * nodes_total)))
    out: set[str] = set()
    most = 0
    for _, step in sorted(done, key=lambda each: each[1].changed_at or each[0].made_at):
        if step.kind is StepKind.DRAIN:
            out.add(str(step.arguments.get("node")))
        if step.kind is StepKind.RELEASE:
            out.discard(str(step.arguments.get("node")))
        most = max(most, len(out))
    if most > allowed:
        yield f"{most} nodes were out of service at one time, {allowed} may be"


def _too_many_restarts(done: Sequence[Carried], limits: Limits) -> Iterator[str]:
    # A restart is decided on while the attempts so far keep within the limit: with it there is one more.
    restarts = [each for each in done if each[1].kind is StepKind.REQUEUE]
    for job, of_job in _by_job(restarts).items():
        yield from _over(f"restarts of {job}", of_job, HOUR, limits.restarts_per_hour + 1)
        yield from _over(f"restarts of {job}", of_job, DAY, limits.restarts_per_day + 1)
    yield from _over("restarts of all jobs", restarts, HOUR, limits.cluster_restarts_per_hour + 1)


def _on_a_users_word(store: Store, done: Sequence[Carried]) -> Iterator[str]:
    for decision, step in done:
        if step.kind is StepKind.DRAIN and not _is_confirmed(store, decision):
            node = step.arguments.get("node")
            yield f"{node} was drained, and no source of a node spoke for it ({decision.id})"


def _is_confirmed(store: Store, decision: Decision) -> bool:
    view = store.read.incident(decision.incident_id)
    diagnoses = view.diagnoses if view is not None else ()
    return any(each.node_confirmed for each in diagnoses if each.revision == decision.revision)


def _too_late(done: Sequence[Carried]) -> Iterator[str]:
    for decision, step in done:
        if step.changed_at is not None and step.changed_at > step.not_after + HOUR:
            yield f"{step.kind} was carried out at {step.changed_at:%Y-%m-%d %H:%M}, long after {decision.id}"


def _by_job(done: Iterable[Carried]) -> dict[str, list[Carried]]:
    found: dict[str, list[Carried]] = defaultdict(list)
    for decision, step in done:
        if decision.job_id is not None:
            found[decision.job_id].append((decision, step))
    return found


def _over(what: str, done: Sequence[Carried], within: timedelta, allowed: int) -> Iterator[str]:
    """Yield a sentence if more of *done* were decided on *within* a time than *allowed*, about where they were most."""
    most, ends_at = _most_within([decision.made_at for decision, _ in done], within)
    if most > allowed:
        hours = within / timedelta(hours=1)
        yield f"{most} {what} within {hours:g} h before {ends_at:%Y-%m-%d %H:%M}, {allowed} may be"


def _most_within(times: Sequence[datetime], within: timedelta) -> tuple[int, datetime | None]:
    """Return how many of *times*, in order, lie *within* so long of each other at most, and the last of them."""
    most, ends_at, first = 0, None, 0
    for last, at in enumerate(times):
        while at - times[first] >= within:
            first += 1
        if last - first + 1 > most:
            most, ends_at = last - first + 1, at
    return most, ends_at
