"""The responder and the actor, on a real SQLite, interrupted wherever it hurts."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from clusterwatch import pipeline
from clusterwatch.app import operating
from clusterwatch.clock import ManualClock
from clusterwatch.metrics import Metrics
from clusterwatch.model import (
    CLUSTER,
    Changes,
    CollectorStatus,
    Component,
    ComponentKind,
    Mode,
    StepKind,
    StepState,
    WorldState,
    kinds,
)
from clusterwatch.model.collectives import Call
from clusterwatch.seams import Recalled
from clusterwatch.server import Actor, Responder
from clusterwatch.store import Store
from clusterwatch.testing import NOON, RecordingActuator, event, progress, seconds, training_job
from dumps import waiting_dump
from shipped import shipped_catalog, shipped_limits

CATALOG = shipped_catalog()
LIMITS = shipped_limits(modes={"recording": Mode.AUTO})
JOB = Component(ComponentKind.JOB, "job-1", "node001")


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.fixture
def database(tmp_path):
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def store(database):
    opened = Store.open(database, create=True)
    yield opened
    opened.close()


def responder_of(store, clock, holder="a"):
    # A lease goes by the database's clock, which a busy machine does not stop for.
    return Responder(store, CATALOG.knowledge, LIMITS, clock, Metrics(), holder, lease_seconds=300.0)


def record(store, *events):
    store.record("node001", "test", events, {}, None, NOON)


def crashed_job():
    crash_at = NOON + seconds(55)
    return [
        *training_job(actuator="recording"),
        *[progress("job-1", 1, step, NOON + seconds(10 * step)) for step in range(1, 6)],
        event(kinds.ATTEMPT_ENDED, JOB, crash_at, job="job-1", attempt=1, exit_code=1),
    ]


def steps_of(store):
    return {step.kind: step.state for decision in store.read.decisions() for step in decision.steps}


def decided(store, clock):
    """Let a responder decide about a crashed job."""
    responder = responder_of(store, clock)
    record(store, *crashed_job())
    clock.advance(60)
    responder.turn()
    clock.advance(3)
    responder.turn()
    return responder


def test_crash_is_decided_carried_out_once_and_reported_back(store):
    clock, actuator = ManualClock(NOON), RecordingActuator()
    responder = decided(store, clock)
    actor = Actor(store, [actuator], clock, Metrics())

    while actor.turn():
        continue
    responder.turn()

    assert [step.kind for step in actuator.performed] == [StepKind.CHOOSE_CHECKPOINT, StepKind.REQUEUE]
    assert set(steps_of(store).values()) == {StepState.DONE}
    assert [incident.state for incident, _ in store.read.incidents()] == ["recovering"]


def test_restart_reads_the_open_state_and_decides_nothing_twice(store):
    clock = ManualClock(NOON)
    decided(store, clock).stop()
    clock.advance(30)

    second = responder_of(store, clock, "b")
    second.turn()
    second.turn()

    assert len(store.read.decisions()) == 1
    assert second.world.jobs["job-1"].highest_step == 5


def test_only_the_holder_of_the_lease_responds(store):
    clock = ManualClock(NOON)
    first, second = responder_of(store, clock, "a"), responder_of(store, clock, "b")
    record(store, *crashed_job())

    first.turn()
    second.turn()

    assert first.is_leader
    assert not second.is_leader


def test_who_lost_the_lease_stops_at_once_and_forgets(store):
    clock = ManualClock(NOON)
    first, second = responder_of(store, clock, "a"), responder_of(store, clock, "b")
    first.turn()
    store.release(store.acquire("a", 6))
    second.turn()
    clock.advance(3)

    first.turn()

    assert not first.is_leader
    assert first.world is None


POINTS = ["begin_step", "finish_step"]


@pytest.mark.parametrize(("point", "when"), list(itertools.product(POINTS, ["before", "after"])))
@pytest.mark.parametrize("nth", [1, 2])
def test_actor_killed_at_any_point_never_repeats_a_step(store, database, monkeypatch, point, when, nth):
    clock, actuator = ManualClock(NOON), RecordingActuator()
    decided(store, clock)
    calls = itertools.count(1)
    real = getattr(Store, point)

    def dies(self, *arguments):
        if next(calls) != nth:
            return real(self, *arguments)
        if when == "after":
            real(self, *arguments)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Store, point, dies)
        with pytest.raises(Killed):
            while Actor(store, [actuator], clock, Metrics()).turn():
                continue
    restarted = Store.open(database)
    while Actor(restarted, [actuator], clock, Metrics()).turn():
        continue

    performed = [step.id for step in actuator.performed]
    assert len(performed) == len(set(performed)) == 2
    assert set(steps_of(restarted).values()) == {StepState.DONE}
    restarted.close()


def test_step_the_world_cannot_tell_about_calls_a_person(store):
    clock, actuator = ManualClock(NOON), RecordingActuator(tells=WorldState.CANNOT_TELL)
    decided(store, clock)
    first = store.steps_to_perform({"recording": None})[0]
    store.begin_step(first.id, clock.now())

    with capture_logs() as logged:
        while Actor(store, [actuator], clock, Metrics()).turn():
            continue

    assert actuator.performed == []
    assert steps_of(store) == {StepKind.CHOOSE_CHECKPOINT: StepState.UNKNOWN, StepKind.REQUEUE: StepState.CANCELLED}
    assert [(entry["log_level"], entry["state"]) for entry in logged] == [("error", "unknown")]


def test_step_that_is_too_late_is_refused(store):
    clock, actuator = ManualClock(NOON), RecordingActuator()
    decided(store, clock)
    clock.advance(3600)

    Actor(store, [actuator], clock, Metrics()).turn()

    assert actuator.performed == []
    assert steps_of(store)[StepKind.CHOOSE_CHECKPOINT] is StepState.REFUSED


def test_refusal_of_the_world_ends_the_plan(store):
    clock, actuator = ManualClock(NOON), RecordingActuator(refuses=frozenset({StepKind.CHOOSE_CHECKPOINT}))
    responder = decided(store, clock)

    Actor(store, [actuator], clock, Metrics()).turn()
    responder.turn()

    assert steps_of(store) == {StepKind.CHOOSE_CHECKPOINT: StepState.FAILED, StepKind.REQUEUE: StepState.CANCELLED}
    assert [incident.state for incident, _ in store.read.incidents()] == ["diagnosed"]


def test_event_that_no_turn_can_take_is_set_aside_and_the_rest_is_responded_to(store, monkeypatch):
    clock = ManualClock(NOON)
    responder = responder_of(store, clock)
    record(store, *crashed_job())
    poison = store.read.events(kind=kinds.PROGRESS)[2][1].id
    real = pipeline.respond

    def fails(world, events, *rest):
        if poison in {each.id for each in events}:
            raise OverflowError("no database can hold this")
        return real(world, events, *rest)

    monkeypatch.setattr(pipeline, "respond", fails)
    clock.advance(60)
    while responder.turn():
        continue

    assert responder.world.jobs["job-1"].highest_step == 5
    assert "job-1" in responder.world.interruptions


def test_two_jobs_struck_by_one_fault_are_both_decided_about(store):
    clock = ManualClock(NOON)
    responder = responder_of(store, clock)
    started = [each for job in ("job-1", "job-2") for each in training_job(job, actuator="recording")]
    steps = [progress(job, 1, 1, NOON + seconds(10)) for job in ("job-1", "job-2")]
    lost = event("kernel.oom_kill", "node001", NOON + seconds(20), pid="7")
    ended = [
        event(
            kinds.ATTEMPT_ENDED, Component(ComponentKind.JOB, job), NOON + seconds(21), job=job, attempt=1, exit_code=1
        )
        for job in ("job-1", "job-2")
    ]
    record(store, *started, *steps, lost, *ended)
    clock.advance(22)
    responder.turn()
    clock.advance(3)
    responder.turn()

    assert {each.job_id for each in store.read.decisions() if each.steps} == {"job-1", "job-2"}


class Mistaken(RecordingActuator):
    """An actuator with a mistake of ours in it."""

    def perform(self, step, now):
        raise KeyError("checkpoint")

    def state_of(self, step):
        raise KeyError("checkpoint")


def test_actuator_that_breaks_fails_the_step_and_the_plan(store):
    clock = ManualClock(NOON)
    decided(store, clock)

    Actor(store, [Mistaken()], clock, Metrics()).turn()

    assert steps_of(store) == {StepKind.CHOOSE_CHECKPOINT: StepState.FAILED, StepKind.REQUEUE: StepState.CANCELLED}
    (decision,) = store.read.decisions()
    assert decision.steps[0].detail == "KeyError: 'checkpoint'"


def test_actuator_that_breaks_when_it_is_asked_calls_a_person(store):
    clock = ManualClock(NOON)
    decided(store, clock)
    store.begin_step(store.steps_to_perform({"recording": None})[0].id, clock.now())

    Actor(store, [Mistaken()], clock, Metrics()).turn()

    assert steps_of(store)[StepKind.CHOOSE_CHECKPOINT] is StepState.UNKNOWN


def test_hang_is_recorded_once_however_often_it_is_looked_for(store):
    clock = ManualClock(NOON)
    responder = responder_of(store, clock)
    record(store, *training_job(actuator="recording"), *crashed_job()[2:-1])
    clock.advance(51)
    responder.turn()

    for _ in range(100):
        clock.advance(2)
        responder.turn()

    assert len(store.read.events(kind=kinds.HANG)) == 1


def test_interruption_is_counted_once_under_the_cause_that_was_decided_on(store):
    clock, metrics = ManualClock(NOON), Metrics()
    responder = Responder(store, CATALOG.knowledge, LIMITS, clock, metrics, "a")
    record(store, *crashed_job())

    for after in (60, 3, 3, 3):
        clock.advance(after)
        responder.turn()

    assert 'clusterwatch_interruptions_total{cause="unknown",planned="false"} 1.0' in metrics.text().decode()


def test_what_is_said_to_be_watched_goes_before_what_is_on_record(store):
    watched = {"node001": frozenset({"kernel_log"}), "node002": frozenset({"nvml"})}
    responder = Responder(
        store, CATALOG.knowledge, LIMITS, ManualClock(NOON), Metrics(), "a", topology=None, watched=watched
    )

    responder.turn()

    assert responder.world.watched == watched
    assert {node.name for node in store.read.nodes()} == {"node001", "node002"}


def test_node_whose_collectors_work_is_seen_without_an_event(store):
    clock = ManualClock(NOON)
    responder = responder_of(store, clock)
    store.record("node001", "nvml", [], {}, CollectorStatus("node001", "nvml", NOON, NOON), NOON)
    responder.turn()
    clock.advance(90)
    later = clock.now()
    store.record("node001", "nvml", [], {}, CollectorStatus("node001", "nvml", later, later), later)
    record(store, *crashed_job())

    responder.turn()

    assert [node.seen_at for node in store.read.nodes() if node.name == "node001"] == [later]


# Every kind of step that an actuator carries out; asking needs none.
# To ask, a person or ranks, changes nothing: that may be repeated.
ALL_KINDS = tuple(kind for kind in StepKind if kind not in (StepKind.ASK, StepKind.DUMP))


def all_kinds_decided(store):
    """Let a plan with a step of every kind be on record."""
    clock = ManualClock(NOON)
    decided(store, clock).stop()
    (made,) = store.read.decisions()
    steps = [
        replace(made.steps[0], id=f"dec-all.{order}", decision_id="dec-all", order=order, kind=kind)
        for order, kind in enumerate(ALL_KINDS, start=1)
    ]
    lease = store.acquire("test", 60)
    _, cursor = store.world(NOON)
    plan = replace(made, id="dec-all", steps=tuple(steps))
    store.commit_turn(lease, Changes(decisions=(plan,)), cursor, NOON)
    store.veto(made.id, "test", "only the other plan matters", NOON)
    return clock


@pytest.mark.parametrize(("point", "when"), list(itertools.product(POINTS, ["before", "after"])))
def test_no_step_of_any_kind_is_repeated_wherever_the_actor_is_killed(store, monkeypatch, point, when):
    """Each process is killed at its second such call, until the plan has ended."""
    clock, actuator = all_kinds_decided(store), RecordingActuator()
    real = getattr(Store, point)

    def dies(self, *arguments):
        if next(calls) % 2:
            return real(self, *arguments)
        if when == "after":
            real(self, *arguments)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Store, point, dies)
        for _ in range(3 * len(ALL_KINDS)):
            calls = itertools.count(1)
            try:
                while Actor(store, [actuator], clock, Metrics()).turn():
                    continue
            except Killed:
                continue
    while Actor(store, [actuator], clock, Metrics()).turn():
        continue

    performed = [step.id for step in actuator.performed]
    assert performed == [f"dec-all.{order}" for order in range(1, len(ALL_KINDS) + 1)]
    assert {step.state for step in store.read.decision("dec-all").steps} == {StepState.DONE}


def test_person_is_asked_whatever_the_actuator_can_do(store):
    clock, actuator = ManualClock(NOON), RecordingActuator(refuses=frozenset(StepKind))
    responder = decided(store, clock)
    for _ in range(4):
        Actor(store, [actuator], clock, Metrics()).turn()
        for _ in range(3):
            clock.advance(40)
            responder.turn()

    newest = store.read.decisions()[0]
    Actor(store, [actuator], clock, Metrics()).turn()

    assert [step.kind for step in newest.steps] == [StepKind.ASK]
    assert store.read.decision(newest.id).steps[0].state is StepState.DONE


class Asked(RecordingActuator):
    """Its ranks answer with *dumps*, or raise what stands there instead."""

    kinds = frozenset(StepKind)
    dumps = ()

    def recalled(self, step, now):
        if isinstance(self.dumps, Exception):
            raise self.dumps
        return Recalled(tuple(self.dumps))


FOUR = (0, 1, 2, 3)
MISMATCH = [
    waiting_dump(0, FOUR, 9),
    waiting_dump(1, FOUR, 9),
    waiting_dump(2, FOUR, 9, call=Call("broadcast", (1,), (1,), ("Long",), ("Long",))),
    waiting_dump(3, FOUR, 9),
]


def lived_through_a_hang(store, dumps):
    """Return the actuator, the clock's time of each decision and its steps, as the hang of a job goes on."""
    clock, actuator = ManualClock(NOON), Asked()
    actuator.dumps = dumps
    limits = shipped_limits(modes={"recording": Mode.AUTO})
    limits = replace(limits, policy=replace(limits.policy, abilities={"recording": Asked.kinds}))
    responder, actor = (
        Responder(store, CATALOG.knowledge, limits, clock, Metrics(), "a"),
        Actor(store, [actuator], clock, Metrics()),
    )
    record(store, *training_job(actuator="recording", nodes="node001"))
    record(store, *(progress("job-1", 1, step, NOON + seconds(10 * step)) for step in range(1, 6)))
    while clock.now() < NOON + seconds(240) and not actuator.performed:
        responder.turn()
        if dumps is not None:
            actor.turn()
        clock.advance(1)
    return actuator, {each.rule: each for each in store.read.decisions()}


