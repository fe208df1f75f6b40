"""What is told of an attempt between its start and its first step: where the time of a restart goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from clusterwatch.model import Attempt, Edge, Event, kinds
from clusterwatch.track.book import Book


def _communicators_ready(book: Book, event: Event) -> None:
    """Note when the ranks of an attempt had found each other."""
    current = _starting(book, event)
    if current is not None and current.communicators_ready_at is None:
        book.change_attempt(current.job_id, communicators_ready_at=event.happened_at)
        book.pass_edge(current.job_id, Edge.COMMUNICATORS_READY, event.happened_at)


def _loading(book: Book, event: Event) -> None:
    """Note when the first rank of an attempt began to load."""
    current = _starting(book, event)
    if current is not None and current.checkpoint_loading_at is None:
        book.change_attempt(current.job_id, checkpoint_loading_at=event.happened_at)


def _loaded(book: Book, event: Event) -> None:
    """Note when the last rank of an attempt had loaded: a job waits for all of them. Some tell how long that took."""
    current = _starting(book, event)
    if current is None:
        return
    last_at = max(current.checkpoint_loaded_at or event.last_at, event.last_at)
    took = event.fields.get("load_seconds")
    began_at = current.checkpoint_loading_at
    if began_at is None and isinstance(took, int | float):
        began_at = event.happened_at - timedelta(seconds=took)
    book.change_attempt(current.job_id, checkpoint_loading_at=began_at, checkpoint_loaded_at=last_at)
    book.pass_edge(current.job_id, Edge.CHECKPOINT_LOADED, event.happened_at)
    loaded = book.checkpoint(current.job_id, str(event.fields.get("path") or ""))
    if loaded is not None and isinstance(took, int | float):
        book.save_checkpoint(replace(loaded, load_seconds=float(took)))


def _starting(book: Book, event: Event) -> Attempt | None:
    """Return the attempt that *event* is about if it has made no step yet: what is loaded later is something else."""
    current = book.attempt(event.job or "")
    if current is None or event.attempt not in (None, current.number) or current.first_step is not None:
        return None
    is_its_own = event.happened_at >= (current.running_at or current.started_at)
    return current if is_its_own and current.ended_at is None else None


RESTART_HANDLERS: dict[str, Callable[[Book, Event], None]] = {
    kinds.COMMUNICATORS_READY: _communicators_ready,
    kinds.CHECKPOINT_LOADING: _loading,
    kinds.CHECKPOINT_LOADED: _loaded,
}
"""Kind to what it changes."""
