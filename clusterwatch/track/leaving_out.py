"""Steps that have ended to the nodes that ClusterWatch leaves out of each job.

1. A node is left out from the end of the step that did so. One that an operator had excluded before stays theirs.
2. It is cleared when it passes checks one after the other, or is given back to service, whichever job that was about.
3. It is left out no more once the scheduler was told so, or when a later attempt runs on it all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from clusterwatch.model import ENDED_STEP_STATES, Event, LeftOut, StepKind, StepState, kinds
from clusterwatch.track.book import Book

WAS_EXCLUDED = "was_excluded"
"""Fact of an exclusion: somebody else had excluded the node before."""


def note_left_out(book: Book, event: Event) -> None:
    """Take over what *event* says of nodes that are left out of jobs."""
    if event.kind == kinds.ATTEMPT_STARTED:
        _runs_there(book, event)
        return
    node, change = str(event.fields.get("node") or ""), _CHANGES.get(str(event.fields.get("step_kind")))
    if event.kind == kinds.STEP_CHANGED and node and change is not None:
        change(book, event, node)


def _excluded(book: Book, event: Event, node: str) -> None:
    job = book.jobs.get(event.job or "")
    if job is None or not _is_done(event) or event.fields.get(WAS_EXCLUDED):
        return
    attempt = event.fields.get("attempt")
    left = LeftOut(
        node,
        event.happened_at,
        attempt if isinstance(attempt, int) else job.attempt,
        str(event.fields.get("incident") or ""),
        str(event.fields.get("cause") or ""),
    )
    book.change_job(job.id, left_out=(*(each for each in job.left_out if each.node != node), left))


def _readmitted(book: Book, event: Event, node: str) -> None:
    job = book.jobs.get(event.job or "")
    if job is not None and _is_done(event):
        book.change_job(job.id, left_out=tuple(each for each in job.left_out if each.node != node))


def _checked(book: Book, event: Event, node: str) -> None:
    if str(event.fields.get("state")) not in ENDED_STEP_STATES:
        return
    for job in list(book.jobs.values()):
        if any(each.node == node for each in job.left_out):
            left_out = (_after_check(each, event) if each.node == node else each for each in job.left_out)
            book.change_job(job.id, left_out=tuple(left_out))


def _after_check(left: LeftOut, event: Event) -> LeftOut:
    at = event.happened_at
    if not _is_done(event):
        return replace(left, cleared_at=None, checked_at=at, failures=left.failures + 1, passes=0)
    passes = left.passes + 1
    is_clear = passes >= left.passes_to_clear or event.fields.get("step_kind") == StepKind.RELEASE.value
    return replace(left, cleared_at=at if is_clear else None, checked_at=at, passes=passes)


def _given_back(book: Book, event: Event, node: str) -> None:
    if _is_done(event):
        _checked(book, event, node)


def _runs_there(book: Book, event: Event) -> None:
    """Forget that nodes are left out on which a later attempt runs: a person, or the scheduler, decided so."""
    job, attempt = book.jobs.get(event.job or ""), event.attempt
    if job is None or not job.left_out or attempt is None:
        return
    nodes = frozenset(str(event.fields.get("nodes") or "").split(","))
    left_out = tuple(each for each in job.left_out if each.node not in nodes or each.attempt >= attempt)
    if left_out != job.left_out:
        book.change_job(job.id, left_out=left_out)


def _is_done(event: Event) -> bool:
    return event.fields.get("state") == StepState.DONE


_CHANGES: Mapping[str, Callable[[Book, Event, str], None]] = {
    StepKind.EXCLUDE.value: _excluded,
    StepKind.READMIT.value: _readmitted,
    StepKind.CHECK.value: _checked,
    StepKind.RELEASE.value: _given_back,
}
