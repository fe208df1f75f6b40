"""`clusterwatch run`: start a training command, follow it, and let the path decide what happens when it breaks.

Whatever happens to the terminal, to a reader of the output, or in a turn of ours: the command runs on and is followed.
"""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import dataclass, replace
from datetime import datetime
from types import FrameType

import structlog

from clusterwatch.act.local_process import Ended, LocalProcess
from clusterwatch.app import lost, wiring
from clusterwatch.app.service import Service
from clusterwatch.app.terminal import handling, unbuffered, without_terminal
from clusterwatch.clock import SystemClock
from clusterwatch.config import CollectorSettings, Settings
from clusterwatch.errors import ActionError, StoreError
from clusterwatch.model import ENDED_STEP_STATES, Decision, JobState, Mode, StepState
from clusterwatch.seams import Clock, Site, WatchedJob
from clusterwatch.store import Store
from clusterwatch.supervise import COLLECTOR, Echo, JobDescription, Supervision

log = structlog.get_logger(component="run")

TICK_SECONDS = 0.2
LAST_WORDS = ("job_log", "kernel_log", "checkpoints")
"""Sources that are read to their end when an attempt ended, before anything is decided about it."""

RECENT_DECISIONS = 50
"""How far back a decision about the attempt that just ended can stand among those of all jobs."""

NO_PLAN_AFTER_SECONDS = 15 * 60.0
"""A job that is down this long without a plan that restarts it is handed to a person; no step waits longer."""

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
    supervision = Supervision(job, wiring.jobs_folder(settings) / job.id, clock, mode)
    run = Run(_for_one_job(settings), store, supervision, clock)
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


@dataclass(frozen=True, slots=True)
class Down:
    """The attempt that ended last: until when a plan may come for it, by the clock that never jumps."""

    attempt: int
    ended_at: datetime
    patience_until: float


