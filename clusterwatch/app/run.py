"""`clusterwatch run`: start a training command, follow it, and let the path decide what happens when it breaks."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import FrameType

import structlog

from clusterwatch.act.local_process import Ended, LocalProcess
from clusterwatch.app import wiring
from clusterwatch.app.service import Service
from clusterwatch.clock import SystemClock
from clusterwatch.config import CollectorSettings, Settings
from clusterwatch.errors import StoreError
from clusterwatch.model import ENDED_STEP_STATES, Decision, JobState, Mode, StepState
from clusterwatch.seams import Clock, WatchedJob
from clusterwatch.store import Store
from clusterwatch.supervise import COLLECTOR, Echo, JobDescription, Supervision

log = structlog.get_logger(component="run")

TICK_SECONDS = 0.2
LAST_WORDS = ("job_log", "kernel_log", "checkpoints")
"""Sources that are read to their end when an attempt ended, before anything is decided about it."""

RECENT_DECISIONS = 50
"""How far back a decision about the attempt that just ended can stand among those of all jobs."""

NO_PLAN_AFTER = timedelta(minutes=5)
"""A job that is down this long without a plan that restarts it is handed to a person."""

FOLLOWED_FOR_SECONDS = 30.0
"""How long the end of a job may take to be recorded before the command gives up waiting."""


def supervise(settings: Settings, job: JobDescription) -> int:
    """Run *job* to its end; return 0 when it completed, 1 when it was given up or stopped.

    Raises:
        StoreError: The database cannot be opened; nothing was started.
        ActionError: The command cannot be started.
    """
    store = wiring.store_of(settings)
    clock = SystemClock()
    mode = Mode(settings.policy.modes.get(LocalProcess.name, Mode.AUTO))
    supervision = Supervision(job, settings.state_dir / "jobs" / job.id, clock, mode)
    run = _Run(_for_one_job(settings), store, supervision, clock)
    try:
        return run.to_the_end()
    finally:
        store.close()


def _for_one_job(settings: Settings) -> Settings:
    """Return *settings* for a run: what the kernel said before the job began is not about the job."""
    kernel_log = settings.collectors.get("kernel_log", CollectorSettings())
    begun = CollectorSettings.model_validate({"lookback_seconds": 1, **kernel_log.model_dump(exclude_none=True)})
    checkpoints = settings.collectors.get("checkpoints", CollectorSettings(every_seconds=2.0))
    extra = {"kernel_log": begun, "checkpoints": checkpoints}
    return settings.model_copy(update={"collectors": {**settings.collectors, **extra}})


class _Run:
    """One supervised job, from its start to the end that is on record."""

    def __init__(self, settings: Settings, store: Store, supervision: Supervision, clock: Clock) -> None:
        self._supervision = supervision
        self._actuator = supervision.actuator
        self._store = store
        self._clock = clock
        self._echo = Echo(sys.stdout.buffer)
        self._stopping = threading.Event()
        self._signal = 0
        self._jobs: tuple[WatchedJob, ...] | None = None
        collectors = [*wiring.collectors_of(settings), supervision]
        site = wiring.site_of(settings, self._watched)
        self._service: Service = wiring.service_of(
            settings, store, collectors, [self._actuator], site, clock, scope=supervision.job.id
        )
        supervision.before_hold.append(lambda: self._service.agent.drain("job_log"))

    def to_the_end(self) -> int:
        self._supervision.begin()
        log.info("job supervised", job=self._supervision.job.id, output=str(self._supervision.log_path))
        self._service.start()
        try:
            with self._signals():
                state, reason = self._follow()
            self._supervision.job_ended(state, reason)
            self._record_end()
        finally:
            self._echo.pump(self._supervision.log_path)
            self._service.stop()
        log.info("job ended", job=self._supervision.job.id, state=state.value, reason=reason)
        return 0 if state is JobState.COMPLETED else 1

    def _watched(self) -> tuple[WatchedJob, ...]:
        return self._jobs if self._jobs is not None else self._supervision.watched()

    def _follow(self) -> tuple[JobState, str]:
        """Follow attempt after attempt; return how the job ended and why."""
        down_since: datetime | None = None
        while True:
            self._clock.wait(self._stopping, TICK_SECONDS if not self._stopping.is_set() else 0.0)
            self._echo.pump(self._supervision.log_path)
            if self._stopping.is_set():
                return self._stopped_by_signal()
            ended = self._actuator.poll()
            if ended is not None:
                self._attempt_ended(ended)
                down_since = self._clock.now()
                if ended.exit_code == 0 and not ended.held:
                    return JobState.COMPLETED, f"attempt {ended.number} ended with exit code 0"
            if self._actuator.given_up:
                return JobState.STOPPED, self._actuator.given_up
            if self._actuator.running is not None:
                down_since = None
            why = self._nothing_will_happen(down_since) if down_since is not None else ""
            if why:
                return JobState.STOPPED, why

    def _attempt_ended(self, ended: Ended) -> None:
        """Read the last words of the attempt, then tell that it ended."""
        if not ended.held:
            # While the exit status is there to be seen, before the job is shown without a process.
            self._service.agent.run("process")
            self._jobs = self._supervision.ended_attempt()
            for name in LAST_WORDS:
                self._service.agent.drain(name)
        self._jobs = None
        self._actuator.bury()
        self._supervision.attempt_ended(ended)
        self._service.agent.run(COLLECTOR)

    def _stopped_by_signal(self) -> tuple[JobState, str]:
        name = signal.Signals(self._signal).name
        self._jobs = ()
        self._actuator.terminate()
        ended = self._actuator.poll()
        if ended is not None:
            self._actuator.bury()
            self._supervision.attempt_ended(Ended(ended.number, ended.exit_code, held=True))
        return JobState.STOPPED, f"stopped by an operator ({name} to clusterwatch run)"

    def _nothing_will_happen(self, down_since: datetime) -> str:
        """Return why the job that is down will not be restarted; "" while it still may."""
        decision = self._latest_decision()
        if decision is not None and (not decision.steps or _has_failed(decision)):
            return " ".join([decision.reason, *sorted({step.detail for step in decision.steps if step.detail})])
        if self._clock.now() - down_since > NO_PLAN_AFTER:
            return "no plan was made for it in time; see `clusterwatch jobs why` and `clusterwatch doctor`"
        return ""

    def _latest_decision(self) -> Decision | None:
        """Return the newest decision about the attempt that ended; None before one is made.

        It is read from the database: another process may be the responder.
        """
        job_id, attempt = self._supervision.job.id, self._actuator.attempt
        try:
            recent = self._store.read.decisions(limit=RECENT_DECISIONS)
        except StoreError as error:
            log.warning("cannot read what was decided, will try again", error=str(error))
            return None
        return next((each for each in recent if each.job_id == job_id and each.attempt in (attempt, None)), None)

    def _record_end(self) -> None:
        """Wait until what was told last is on record and was responded to, here or by another responder."""
        agent, job_id = self._service.agent, self._supervision.job.id
        agent.run(COLLECTOR)
        deadline = self._clock.monotonic() + FOLLOWED_FOR_SECONDS
        while self._clock.monotonic() < deadline:
            if self._end_is_recorded():
                return
            self._clock.wait(threading.Event(), TICK_SECONDS)
        log.warning("end of job not recorded yet", job=job_id)

    def _end_is_recorded(self) -> bool:
        try:
            view = self._store.read.job(self._supervision.job.id)
        except StoreError:
            # The job's own end is what counts for the exit code; the database may come back until the deadline.
            return False
        return view is not None and not view.job.is_active

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT as an operator's wish to stop the job."""

        def note(number: int, _frame: FrameType | None) -> None:
            self._signal = number
            self._stopping.set()

        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _has_failed(decision: Decision) -> bool:
    states = {step.state for step in decision.steps}
    return states <= ENDED_STEP_STATES and states != {StepState.DONE}
