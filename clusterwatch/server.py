"""The loop for the cluster: take turns of `respond` as the one responder, and carry out what was decided.

A turn reads the events committed since the cursor and writes everything that follows from them in one transaction;
only then may an actuator act. Whoever holds the lease responds; who cannot renew it stops at once and forgets
what it knew, because another may know better by now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from clusterwatch import localise, pipeline, policy
from clusterwatch.act.surveyed import events_of_check, events_of_survey
from clusterwatch.errors import ActionError, LeaseLostError, StoreError
from clusterwatch.metrics import Metrics
from clusterwatch.model import (
    BY_ACTOR,
    CLUSTER,
    Changes,
    Component,
    ComponentKind,
    Decision,
    Edge,
    Event,
    Hold,
    Knowledge,
    Mode,
    Outcome,
    Scalar,
    Step,
    StepKind,
    StepState,
    Topology,
    World,
    WorldState,
    event_id,
    kinds,
)
from clusterwatch.model.making import replace
from clusterwatch.seams import Actuator, Clock, Recalled, Recorders
from clusterwatch.store import Cursor, Lease, Store

RENEW_EVERY_SECONDS = 2.0
REFRESH_WATCHED_EVERY_SECONDS = 5.0
EVENTS_AT_ONCE = 5000

log = structlog.get_logger(component="server")


@dataclass(slots=True)
class _Office:
    """What the holder of the lease knows; thrown away whole when the lease is lost.

    *renewed_at* and *refreshed_at* are monotonic seconds: a clock that is set must not keep a lease from renewal.
    """

    lease: Lease
    world: World
    cursor: Cursor
    renewed_at: float
    refreshed_at: float
    wake_at: datetime | None = None
    silent_at: datetime | None = None
    is_behind: bool = True
    has_planned: bool = False
    has_asked: bool = False


class Responder:
    """Takes turns while it holds the lease."""

    def __init__(
        self,
        store: Store,
        knowledge: Knowledge,
        limits: pipeline.Limits,
        clock: Clock,
        metrics: Metrics,
        holder: str,
        lease_seconds: float = 6.0,
        topology: Topology | None = None,
        watched: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        """Take the store and limits; *holder* is unique to this process.

        *topology* goes before the one on record, and *watched*, names of the collectors that work by node, before what
        the collectors' own records say: a replay knows both.
        """
        self._store = store
        self._knowledge = knowledge
        self._limits = limits
        self._clock = clock
        self._metrics = metrics
        self._holder = holder
        self._lease_seconds = lease_seconds
        self._topology = topology
        self._watched = watched
        self._office: _Office | None = None
        self._events_at_once = EVENTS_AT_ONCE

    @property
    def is_leader(self) -> bool:
        """Whether this process holds the lease, as far as it knows."""
        return self._office is not None

    @property
    def world(self) -> World | None:
        """The open state as of the last turn; None while another process is the responder."""
        return self._office.world if self._office is not None else None

    @property
    def wake_at(self) -> datetime | None:
        """When the next turn is due without new events; None when none is."""
        return self._office.wake_at if self._office is not None else None

    @property
    def silent_at(self) -> datetime | None:
        """When the silence of a job will have lasted too long; None when no job is silent."""
        return self._office.silent_at if self._office is not None else None

    @property
    def is_behind(self) -> bool:
        """Whether events that were there at the last turn, or came of it, wait for the next one."""
        return self._office is None or self._office.is_behind

    @property
    def has_planned(self) -> bool:
        """Whether the last turn recorded steps to be carried out."""
        return self._office is not None and self._office.has_planned

    @property
    def has_asked(self) -> bool:
        """Whether the last turn called a person, to look or to approve."""
        return self._office is not None and self._office.has_asked

    def turn(self) -> bool:
        """Take one turn if this process is, or can become, the responder; return whether more events wait.

        Raises:
            StoreError: The database said no; the next turn begins from the open state on record.
        """
        try:
            return self._turn()
        except LeaseLostError as error:
            log.warning("lease lost, another process responds now", error=str(error))
            self._leave()
            return False
        except StoreError:
            self._leave()
            raise
        except Exception:
            if not self._get_past_what_failed():
                raise
            return True

    def stop(self) -> None:
        """Give the lease back, so that the next responder need not wait for it to expire."""
        if self._office is not None:
            self._store.release(self._office.lease)
            self._leave()

    def _leave(self) -> None:
        self._office = None
        self._metrics.leads(False)

    def _turn(self) -> bool:
        now = self._clock.now()
        office = self._held(now)
        if office is None:
            return False
        self._refresh_watched(office, now)
        events, cursor = self._store.inbox(office.cursor, self._events_at_once)
        office.has_planned = office.has_asked = False
        if events or (office.wake_at is not None and office.wake_at <= now):
            self._respond(office, events, cursor, now)
        if not events:
            self._events_at_once = EVENTS_AT_ONCE
        office.is_behind = len(events) >= self._events_at_once
        if not office.is_behind:
            # Silence means something only when nothing waits to be read.
            office.is_behind = self._watch(office, now) > 0
        return office.is_behind or bool(events)

    def _respond(self, office: _Office, events: Sequence[Event], cursor: Cursor, now: datetime) -> None:
        began = self._clock.monotonic()
        turn = pipeline.respond(office.world, events, self._knowledge, self._limits, now)
        self._store.commit_turn(office.lease, turn.changes, cursor, now)
        steps = [step for decision in turn.changes.decisions for step in decision.steps]
        office.has_planned = bool(steps)
        office.has_asked = any(map(_waits_for_a_person, turn.changes.decisions))
        office.world, office.cursor, office.wake_at = turn.world, cursor, turn.wake_at
        lag = now - events[0].observed_at if events else timedelta()
        self._metrics.turn_taken(self._clock.monotonic() - began, max(lag, timedelta()) / timedelta(seconds=1))
        self._tell(turn)

    def _get_past_what_failed(self) -> bool:
        """After a mistake of ours: take events one by one, and set aside the one that no turn can take.

        One event must not keep all jobs from being responded to. Return False when no event is to blame.
        """
        office = self._office
        if office is None:
            return False
        events, cursor = self._store.inbox(office.cursor, 1)
        if not events:
            return False
        log.exception("turn failed", events_at_once=self._events_at_once)
        if self._events_at_once == 1:
            log.error("event set aside, nothing follows from it", event_id=events[0].id, kind=events[0].kind)
            self._store.commit_turn(office.lease, Changes(), cursor, self._clock.now())
            office.cursor = cursor
        self._events_at_once = 1
        return True

    def _held(self, now: datetime) -> _Office | None:
        """Return the office, renewed or newly taken; None while another process holds the lease."""
        monotonic = self._clock.monotonic()
        if self._office is not None and monotonic - self._office.renewed_at < RENEW_EVERY_SECONDS:
            return self._office
        if self._office is not None:
            renewed = self._store.renew(self._office.lease, self._lease_seconds)
            if renewed is None:
                raise LeaseLostError("the lease could not be renewed")
            self._office.lease, self._office.renewed_at = renewed, monotonic
            return self._office
        lease = self._store.acquire(self._holder, self._lease_seconds)
        if lease is None:
            return None
        world, cursor = self._store.world(now)
        if self._topology is not None:
            world = replace(world, topology=self._topology)
        if self._watched is not None:
            world = replace(world, watched=self._watched, heard=frozenset(self._watched))
        log.info("responder started", holder=self._holder, jobs=len(world.jobs), incidents=len(world.incidents))
        never = monotonic - REFRESH_WATCHED_EVERY_SECONDS
        self._office = _Office(lease, world, cursor, renewed_at=monotonic, refreshed_at=never, wake_at=now)
        self._metrics.leads(True)
        return self._office

    def _refresh_watched(self, office: _Office, now: datetime) -> None:
        if self._clock.monotonic() - office.refreshed_at < REFRESH_WATCHED_EVERY_SECONDS:
            return
        self._restrain(office, now)
        self._hear_of_asked(office, now)
        if self._watched is None:
            watched = self._store.watched(now)
            office.world = replace(office.world, watched=watched, heard=frozenset(watched))
        office.refreshed_at = self._clock.monotonic()

    def _restrain(self, office: _Office, now: datetime) -> None:
        """Take over what people told automation to leave alone, and look again at what waited for that."""
        holds, maintenance = self._store.restraints(now)
        if (holds, maintenance) != (office.world.holds, office.world.maintenance):
            office.world = replace(office.world, holds=holds, maintenance=maintenance)
            office.wake_at = now
        breaker = holds.get(CLUSTER)
        self._metrics.breaker(is_open=breaker is not None and breaker.is_active)

    def _hear_of_asked(self, office: _Office, now: datetime) -> None:
        """Take over what people asked for: the brakes count it too."""
        known = {decision.id for decision in office.world.recent}
        asked = [each for each in self._store.decided_by(policy.ASKED, now - policy.DAY) if each.id not in known]
        if asked:
            recent = sorted((*office.world.recent, *asked), key=lambda decision: decision.made_at)
            office.world = replace(office.world, recent=tuple(recent))

    def _watch(self, office: _Office, now: datetime) -> int:
        """Record what silence means, as events like any other; return how many are new."""
        events, office.silent_at = pipeline.watch(office.world, self._limits, now)
        return self._store.record("", "watch", events, {}, None, now) if events else 0

    def _tell(self, turn: pipeline.Turn) -> None:
        changes = turn.changes
        self._count_interruptions(turn)
        self._metrics.decisions_made(changes.decisions)
        self._metrics.incidents_opened(each.cause for each in changes.diagnoses if each.revision == 1)
        for diagnosis in changes.diagnoses:
            log.info(
                "incident diagnosed",
                incident=diagnosis.incident_id,
                revision=diagnosis.revision,
                cause=diagnosis.cause.value,
                confidence=diagnosis.confidence,
            )
        for hold in changes.holds:
            log.error("breaker opened, every decision waits for a person", reason=hold.reason)
            self._metrics.breaker(is_open=True)
            self._store.record("", "policy", [_event_of_breaker(hold)], {}, None, hold.made_at)
        for decision in changes.decisions:
            log.info(
                "decision recorded",
                incident=decision.incident_id,
                decision=decision.id,
                job=decision.job_id,
                mode=decision.mode.value,
                steps=[step.kind.value for step in decision.steps],
                reason=decision.reason,
            )

    def _count_interruptions(self, turn: pipeline.Turn) -> None:
        """Count an interruption with its first decision: by then its cause has settled."""
        for decision in turn.changes.decisions:
            interruption = turn.world.interruptions.get(decision.job_id or "")
            if interruption is not None and interruption.edges.get(Edge.DECIDED) == decision.made_at:
                cause = turn.world.diagnoses[decision.incident_id].cause
                self._metrics.interruption_began(interruption, cause)


@dataclass(slots=True)
class Actor:
    """Carries out recorded steps with the actuators of this process, each at most once."""

    store: Store
    actuators: Sequence[Actuator]
    clock: Clock
    metrics: Metrics
    _by_name: dict[str, Actuator] = field(init=False)
    _found: list[Event] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Index the actuators by name."""
        self._by_name = {actuator.name: actuator for actuator in self.actuators}

    def turn(self) -> int:
        """Carry out every step that is due; return how many ended.

        Raises:
            StoreError: The database said no. A step whose outcome could not be written stays begun, and the
                world is asked about it before anything is done again.
        """
        due = self.store.steps_to_perform({name: each.targets() for name, each in self._by_name.items()})
        return sum(self._carry_out(step) for step in due)

    def _carry_out(self, step: Step) -> bool:
        now = self.clock.now()
        if step.state is StepState.BEGUN:
            return self._resume(step, now)
        if not self.store.begin_step(step.id, now):
            return False
        if now > step.not_after:
            return self._finish(step, Outcome(step.id, StepState.REFUSED, now, "too late: the evidence is stale"))
        return self._finish(step, self._perform(step, now))

    def _resume(self, step: Step, now: datetime) -> bool:
        """End a step that a killed process had begun: ask the world first, call a person when it cannot tell."""
        told = self._state_of(step)
        if told is WorldState.DONE:
            return self._finish(step, Outcome(step.id, StepState.DONE, now, "found done after a restart"))
        if told is WorldState.NOT_DONE and now <= step.not_after:
            return self._finish(step, self._perform(step, now))
        detail = "the world cannot tell whether it was done; a person must look"
        return self._finish(step, Outcome(step.id, StepState.UNKNOWN, now, detail))

    def _perform(self, step: Step, now: datetime) -> Outcome:
        if step.kind is StepKind.ASK:
            # No actuator is needed for that: it stands on the page, in the log and in the metrics from now on.
            log.error("a person is asked", step=step.id, job=step.target, reason=step.arguments.get("reason"))
            return Outcome(step.id, StepState.DONE, now, "a person was asked")
        try:
            if step.kind is StepKind.DUMP:
                return self._ask_ranks(step, now)
            return self._by_name[step.actuator].perform(step, now)
        except ActionError as error:
            return Outcome(step.id, StepState.FAILED, self.clock.now(), str(error))
        except Exception as error:
            # A mistake in an actuator ends this plan, not the loop: the step would be tried for ever.
            log.exception("actuator failed", step=step.id, actuator=step.actuator)
            return Outcome(step.id, StepState.FAILED, self.clock.now(), f"{type(error).__name__}: {error}")

    def _ask_ranks(self, step: Step, now: datetime) -> Outcome:
        """Ask the ranks what they wait for; what that says comes back as evidence, with the outcome."""
        actuator = self._by_name[step.actuator]
        recalled = actuator.recalled(step, now) if isinstance(actuator, Recorders) else Recalled()
        at = max(self.clock.now(), now)
        if not recalled.dumps:
            return Outcome(step.id, StepState.DONE, at, recalled.detail or "no rank answered")
        answer = localise.localised(recalled.dumps, ended=recalled.ended)
        self._found = list(localise.events_of(answer, step, at))
        facts: dict[str, Scalar] = {"status": answer.status.value, "culprits": len(answer.culprits)}
        return Outcome(step.id, StepState.DONE, at, f"{answer.explanation} {recalled.detail}".strip()[:500], facts)

    def _state_of(self, step: Step) -> WorldState:
        try:
            return self._by_name[step.actuator].state_of(step)
        except Exception:
            log.exception("actuator cannot be asked", step=step.id, actuator=step.actuator)
            return WorldState.CANNOT_TELL

    def _finish(self, step: Step, outcome: Outcome) -> bool:
        found, self._found = self._found, []
        told = (*events_of_survey(step, outcome), *events_of_check(step, outcome), *found)
        finished = self.store.finish_step(outcome, _event_of(step, outcome), *told)
        # What nobody can tell, a person has to look at, whether or not the job waits for it.
        tell = log.error if outcome.state is StepState.UNKNOWN else log.info
        tell(
            "step ended",
            step=step.id,
            kind=step.kind.value,
            target=step.target,
            state=outcome.state.value,
            detail=outcome.detail,
        )
        self.metrics.step_changed(replace(step, state=outcome.state))
        return finished