class Run:
    """One supervised job, from its start to the end that is on record."""

    def __init__(self, settings: Settings, store: Store, supervision: Supervision, clock: Clock) -> None:
        """Take what to run and where to record it; nothing is started yet."""
        self._supervision = supervision
        self._actuator = supervision.actuator
        self._store = store
        self._clock = clock
        self._folder = wiring.jobs_folder(settings) / supervision.job.id
        self._note = lost.note_of_this_process(supervision.job.id, settings.node)
        self._echo = Echo(unbuffered(sys.stdout), lambda: supervision.log_path)
        self._stopping = threading.Event()
        self._signal = 0
        self._jobs: tuple[WatchedJob, ...] | None = None
        self._down: Down | None = None
        collectors = [*wiring.collectors_of(settings), supervision]
        self._plain_site = wiring.site_of(settings, self._watched)
        self._service: Service = wiring.service_of(
            settings, store, collectors, [self._actuator], self._site, clock, scope=supervision.job.id
        )
        supervision.before_hold.append(lambda: self._service.agent.drain("job_log"))

    def to_the_end(self) -> int:
        """Start the job and follow it; return 0 when it completed, 1 when it was given up or stopped.

        Raises:
            ActionError: The command cannot be started.
        """
        with without_terminal():
            try:
                state, reason = self._begin_and_follow()
                self._end(state, reason)
            finally:
                self._echo.stop()
                self._service.stop()
        log.info("job ended", job=self._supervision.job.id, state=state.value, reason=reason)
        return 0 if state is JobState.COMPLETED else 1

    def _begin_and_follow(self) -> tuple[JobState, str]:
        with handling({signal.SIGTERM: self._note_signal, signal.SIGINT: self._note_signal}):
            self._begin()
            return self._follow()

    def _begin(self) -> None:
        self._leave(self._note)
        try:
            self._supervision.begin()
        except ActionError:
            lost.remove(self._folder)
            raise
        log.info("job supervised", job=self._supervision.job.id, output=str(self._supervision.log_path))
        # Before anything is read of it: steps of a job that nobody knows are nobody's.
        self._service.agent.run(COLLECTOR)
        self._service.start()
        self._echo.start()

    def _end(self, state: JobState, reason: str) -> None:
        """Put the end on record; where that fails, the note says it to whoever runs here next."""
        self._leave(replace(self._note, state=state, reason=reason))
        self._supervision.job_ended(state, reason)
        if self._record_end():
            lost.remove(self._folder)

    def _leave(self, note: lost.Note) -> None:
        try:
            lost.leave(note, self._folder)
        except OSError as error:
            log.warning("no note left for a killed supervisor", folder=str(self._folder), error=str(error))

    def _watched(self) -> tuple[WatchedJob, ...]:
        return self._jobs if self._jobs is not None else self._supervision.watched()

    def _site(self, name: str) -> Site:
        site = self._plain_site(name)
        # What an attempt that ended wrote last may lack the end of its line.
        return replace(site, settings={**site.settings, "final": True}) if name == "job_log" and self._jobs else site

    def _follow(self) -> tuple[JobState, str]:
        """Follow attempt after attempt; return how the job ended and why."""
        complaint = ""
        while not self._clock.wait(self._stopping, TICK_SECONDS):
            try:
                end = self._turn()
            except Exception as error:
                # Our own mistake, or the database's: the command runs, and must not be left alone for it.
                if repr(error) != complaint:
                    log.exception("turn failed, the job is still followed")
                complaint = repr(error)
                continue
            if end is not None:
                return end
        return self._stopped_by_signal()

    def _turn(self) -> tuple[JobState, str] | None:
        """Look at the command once; return how the job ended and why, None while it has not."""
        ended = self._actuator.poll()
        if ended is not None:
            self._attempt_ended(ended)
            if _is_completed(ended):
                return JobState.COMPLETED, f"attempt {ended.number} ended with exit code 0"
        if self._actuator.running is not None:
            self._down = None
        why = self._nothing_will_happen(self._down) if self._down is not None else ""
        if why:
            self._actuator.retire(why)
        # What was given up while it ran is followed until its processes have ended.
        return (JobState.STOPPED, self._actuator.given_up) if self._is_given_up else None

    @property
    def _is_given_up(self) -> bool:
        return bool(self._actuator.given_up) and self._actuator.is_idle

    def _attempt_ended(self, ended: Ended) -> None:
        """Read the last words of the attempt, then tell that it ended."""
        if _is_completed(ended):
            # A plan that was made for it while it still ran, or seemed to hang, is void.
            self._actuator.retire("the job is completed")
        if not ended.held:
            self._read_last_words()
        self._supervision.attempt_ended(ended)
        self._service.agent.run(COLLECTOR)
        patience_until = self._clock.monotonic() + NO_PLAN_AFTER_SECONDS
        self._down = Down(ended.number, self._clock.now(), patience_until)
        # Last of all: a restart waits for it.
        self._actuator.bury()

    def _read_last_words(self) -> None:
        # While the exit status is there to be seen, before the job is shown without a process.
        self._service.agent.run("process")
        self._jobs = self._supervision.ended_attempt()
        try:
            for name in LAST_WORDS:
                self._service.agent.drain(name)
        finally:
            self._jobs = None

    def _stopped_by_signal(self) -> tuple[JobState, str]:
        reason = f"stopped by an operator ({signal.Signals(self._signal).name} to clusterwatch run)"
        # Before anything else: the plan that is being carried out must not start another attempt.
        self._actuator.retire("the job was stopped by an operator")
        self._jobs = ()
        try:
            self._actuator.terminate()
        except ActionError as error:
            log.error("command not ended", error=str(error))
            reason = f"{reason}; {error}"
        ended = self._actuator.poll()
        if ended is not None:
            self._actuator.bury()
            self._supervision.attempt_ended(Ended(ended.number, ended.exit_code, held=True))
        return JobState.STOPPED, reason

    def _nothing_will_happen(self, down: Down) -> str:
        """Return why the job that is down will not be restarted; "" while it still may."""
        decision = self._latest_decision(down)
        if decision is not None and (not decision.steps or _has_failed(decision)):
            return " ".join([decision.reason, *sorted({step.detail for step in decision.steps if step.detail})])
        if self._clock.monotonic() > down.patience_until:
            return "no plan was made for it in time; see `clusterwatch jobs why` and `clusterwatch doctor`"
        return ""

    def _latest_decision(self, down: Down) -> Decision | None:
        """Return the newest decision about the attempt that ended; None before one is made.

        It is read from the database: another process may be the responder.
        """
        try:
            recent = self._store.read.decisions(limit=RECENT_DECISIONS)
        except StoreError as error:
            log.warning("cannot read what was decided, will try again", error=str(error))
            return None
        ours = (each for each in recent if each.job_id == self._supervision.job.id)
        return next((each for each in ours if is_about(each, down)), None)

    def _record_end(self) -> bool:
        """Wait until what was told last is on record and was responded to, here or by another; return whether it is."""
        agent, job_id = self._service.agent, self._supervision.job.id
        agent.run(COLLECTOR)
        deadline = self._clock.monotonic() + FOLLOWED_FOR_SECONDS
        while self._clock.monotonic() < deadline:
            if self._end_is_recorded():
                return True
            self._clock.wait(threading.Event(), TICK_SECONDS)
        log.warning("end of job not recorded yet", job=job_id)
        return False

    def _end_is_recorded(self) -> bool:
        try:
            view = self._store.read.job(self._supervision.job.id)
        except StoreError:
            # The job's own end is what counts for the exit code; the database may come back until the deadline.
            return False
        return view is not None and not view.job.is_active

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        """Take SIGTERM and SIGINT as an operator's wish to stop the job."""
        self._signal = number
        self._stopping.set()


def _is_completed(ended: Ended) -> bool:
    return ended.exit_code == 0 and not ended.held


def is_about(decision: Decision, down: Down) -> bool:
    """Return whether *decision* says what becomes of the attempt that is down.

    One without steps does so only if it was made after the end: while an attempt runs, doing nothing is no last word.
    """
    is_later = bool(decision.steps) or decision.made_at >= down.ended_at
    return is_later and decision.attempt in (down.attempt, None)


def _has_failed(decision: Decision) -> bool:
    states = {step.state for step in decision.steps}
    return states <= ENDED_STEP_STATES and states != {StepState.DONE}