def test_ranks_of_a_job_that_hangs_are_asked_before_it_is_ended_and_their_answer_decides(store):
    actuator, decisions = lived_through_a_hang(store, MISMATCH)

    asked = decisions.pop("ask the ranks")
    (restart,) = decisions.values()
    assert asked.steps[0].state is StepState.DONE
    assert (restart.cause, restart.steps[0].kind) == ("software_bug", StepKind.HOLD)
    assert actuator.performed[0].kind is StepKind.HOLD


@pytest.mark.parametrize("dumps", [[], OSError("no space left"), None], ids=["no answer", "an error", "nobody asks"])
def test_ranks_that_do_not_answer_delay_no_restart_beyond_seconds(store, dumps):
    _, decisions = lived_through_a_hang(store, dumps)

    asked, (restart,) = decisions.pop("ask the ranks"), decisions.values()

    assert restart.made_at - asked.made_at <= timedelta(seconds=61)
    assert StepKind.REQUEUE in {step.kind for step in restart.steps}


def crashed_job_two():
    """Return the events of another job that crashes a little later."""
    where = Component(ComponentKind.JOB, "job-2", "node002")
    return [
        *training_job("job-2", nodes="node002", actuator="recording"),
        progress("job-2", 1, 1, NOON + seconds(10)),
        event(kinds.ATTEMPT_ENDED, where, NOON + seconds(57), job="job-2", attempt=1, exit_code=1),
    ]


def test_breaker_opens_loudly_and_is_closed_by_a_reset(store):
    clock, metrics = ManualClock(NOON), Metrics()
    limits = shipped_limits(modes={"recording": Mode.AUTO}, cluster_restarts_per_hour=0)
    responder = Responder(store, CATALOG.knowledge, limits, clock, metrics, "a")
    record(store, *crashed_job(), *crashed_job_two())
    for after in (60, 3, 3, 3):
        clock.advance(after)
        responder.turn()

    opened = "clusterwatch_breaker_is_open 1.0" in metrics.text().decode()
    modes = {decision.job_id: decision.mode for decision in store.read.decisions()}
    told = [each.fields["reason"] for _, each in store.read.events(kind=kinds.BREAKER_OPENED)]
    operating.release(store, CLUSTER, "ada", clock.now())
    clock.advance(10)
    responder.turn()

    assert opened
    assert sorted(modes.values()) == [Mode.APPROVE, Mode.AUTO]
    assert told == ["1 restarts within an hour in all jobs together, 0 may be"]
    assert "clusterwatch_breaker_is_open 0.0" in metrics.text().decode()