def _waits_for_a_person(decision: Decision) -> bool:
    """Say whether somebody is asked, or has to approve."""
    waiting = [step for step in decision.steps if step.state is StepState.RECORDED]
    return any(step.kind is StepKind.ASK or decision.mode is Mode.APPROVE for step in waiting)


def _event_of_breaker(hold: Hold) -> Event:
    return Event(
        id=event_id("", "", "policy", kinds.BREAKER_OPENED, hold.made_at.isoformat()),
        kind=kinds.BREAKER_OPENED,
        component=Component(ComponentKind.SERVICE, "clusterwatch"),
        happened_at=hold.made_at,
        observed_at=hold.made_at,
        source="policy",
        origin="breaker",
        text=f"the breaker opened: {hold.reason}",
        fields={"reason": hold.reason},
    )


def _event_of(step: Step, outcome: Outcome) -> Event:
    """Return the outcome as the event it is; the same id however often it is told."""
    return Event(
        id=event_id("", "", BY_ACTOR, step.id, outcome.state.value),
        kind=kinds.STEP_CHANGED,
        component=Component(ComponentKind.JOB, step.target),
        happened_at=outcome.at,
        observed_at=outcome.at,
        source=BY_ACTOR,
        origin=f"step {step.id}",
        text=f"{step.kind.value} of {step.target}: {outcome.state.value} {outcome.detail}".strip(),
        fields={
            **{key: value for key, value in step.arguments.items() if key != "reason"},
            **outcome.facts,
            "step_id": step.id,
            "step_kind": step.kind.value,
            "actuator": step.actuator,
            "state": outcome.state.value,
            "detail": outcome.detail,
        },
        job=step.target,
    )
