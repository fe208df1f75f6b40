"""What the process tells Prometheus: every metric's name, labels and help, in one place.

Rules of this module:
1. A name carries its unit; what only grows ends in `_total`.
2. Labels are bounded: event kinds are cut to their family; jobs are forgotten when they end.
3. What a state can be is always exported, with 0 where nothing is in it: absence is never an answer.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from clusterwatch import __version__
from clusterwatch.model import Cause, Decision, Event, Interruption, Job, JobState, Mode, NodeState, Step

COLLECTOR_SECONDS = "clusterwatch_collector_seconds"
COLLECTOR_LAST_SUCCESS = "clusterwatch_collector_last_success_timestamp_seconds"
COLLECTOR_FAILURES = "clusterwatch_collector_failures_total"
READINGS = "clusterwatch_readings_total"
EVENTS = "clusterwatch_events_total"
INCIDENTS_OPEN = "clusterwatch_incidents_open"
INCIDENTS = "clusterwatch_incidents_total"
INTERRUPTIONS = "clusterwatch_interruptions_total"
DECISIONS = "clusterwatch_decisions_total"
STEPS = "clusterwatch_steps_total"
JOBS = "clusterwatch_jobs"
JOB_LAST_STEP = "clusterwatch_job_last_step_timestamp_seconds"
JOB_STEP = "clusterwatch_job_step"
JOB_ETTR = "clusterwatch_job_ettr_ratio"
JOB_LOST_SECONDS = "clusterwatch_job_lost_seconds"
NODES = "clusterwatch_nodes"
BREAKER_OPEN = "clusterwatch_breaker_is_open"
IS_LEADER = "clusterwatch_responder_is_leader"
TURN_SECONDS = "clusterwatch_turn_seconds"
INBOX_LAG_SECONDS = "clusterwatch_inbox_lag_seconds"
TIMER_MISSED = "clusterwatch_timer_missed_total"
TIMER_ERRORS = "clusterwatch_timer_errors_total"
BUILD_INFO = "clusterwatch_build_info"

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""Of what `Metrics.text` returns."""

