"""The open state in the store to the gauges that show it."""

from __future__ import annotations

import threading

import structlog

from clusterwatch.errors import StoreError
from clusterwatch.goodput import Reason, account
from clusterwatch.metrics import Metrics
from clusterwatch.model import Cause, Job
from clusterwatch.seams import Clock
from clusterwatch.store import JobHistory, Store

log = structlog.get_logger(component="api")

FRESH_SECONDS = 5.0
"""Scrapes that follow each other faster than this see the same numbers and cost no query."""

_COUNTED = 1000


class Gauges:
    """Shows open incidents, jobs and nodes in *metrics*. Safe to use from several threads."""

    def __init__(self, store: Store, metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._problem = ""

    def refresh(self) -> None:
        """Read the open state anew unless that was done moments ago.

        A store that fails leaves the numbers as they were: whether it answers is what /readyz tells.
        """
        with self._lock:
            now = self._clock.monotonic()
            if self._read_at is not None and now - self._read_at < FRESH_SECONDS:
                return
            self._read_at = now
            try:
                self._show()
                self._problem = ""
            except StoreError as error:
                self._complain(str(error))

    def _show(self) -> None:
        read = self._store.read
        histories = read.active_histories()
        explained = read.incidents(open_only=True, limit=_COUNTED)
        self._metrics.show_incidents(diagnosis.cause if diagnosis else Cause.UNKNOWN for _, diagnosis in explained)
        self._metrics.show_nodes(node.state for node in read.nodes())
        self._metrics.show_jobs(_each_once(read.jobs(limit=_COUNTED), histories))
        for history in histories:
            self._show_account(history)

    def _show_account(self, history: JobHistory) -> None:
        now = self._clock.now()
        ledger = account(history.job, history.attempts, history.interruptions, now, history.checkpoints)
        seconds = ledger.seconds_by_reason()
        lost = {str(reason): seconds.get(reason, 0.0) for reason in Reason if reason is not Reason.PRODUCTIVE}
        if ledger.ettr is not None:
            self._metrics.show_account(history.job.id, ledger.ettr, lost)

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("open state not readable, metrics keep their last values", error=problem)
        self._problem = problem


def _each_once(newest: list[Job], histories: list[JobHistory]) -> list[Job]:
    """Return the newest jobs and those still active; an old job that trains must not fall out of the count."""
    return list({job.id: job for job in (*newest, *(history.job for history in histories))}.values())