_TURN_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one process. Safe to use from several threads."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._job_labels: dict[str, set[tuple[str, ...]]] = {}
        self._collection_metrics()
        self._outcome_metrics()
        self._job_metrics()
        self._process_metrics()

    def collected(self, collector: str, seconds: float, readings: int, at: datetime) -> None:
        """Record a look of *collector* that gave *readings* in *seconds*."""
        self._collector_seconds.labels(collector).set(seconds)
        self._collector_last_success.labels(collector).set(at.timestamp())
        self._readings.labels(collector).inc(readings)
        self._collector_failures.labels(collector).inc(0)

    def collector_failed(self, collector: str, seconds: float) -> None:
        """Record a look of *collector* that failed or passed its deadline after *seconds*."""
        self._collector_seconds.labels(collector).set(seconds)
        self._collector_failures.labels(collector).inc()

    def events_recorded(self, events: Iterable[Event]) -> None:
        """Count *events* by the first part of their kind and their severity; a folded event counts as its count."""
        for event in events:
            self._events.labels(event.kind.partition(".")[0], event.severity.name.lower()).inc(event.count)

    def incidents_opened(self, causes: Iterable[Cause]) -> None:
        """Count incidents when they are diagnosed first, by that cause."""
        for cause in causes:
            self._incidents.labels(cause).inc()

    def interruption_began(self, interruption: Interruption, cause: Cause) -> None:
        """Count an interruption when its incident is diagnosed."""
        self._interruptions.labels(cause, str(interruption.planned).lower()).inc()

    def decisions_made(self, decisions: Iterable[Decision]) -> None:
        """Count decisions by their mode."""
        for decision in decisions:
            self._decisions.labels(decision.mode).inc()

    def step_changed(self, step: Step) -> None:
        """Count *step* having come into its state."""
        self._steps.labels(step.kind, step.state).inc()

    def show_incidents(self, causes: Iterable[Cause]) -> None:
        """Show how many incidents are open now, given the cause of each."""
        _show(self._incidents_open, Cause, causes)

    def show_nodes(self, states: Iterable[NodeState]) -> None:
        """Show how many nodes are in each state now, given the state of each."""
        _show(self._nodes, NodeState, states)

    def show_jobs(self, jobs: Iterable[Job]) -> None:
        """Show the jobs as they stand, and forget the step and the losses of those that are not active any more."""
        jobs = tuple(jobs)
        _show(self._jobs, JobState, (job.state for job in jobs))
        active = [job for job in jobs if job.is_active]
        for gone in self._job_labels.keys() - {job.id for job in active}:
            self._forget(gone)
        for job in active:
            self._show_progress(job)

    def show_account(self, job: str, ettr: float, lost_seconds: Mapping[str, float]) -> None:
        """Show where the time of an active job went: *ettr* 0-1, *lost_seconds* by reason."""
        self._job_ettr.labels(job).set(ettr)
        known = self._job_labels.setdefault(job, set())
        for reason, seconds in lost_seconds.items():
            self._job_lost_seconds.labels(job, reason).set(seconds)
            known.add((job, reason))

    def turn_taken(self, seconds: float, lag_seconds: float) -> None:
        """Record a turn of the responder and how old the oldest event was that it had not seen before."""
        self._turn_seconds.observe(seconds)
        self._inbox_lag_seconds.set(lag_seconds)

    def breaker(self, *, is_open: bool) -> None:
        """Show whether the breaker keeps automation from acting."""
        self._breaker_open.set(is_open)

    def leads(self, is_leader: bool) -> None:
        """Show whether this process is the responder."""
        self._is_leader.set(is_leader)

    def timer_missed(self) -> None:
        """Count a timer that was due while its last run still ran, or too late to run."""
        self._timer_missed.inc()

    def timer_failed(self, timer: str) -> None:
        """Count a run of *timer* that raised."""
        self._timer_errors.labels(timer).inc()

    def text(self) -> bytes:
        """Return the page that Prometheus reads, see CONTENT_TYPE."""
        return generate_latest(self.registry)

    def _collection_metrics(self) -> None:
        by_collector = ["collector"]
        self._collector_seconds = self._gauge(
            COLLECTOR_SECONDS, "Seconds that the collector's last look took.", by_collector
        )
        self._collector_last_success = self._gauge(
            COLLECTOR_LAST_SUCCESS, "Unix time of the collector's last look that worked.", by_collector
        )
        self._collector_failures = self._counter(
            COLLECTOR_FAILURES, "Looks that failed or passed their deadline.", by_collector
        )
        self._readings = self._counter(READINGS, "Readings that the collector gave.", by_collector)
        self._events = self._counter(
            EVENTS, "Events recorded, by the first part of their kind.", ["family", "severity"]
        )

    def _outcome_metrics(self) -> None:
        self._incidents_open = self._gauge(INCIDENTS_OPEN, "Open incidents by their present cause.", ["cause"])
        self._incidents = self._counter(INCIDENTS, "Incidents by the cause diagnosed first.", ["cause"])
        self._interruptions = self._counter(
            INTERRUPTIONS, "Interruptions of jobs by cause, planned or not.", ["cause", "planned"]
        )
        self._decisions = self._counter(DECISIONS, "Decisions by how far automation might go.", ["mode"])
        self._steps = self._counter(STEPS, "Steps of plans that came into a state.", ["kind", "state"])
        self._nodes = self._gauge(NODES, "Nodes by state.", ["state"])
        for mode in Mode:
            self._decisions.labels(mode)
        self.show_incidents(())
        self.show_nodes(())

    def _job_metrics(self) -> None:
        self._jobs = self._gauge(JOBS, "Jobs by state.", ["state"])
        self._job_last_step = self._gauge(JOB_LAST_STEP, "Unix time at which the job's last step ended.", ["job_id"])
        self._job_step = self._gauge(JOB_STEP, "Training step the job did last.", ["job_id"])
        self._job_ettr = self._gauge(JOB_ETTR, "Effective training time ratio of the job, 0 to 1.", ["job_id"])
        self._job_lost_seconds = self._gauge(
            JOB_LOST_SECONDS, "Seconds the job lost so far, by reason.", ["job_id", "reason"]
        )
        self.show_jobs(())

    def _process_metrics(self) -> None:
        self._breaker_open = self._gauge(BREAKER_OPEN, "1 while the breaker is open: no decision is automatic then.")
        self._is_leader = self._gauge(IS_LEADER, "1 where this process is the responder, else 0.")
        self._turn_seconds = Histogram(
            TURN_SECONDS, "Seconds that a turn of the responder took.", buckets=_TURN_BUCKETS, registry=self.registry
        )
        self._inbox_lag_seconds = self._gauge(INBOX_LAG_SECONDS, "Age of the oldest event of the last turn.")
        self._timer_missed = self._counter(TIMER_MISSED, "Timers that were due and could not run.")
        self._timer_errors = self._counter(TIMER_ERRORS, "Runs of timers that raised.", ["timer"])
        self._gauge(BUILD_INFO, "1, with the version as a label.", ["version"]).labels(__version__).set(1)

    def _gauge(self, name: str, meaning: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(name, meaning, tuple(labels), registry=self.registry)

    def _counter(self, name: str, meaning: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(name, meaning, tuple(labels), registry=self.registry)

    def _show_progress(self, job: Job) -> None:
        self._job_labels.setdefault(job.id, set())
        if job.last_step is not None:
            self._job_step.labels(job.id).set(job.last_step)
        if job.last_step_at is not None:
            self._job_last_step.labels(job.id).set(job.last_step_at.timestamp())

    def _forget(self, job: str) -> None:
        for gauge in (self._job_step, self._job_last_step, self._job_ettr):
            gauge.remove(job)
        for labels in self._job_labels.pop(job):
            self._job_lost_seconds.remove(*labels)


def _show(gauge: Gauge, members: Iterable[str], values: Iterable[str]) -> None:
    tally = Tally(values)
    for member in members:
        gauge.labels(member).set(tally[member])
