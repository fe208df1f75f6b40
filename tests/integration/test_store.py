"""What the store promises, on both databases."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterwatch.errors import LeaseLostError, StoreError
from clusterwatch.model import (
    Alternative,
    Attempt,
    Cause,
    Changes,
    Checkpoint,
    CollectorStatus,
    Component,
    ComponentKind,
    Decision,
    Diagnosis,
    Edge,
    Event,
    Evidence,
    History,
    Hold,
    Incident,
    IncidentState,
    Interruption,
    Job,
    JobState,
    MaintenanceWindow,
    Mode,
    Node,
    NodeState,
    Outcome,
    Placement,
    Progress,
    Sample,
    Severity,
    Step,
    StepKind,
    StepState,
    Suspect,
    Topology,
    Trust,
    WeighedLine,
    World,
)
from clusterwatch.model.world import CHECKPOINTS_KEPT
from clusterwatch.store import Cursor, Lease, Store
from clusterwatch.store.engine import Database

pytestmark = pytest.mark.integration

START = Cursor()
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
GPU = Component(ComponentKind.GPU, "0000:1b:00", "node001")


MISTAKES = (sa.exc.IntegrityError, sqlite3.IntegrityError)
"""What a mistake of ours comes out as: some statements go straight to SQLite's driver."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return request.getfixturevalue("postgres_url") if request.param == "postgresql" else f"sqlite:///{tmp_path}/cw.db"


@pytest.fixture
def store(url: str):
    with_schema = Store.open(url, create=True)
    yield with_schema
    with_schema.close()


def event(number: int, **changed: object) -> Event:
    values: dict[str, object] = {
        "id": f"{number:032x}",
        "kind": "gpu.xid.79",
        "component": GPU,
        "happened_at": NOON,
        "observed_at": NOON + timedelta(seconds=number),
        "source": "kernel_log",
    }
    return Event(**(values | changed))  # type: ignore[arg-type] # the values of one test


def incident(name: str = "inc-1", **changed: object) -> Incident:
    seen = Sample(f"{1:032x}", "NVRM: Xid 79", "kernel_log", "/dev/kmsg:7", NOON)
    folded = Evidence("gpu.xid.79", GPU, Severity.FATAL, Trust.NODE, NOON, NOON, 3, (seen,), (("xid", "79"),))
    plain = Incident(name, IncidentState.ACTING, NOON, NOON, NOON, (folded,), ("job-1",), ("node001",), revision=2)
    return replace(plain, **changed)  # type: ignore[arg-type] # the values of one test


def diagnosis(revision: int) -> Diagnosis:
    return Diagnosis(
        "inc-1",
        revision,
        Cause.FAULTY_GPU,
        0.75,
        (Alternative(Cause.GPU_GSP, 0.2),),
        (Suspect(GPU, 0.9, 3, "GPU-1"),),
        (WeighedLine("kernel_log", "/dev/kmsg:7", "NVRM: Xid 79", "gpu.xid.79", f"{1:032x}", 3.5, 2),),
        ("no row remapped",),
        "The GPU fell off the bus.",
        "Replace it.",
        NOON,
        True,
    )


def step(order: int, kind: StepKind = StepKind.REQUEUE, decision_id: str = "dec-1", **changed: object) -> Step:
    plain = Step(f"{decision_id}-{order}", decision_id, order, kind, "local", "job-1", {"attempt": 2}, NOON)
    return replace(plain, **changed)  # type: ignore[arg-type] # the values of one test


def decision(*plan: Step, mode: Mode = Mode.AUTO, name: str = "dec-1") -> Decision:
    return Decision(name, "inc-1", 2, "job-1", mode, "the GPU is lost", NOON, plan)


def commit(store: Store, changes: Changes, cursor: Cursor = START) -> Lease:
    lease = store.acquire("server-1", 60)
    assert lease is not None
    store.commit_turn(lease, changes, cursor, NOON)
    return lease


def open_decision(store: Store, *plan: Step, mode: Mode = Mode.AUTO) -> None:
    commit(store, Changes(incidents=(incident(),), decisions=(decision(*plan, mode=mode),)))


# --- events ---------------------------------------------------------------------------------------------------------


def test_event_comes_out_of_the_inbox_as_it_went_in(store: Store):
    rich = event(
        1,
        happened_at=NOON - timedelta(seconds=2),
        origin="train.log:88",
        trust=Trust.USER,
        severity=Severity.FATAL,
        text="naïve ünïcode 火",
        rule="xid",
        fields={"xid": 79, "share": 0.5, "fatal": True, "note": None, "digits": "79"},
        job="job-1",
        attempt=2,
        rank=5,
        count=4,
        until=NOON,
        boot_id="b1",
    )

    store.record("node001", "kernel_log", [rich], {}, None, NOON)

    assert store.inbox(Cursor())[0] == [replace(rich, received_at=NOON)]


def test_event_recorded_twice_is_stored_once(store: Store):
    first = store.record("node001", "kernel_log", [event(1), event(2), event(2)], {}, None, NOON)
    seen_again_later = replace(event(2), observed_at=NOON + timedelta(days=2))

    second = store.record("node001", "kernel_log", [seen_again_later, event(3)], {}, None, NOON)

    assert (first, second) == (2, 1)
    assert [e.id for e in store.inbox(Cursor())[0]] == [event(n).id for n in (1, 2, 3)]


def test_same_event_recorded_at_the_same_time_is_stored_once(store: Store):
    batch = [event(n) for n in range(50)]

    with ThreadPoolExecutor(8) as pool:
        new = list(pool.map(lambda _: store.record("node001", "kernel_log", batch, {}, None, NOON), range(8)))

    assert sum(new) == 50
    assert len(store.inbox(Cursor())[0]) == 50


def test_position_is_what_was_written_with_the_events(store: Store):
    store.record("node001", "kernel_log", [event(1)], {"sequence": 17, "boot": "b1"}, None, NOON)

    assert store.position("node001", "kernel_log") == {"sequence": 17, "boot": "b1"}
    assert store.position("node002", "kernel_log") == {}


def test_failure_between_position_and_events_writes_neither(store: Store):
    without_zone = replace(event(2), happened_at=NOON.replace(tzinfo=None))

    with pytest.raises(ValueError, match="without a zone"):
        store.record("node001", "kernel_log", [event(1), without_zone], {"sequence": 2}, None, NOON)

    assert store.position("node001", "kernel_log") == {}
    assert store.inbox(Cursor())[0] == []


def test_inbox_goes_on_where_the_cursor_stands(store: Store):
    store.record("node001", "kernel_log", [event(n) for n in range(5)], {}, None, NOON)
    first, cursor = store.inbox(Cursor(), limit=3)
    rest, cursor = store.inbox(cursor, limit=3)

    assert [e.id for e in (*first, *rest)] == [event(n).id for n in range(5)]
    assert store.inbox(cursor) == ([], cursor)


def test_inbox_gives_the_same_whether_this_process_wrote_it_or_another(store: Store, url: str):
    abroad = timezone(timedelta(hours=2))
    events = [
        event(1, text="a\0b", happened_at=NOON.astimezone(abroad), observed_at=NOON.astimezone(abroad)),
        event(2, fields={"loss": float("inf")}, count=3, until=NOON, trust=Trust.USER, job="job-1"),
    ]
    _, start = store.inbox(Cursor())

    store.record("node001", "kernel_log", events, {}, None, NOON)

    with closing(Store.open(url)) as other:
        assert repr(store.inbox(start)) == repr(other.inbox(start))


def test_inbox_leaves_nothing_out_that_another_process_wrote_in_between(store: Store, url: str):
    _, cursor = store.inbox(Cursor())
    with closing(Store.open(url)) as other:
        for number in range(6):
            writer = other if number in (0, 3) else store
            writer.record("node001", f"collector{number}", [event(number)], {}, None, NOON)

    read: list[Event] = []
    while True:
        some, cursor = store.inbox(cursor, limit=2)
        if not some:
            break
        read += some

    assert [each.id for each in read] == [event(number).id for number in range(6)]


def test_what_is_written_together_is_there_for_others_at_the_end(url: str):
    with closing(Store.open(url, create=True)) as store, closing(Store.open(url)) as other:
        with store.together():
            store.record("node001", "kernel_log", [event(1)], {}, None, NOON)
            with pytest.raises(ValueError, match="without a zone"):
                store.record("node001", "host", [event(2, happened_at=NOON.replace(tzinfo=None))], {}, None, NOON)
            store.record("node001", "bmc", [event(3)], {}, None, NOON)
        seen = other.inbox(Cursor())[0]

    assert [each.id for each in seen] == [event(1).id, event(3).id]


def test_text_that_no_database_takes_is_stored_without_it(store: Store):
    garbage = event(1, text="a\0b\ud800c", fields={"line": "x\0y\udfff", "loss": float("inf"), "clean": "\\u0000"})

    store.record("node001", "job_log", [garbage], {"last": "\0"}, None, NOON)
    stored = store.inbox(Cursor())[0][0]

    assert stored.text == "a\N{REPLACEMENT CHARACTER}b?c"
    assert stored.fields == {"line": "x\N{REPLACEMENT CHARACTER}y?", "loss": float("inf"), "clean": "\\u0000"}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    fields=st.dictionaries(
        st.text(max_size=5),
        st.one_of(
            st.none(), st.booleans(), st.text(), st.floats(allow_nan=False, width=32), st.integers(-(2**63), 2**63)
        ),
        max_size=4,
    )
)
def test_any_fields_survive_being_written_as_json(tmp_path_factory: pytest.TempPathFactory, fields: dict):
    from clusterwatch.store.jsontext import dumps, loads

    safe = {key: value for key, value in fields.items() if "\0" not in key and "\0" not in str(value)}

    assert loads(dumps(safe)) == safe


def test_simulated_events_are_refused_by_a_real_store(store: Store):
    with pytest.raises(StoreError, match="simulated"):
        store.record("node001", "small_fleet", [event(1), event(2, simulated=True)], {"at": 2}, None, NOON)

    assert store.inbox(Cursor())[0] == []
    assert store.position("node001", "small_fleet") == {}


def test_simulated_events_are_taken_by_a_store_that_accepts_them(url: str):
    store = Store.open(url, create=True, accept_simulated=True)

    assert store.record("node001", "small_fleet", [event(1, simulated=True)], {}, None, NOON) == 1
    store.close()


def test_status_of_a_collector_stays_when_only_its_position_moves(store: Store):
    status = CollectorStatus("node001", "nvml", None, NOON, 0.25, "no NVIDIA driver here", "", 7, 1)
    store.record("node001", "nvml", [], {"at": 1}, status, NOON)

    store.record("node001", "nvml", [], {"at": 2}, None, NOON)

    assert store.collector_statuses() == [status]
    assert store.position("node001", "nvml") == {"at": 2}


# --- the lease ------------------------------------------------------------------------------------------------------


def test_second_holder_is_refused_while_the_first_holds_the_lease(store: Store):
    first = store.acquire("server-1", 60)

    assert first is not None
    assert store.acquire("server-2", 60) is None
    assert store.acquire("server-1", 60).epoch == first.epoch


def test_epoch_grows_when_the_lease_changes_hands(store: Store):
    first = store.acquire("server-1", 0)
    second = store.acquire("server-2", 60)

    assert second.epoch == first.epoch + 1
    assert store.renew(first, 60) is None
    assert store.renew(second, 60).expires_at >= second.expires_at


def test_lease_given_back_is_free_at_once(store: Store):
    store.release(store.acquire("server-1", 60))

    assert store.acquire("server-2", 60) is not None


def test_of_many_that_ask_at_once_one_gets_the_lease(store: Store):
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda n: store.acquire(f"server-{n}", 60), range(8)))

    assert len([lease for lease in leases if lease]) == 1


def test_turn_of_a_former_responder_writes_nothing(store: Store):
    former = store.acquire("server-1", 0)
    store.acquire("server-2", 60)

    with pytest.raises(LeaseLostError, match="not the responder"):
        store.commit_turn(former, Changes(incidents=(incident(),)), Cursor(0, 9), NOON)

    world, cursor = store.world(NOON)
    assert (world.incidents, cursor) == ({}, Cursor())


def test_turn_after_the_lease_ran_out_writes_nothing(store: Store):
    lease = store.acquire("server-1", 0)

    with pytest.raises(LeaseLostError):
        store.commit_turn(lease, Changes(incidents=(incident(),)), Cursor(), NOON)

    assert store.read.incidents() == []


def test_turn_that_fails_half_way_writes_nothing(store: Store):
    lease = store.acquire("server-1", 60)
    of_no_incident = replace(decision(), incident_id="inc-unheard-of")

    with pytest.raises(MISTAKES):
        store.commit_turn(lease, Changes(incidents=(incident(),), decisions=(of_no_incident,)), Cursor(0, 9), NOON)

    world, cursor = store.world(NOON)
    assert (world.incidents, cursor) == ({}, Cursor())


# --- the world ------------------------------------------------------------------------------------------------------

JOB = Job(
    "job-1",
    "llama",
    JobState.RECOVERING,
    NOON,
    NOON + timedelta(minutes=1),
    ("torchrun", "train.py"),
    "ada",
    ("node001", "node002"),
    16,
    "local",
    "/ckpt",
    attempt=2,
    highest_step=120,
    last_step=100,
    last_step_at=NOON,
    step_seconds=1.5,
    loss=2.25,
    last_checkpoint_step=100,
    last_checkpoint_at=NOON,
    held="an operator",
)
WORLD = World(
    watching_since=NOON,
    jobs={"job-1": JOB},
    attempts={
        "job-1": (
            Attempt(
                "job-1",
                1,
                NOON,
                running_at=NOON,
                first_step_at=NOON,
                ended_at=NOON,
                first_step=1,
                last_step=120,
                last_step_at=NOON,
                first_new_step_at=NOON,
                interrupted_at=NOON,
                decided_at=NOON,
                hung=True,
                exit_code=-9,
                fingerprint="RuntimeError@train.py:12",
            ),
            Attempt("job-1", 2, NOON, resumed_step=100, resumed_checkpoint="/ckpt/100"),
        )
    },
    placements={
        "job-1": tuple(
            Placement("job-1", 2, rank, "node001", f"GPU-{rank}", 4000 + rank, (("dp", rank), ("tp", 0)))
            for rank in range(12)
        )
    },
    checkpoints={
        "job-1": (
            Checkpoint("job-1", 90, "/ckpt/z90", "dcp", True, True, NOON, 2**40),
            Checkpoint("job-1", 100, "/ckpt/100", "dcp", True, False, NOON),
        )
    },
    interruptions={"job-1": Interruption("int-1", "job-1", 1, "inc-1", False, 120, {Edge.LAST_STEP: NOON}, True)},
    incidents={"inc-1": incident()},
    diagnoses={"inc-1": diagnosis(2)},
    decisions={
        "inc-1": (decision(step(1, StepKind.EXCLUDE, state=StepState.DONE, changed_at=NOON, detail="ok"), step(2)),)
    },
    nodes={"node001": Node("node001", NodeState.DRAINED, NOON, "b1", 8, "Xid 79", "dec-1")},
    maintenance=(MaintenanceWindow("mw-1", ("node009",), NOON, NOON + timedelta(hours=1), "firmware", "ada"),),
    topology=Topology({"node001": frozenset({"rack1", "tor1"})}),
    watched={"node001": frozenset({"kernel_log", "nvml"})},
)
WORLD = replace(WORLD, recent=WORLD.decisions["inc-1"], holds={"job:job-1": Hold("job:job-1", "tuning", "ada", NOON)})
HISTORY = Changes(
    jobs=(JOB, replace(JOB, id="job-0", state=JobState.COMPLETED)),
    attempts=(*WORLD.attempts["job-1"], Attempt("job-0", 1, NOON)),
    placements=(*WORLD.placements["job-1"], Placement("job-1", 1, 0, "node002")),
    checkpoints=(*WORLD.checkpoints["job-1"], Checkpoint("job-1", 110, "/ckpt/110", "dcp", False, True, NOON)),
    progress=(Progress("job-1", 1, 1, NOON, 3.5, 1e6, 1.5),),
    interruptions=(
        *WORLD.interruptions.values(),
        Interruption("int-0", "job-1", 1, None, True, 10, {Edge.LAST_STEP: NOON, Edge.FIRST_NEW_STEP: NOON}),
    ),
    nodes=tuple(WORLD.nodes.values()),
    incidents=(incident(), incident("inc-0", state=IncidentState.CLOSED, closed_at=NOON)),
    memberships=(("inc-1", f"{1:032x}"), ("inc-1", f"{1:032x}"), ("inc-1", f"{2:032x}")),
    diagnoses=(diagnosis(1), diagnosis(2)),
    decisions=WORLD.decisions["inc-1"],
    holds=(*WORLD.holds.values(), Hold("node:node001", "old", "ada", NOON, NOON, "bob")),
)


def remember(store: Store) -> None:
    commit(store, HISTORY, Cursor(7, 42))
    store.set_topology(Topology({"node077": frozenset({"rack9"})}), NOON)
    store.set_topology(WORLD.topology, NOON)
    store.add_maintenance(WORLD.maintenance[0], NOON)
    store.add_maintenance(replace(WORLD.maintenance[0], id="mw-0", ends_at=NOON - timedelta(hours=1)), NOON)
    working, silent, failing = NOON - timedelta(seconds=119), NOON - timedelta(seconds=121), "cannot look"
    for name, last_success, error in [
        ("kernel_log", working, ""),
        ("nvml", working, ""),
        ("host", silent, ""),
        ("job_log", working, failing),
    ]:
        store.record("node001", name, [], {}, CollectorStatus("node001", name, last_success, NOON, error=error), NOON)


def test_world_is_exactly_the_open_state_that_was_committed(store: Store):
    remember(store)

    assert store.world(NOON) == (WORLD, Cursor(7, 42))


def test_world_that_is_committed_again_is_the_same_world(store: Store):
    remember(store)

    commit(store, HISTORY, Cursor(7, 42))

    assert store.world(NOON) == (WORLD, Cursor(7, 42))


def test_world_holds_the_latest_checkpoints_of_each_job(store: Store):
    saves = tuple(
        Checkpoint(job, number, f"/{job}/{number}", "dcp", True, True, NOON)
        for job in ("job-1", "job-2")
        for number in range(CHECKPOINTS_KEPT + 5)
    )
    commit(store, Changes(jobs=(JOB, replace(JOB, id="job-2")), checkpoints=saves))

    found = store.world(NOON)[0].checkpoints

    assert {job: [each.step for each in of_job] for job, of_job in found.items()} == {
        "job-1": list(range(5, CHECKPOINTS_KEPT + 5)),
        "job-2": list(range(5, CHECKPOINTS_KEPT + 5)),
    }


def test_long_list_of_nodes_stays_and_changes_with_its_job(store: Store):
    first, second = (tuple(f"{name}{number:04d}" for number in range(300)) for name in ("a", "b"))
    job, attempt = replace(JOB, nodes=first), Attempt("job-1", 2, NOON, nodes=first, ranks_per_node=8)

    commit(store, Changes(jobs=(job,), attempts=(attempt,)))
    commit(store, Changes(jobs=(replace(job, highest_step=500),), attempts=(replace(attempt, last_step=500),)))
    went_on = store.world(NOON)[0]
    commit(store, Changes(jobs=(replace(job, nodes=second),)))
    moved = store.world(NOON)[0]

    assert went_on.jobs["job-1"] == replace(job, highest_step=500)
    assert went_on.attempts["job-1"] == (replace(attempt, last_step=500),)
    assert moved.jobs["job-1"].nodes == second


def test_list_of_nodes_whose_writing_failed_is_written_again(store: Store):
    job = replace(JOB, nodes=tuple(f"node{number:04d}" for number in range(300)))
    broken = Changes(jobs=(job,), decisions=(decision(step(1)),))  # of no incident that is on record

    with pytest.raises(MISTAKES):
        commit(store, broken)
    commit(store, Changes(jobs=(job,)))

    assert store.world(NOON)[0].jobs["job-1"].nodes == job.nodes


@pytest.mark.parametrize("alone", [False, True])
def test_database_that_need_not_be_durable_holds_the_same(url: str, alone: bool):
    with closing(Store.open(url, create=True, durable=False, alone=alone)) as first:
        remember(first)
    with closing(Store.open(url)) as again:
        assert again.world(NOON) == (WORLD, Cursor(7, 42))


def test_many_events_at_once_are_each_written_once(store: Store):
    many = [event(number, fields={"loss": float("nan") if number % 7 == 0 else 1.5}) for number in range(1, 301)]

    first = store.record("node001", "kernel_log", many[:200], {}, None, NOON)
    second = store.record("node001", "kernel_log", many, {}, None, NOON)
    arrived, _ = store.inbox(Cursor())

    assert (first, second) == (200, 100)
    assert [each.id for each in arrived] == [each.id for each in many]
    assert arrived[0] == replace(many[0], received_at=NOON)


def test_ended_job_and_closed_incident_leave_the_world(store: Store):
    remember(store)

    ended = replace(JOB, state=JobState.STOPPED, ended_at=NOON)
    commit(store, Changes(jobs=(ended,), incidents=(incident(state=IncidentState.CLOSED, closed_at=NOON),)))

    world, _ = store.world(NOON)
    assert (world.jobs, world.attempts, world.placements, world.interruptions) == ({}, {}, {}, {})
    assert (world.incidents, world.diagnoses, world.decisions) == ({}, {}, {})


@pytest.mark.parametrize(("job_id", "causes"), [("job-1", {Cause.FAULTY_GPU: 1}), (None, {})], ids=["a job", "none"])
def test_history_that_is_read_counts_what_concerned_a_job_and_whom_to_blame_of_all(
    store: Store, job_id: str | None, causes: dict[Cause, int]
):
    closed = incident(state=IncidentState.CLOSED, closed_at=NOON)
    decided = replace(decision(step(1)), job_id=job_id)
    commit(store, Changes(incidents=(closed,), diagnoses=(diagnosis(1),), decisions=(decided,)))

    history = store.world(NOON)[0].history

    assert history == History(causes, {GPU: {Cause.FAULTY_GPU: 1}})


# --- steps ----------------------------------------------------------------------------------------------------------


def test_step_waits_for_the_earlier_ones_of_its_plan(store: Store):
    open_decision(store, step(1, StepKind.EXCLUDE), step(2))

    before = store.steps_to_perform({"local": None})
    store.begin_step("dec-1-1", NOON)
    while_begun = store.steps_to_perform({"local": None})
    store.finish_step(Outcome("dec-1-1", StepState.DONE, NOON))

    assert [s.id for s in before] == ["dec-1-1"]
    assert [(s.id, s.state) for s in while_begun] == [("dec-1-1", StepState.BEGUN)]
    assert [s.id for s in store.steps_to_perform({"local": None})] == ["dec-1-2"]


def test_steps_go_only_to_the_actuator_and_target_they_are_for(store: Store):
    open_decision(store, step(1))

    assert len(store.steps_to_perform({"local": frozenset({"job-1"})})) == 1
    assert store.steps_to_perform({"local": frozenset({"job-2"})}) == []
    assert store.steps_to_perform({"slurm": None}) == []


def test_step_waits_for_an_earlier_one_of_another_actuator(store: Store):
    open_decision(store, step(1, actuator="slurm"), step(2))

    assert store.steps_to_perform({"local": None}) == []


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.SUGGEST, Mode.APPROVE])
def test_decision_that_is_only_shown_is_not_carried_out(store: Store, mode: Mode):
    open_decision(store, step(1), mode=mode)

    assert store.steps_to_perform({"local": None}) == []


def test_decision_is_carried_out_once_a_person_approves_it(store: Store):
    open_decision(store, step(1), mode=Mode.APPROVE)

    store.approve("dec-1", "ada", "looks right", NOON)

    assert [s.id for s in store.steps_to_perform({"local": None})] == ["dec-1-1"]


def test_vetoed_decision_is_cancelled_with_who_and_why_and_never_carried_out(store: Store):
    open_decision(store, step(1), step(2))
    store.begin_step("dec-1-1", NOON)

    cancelled = store.veto("dec-1", "ada", "not this node", NOON, lambda step: event(step.order))
    store.finish_step(Outcome("dec-1-1", StepState.DONE, NOON))

    assert [s.id for s in cancelled] == ["dec-1-2"]
    assert [each.id for each in store.inbox(START)[0]] == [event(2).id]
    assert store.steps_to_perform({"local": None}) == []
    assert store.read.decision("dec-1").steps[1].detail == "vetoed by ada: not this node"


def test_hold_is_in_force_until_it_is_lifted(store: Store):
    held = Hold("node:node007", "for the vendor", "ada", NOON)
    store.hold(held, NOON)
    in_force, _ = store.restraints(NOON)

    store.hold(replace(held, lifted_at=NOON, lifted_by="bob"), NOON)

    assert in_force == {"node:node007": held}
    assert store.restraints(NOON)[0] == {}
    assert [each.lifted_by for each in store.read.holds()] == ["bob"]


def test_decision_that_drained_a_node_stays_known_as_long_as_the_node_is_out(store: Store):
    remember(store)
    long_after = NOON + timedelta(days=3)
    before, _ = store.world(long_after)

    commit(store, Changes(nodes=(replace(WORLD.nodes["node001"], state=NodeState.IN_SERVICE, drained_by=""),)))

    assert [each.id for each in before.recent] == ["dec-1"]
    assert store.world(long_after)[0].recent == ()


def test_person_is_asked_in_any_mode(store: Store):
    open_decision(store, step(1, StepKind.ASK), mode=Mode.OBSERVE)

    assert [s.id for s in store.steps_to_perform({"local": None})] == ["dec-1-1"]


def test_step_is_begun_only_once_by_many_that_try(store: Store):
    open_decision(store, step(1))

    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda _: store.begin_step("dec-1-1", NOON), range(8)))

    assert begun.count(True) == 1


def test_cancelled_step_is_not_begun(store: Store):
    open_decision(store, step(1))
    commit(store, Changes(steps=(step(1, state=StepState.CANCELLED, detail="the diagnosis changed"),)))

    assert not store.begin_step("dec-1-1", NOON)


def test_step_that_was_begun_is_not_cancelled_by_a_later_turn(store: Store):
    open_decision(store, step(1))
    store.begin_step("dec-1-1", NOON)

    commit(store, Changes(steps=(step(1, state=StepState.CANCELLED),), decisions=(decision(step(1)),)))

    assert store.steps_to_perform({"local": None})[0].state is StepState.BEGUN


@pytest.mark.parametrize("state", [StepState.REFUSED, StepState.FAILED, StepState.UNKNOWN])
def test_plan_ends_with_the_first_step_that_was_not_done(store: Store, state: StepState):
    open_decision(store, step(1), step(2), step(3))
    store.begin_step("dec-1-1", NOON)

    assert store.finish_step(Outcome("dec-1-1", state, NOON, "node is gone"))

    states = [s.state for s in store.read.decisions()[0].steps]
    assert states == [state, StepState.CANCELLED, StepState.CANCELLED]
    assert not store.finish_step(Outcome("dec-1-1", StepState.DONE, NOON))


def test_step_that_was_not_begun_cannot_be_done(store: Store):
    open_decision(store, step(1))

    assert not store.finish_step(Outcome("dec-1-1", StepState.DONE, NOON))
    assert store.read.stats().rows["outcomes"] == 0


def test_outcome_is_told_with_what_became_of_the_step_or_not_at_all(store: Store):
    open_decision(store, step(1))
    before = store.finish_step(Outcome("dec-1-1", StepState.DONE, NOON), event(7))
    store.begin_step("dec-1-1", NOON)

    done = store.finish_step(Outcome("dec-1-1", StepState.DONE, NOON), event(8))
    again = store.finish_step(Outcome("dec-1-1", StepState.FAILED, NOON), event(9))

    assert (before, done, again) == (False, True, False)
    assert [each.id for each in store.inbox(START)[0]] == [event(8).id]


def test_what_a_person_asked_for_is_on_record_and_handed_out(store: Store, url: str):
    asked = replace(decision(step(1)), incident_id="inc-2", rule="asked by a person", reason="ada asked")

    store.ask(asked, incident("inc-2"), "ada", NOON)

    assert [s.id for s in store.steps_to_perform({"local": None})] == ["dec-1-1"]
    assert [each.id for each in store.decided_by("asked by a person", NOON)] == ["dec-1"]
    assert store.decided_by("asked by a person", NOON + timedelta(seconds=1)) == ()


def test_outcome_leaves_an_audit_row(store: Store, url: str):
    open_decision(store, step(1))
    store.begin_step("dec-1-1", NOON)
    store.finish_step(Outcome("dec-1-1", StepState.DONE, NOON, "restarted", {"pid": 42}))

    database = Database(url)
    with database.read() as connection:
        rows = connection.execute(sa.text("select actor, action, subject, detail from audit")).all()
    database.close()

    assert [tuple(row) for row in rows] == [("local", "step done", "dec-1-1", "restarted")]


# --- for people -----------------------------------------------------------------------------------------------------


def test_incidents_come_newest_first_with_their_latest_diagnosis(store: Store):
    newer = incident("inc-2", opened_at=NOON + timedelta(hours=1), jobs=("job-2",))
    commit(store, Changes(incidents=(incident(), newer), diagnoses=(diagnosis(1), diagnosis(2))))

    assert store.read.incidents() == [(newer, None), (incident(), diagnosis(2))]
    assert store.read.incidents(limit=1) == [(newer, None)]
    assert store.read.incidents(job="job-1") == [(incident(), diagnosis(2))]
    assert store.read.incidents(job="job") == []


def test_active_jobs_come_with_all_that_their_account_of_time_needs(store: Store):
    remember(store)

    (history,) = store.read.active_histories()

    assert history.job == JOB
    assert history.attempts == WORLD.attempts["job-1"]
    assert [stop.id for stop in history.interruptions] == ["int-0", "int-1"]


def test_store_of_this_version_is_checked_without_complaint(store: Store):
    store.check()


def test_incident_is_found_by_the_beginning_of_its_id(store: Store):
    remember(store)

    view = store.read.incident("inc-1")

    assert view.incident == incident()
    assert view.diagnosis == diagnosis(2)
    assert view.decisions == WORLD.decisions["inc-1"]
    assert [stop.id for stop in view.interruptions] == ["int-1"]
    assert store.read.incident("inc-9") is None
    assert store.read.incident("inc_1") is None


def test_beginning_that_fits_several_incidents_is_an_error_that_names_them(store: Store):
    remember(store)

    with pytest.raises(StoreError, match="inc-0, inc-1"):
        store.read.incident("inc")


def test_events_of_an_incident_come_in_the_order_they_happened(store: Store):
    late, early = event(1, happened_at=NOON + timedelta(seconds=9)), event(2)
    store.record("node001", "kernel_log", [late, early, event(3)], {}, None, NOON)
    commit(store, Changes(incidents=(incident(),), memberships=(("inc-1", late.id), ("inc-1", early.id))))

    assert [e.id for e in store.read.incident_events("inc-1")] == [early.id, late.id]


def test_job_is_shown_with_everything_known_of_it(store: Store):
    remember(store)

    view = store.read.job("job-1")

    assert view.job == JOB
    assert view.attempts == WORLD.attempts["job-1"]
    assert (len(view.placements), len(view.checkpoints), len(view.interruptions)) == (13, 3, 2)
    assert view.progress == HISTORY.progress
    assert {found.id for found, _ in view.incidents} == {"inc-0", "inc-1"}


def test_job_is_found_by_name_and_ambiguity_is_an_error(store: Store):
    remember(store)

    with pytest.raises(StoreError, match="could be several: job-0, job-1"):
        store.read.job("llama")
    assert store.read.job("gpt") is None


def test_active_jobs_are_those_that_have_not_ended(store: Store):
    remember(store)

    assert [job.id for job in store.read.jobs(active_only=True)] == ["job-1"]
    assert len(store.read.jobs()) == 2


def test_events_are_filtered_by_what_the_operator_asks(store: Store):
    mine = event(1, job="job-1", severity=Severity.ERROR)
    other_kind = event(2, kind="gpu.xidx")
    elsewhere = event(3, component=Component(ComponentKind.NODE, "node002", "node002"))
    store.record("node001", "kernel_log", [mine, other_kind, elsewhere], {}, None, NOON)

    def ids(**filters: object) -> list[str]:
        return [found.id for _, found in store.read.events(**filters)]  # type: ignore[arg-type] # the filters of one test

    assert ids(job="job-1") == [mine.id]
    assert ids(node="node002") == [elsewhere.id]
    assert ids(kind="gpu.xid") == [mine.id, elsewhere.id]
    assert ids(min_severity=Severity.WARNING) == [mine.id]
    assert ids(since=NOON + timedelta(seconds=3)) == [elsewhere.id]
    assert ids(limit=2) == [other_kind.id, elsewhere.id]


def test_tail_goes_on_after_the_last_number_seen(store: Store):
    store.record("node001", "kernel_log", [event(1), event(2)], {}, None, NOON)
    last_seen = store.read.events()[-1][0]
    store.record("node001", "kernel_log", [event(3)], {}, None, NOON)

    assert [found.id for _, found in store.read.events(after_seq=last_seen)] == [event(3).id]


def test_pruning_forgets_old_events_and_keeps_numbers_growing(store: Store):
    store.housekeep(NOON)
    store.record("node001", "kernel_log", [event(n) for n in range(4)], {}, None, NOON)
    _, cursor = store.inbox(Cursor())

    deleted = store.prune(NOON + timedelta(days=1))
    store.record("node001", "kernel_log", [event(9)], {}, None, NOON)

    assert deleted["events"] in {3, 4}
    assert [e.id for e in store.inbox(cursor)[0]] == [event(9).id]


def test_pruning_keeps_what_is_younger(store: Store):
    young = event(1, observed_at=NOON + timedelta(days=1))
    store.housekeep(NOON)
    store.record("node001", "kernel_log", [event(0), young], {}, None, NOON)

    store.prune(NOON + timedelta(hours=1))

    assert [found.id for _, found in store.read.events()] == [young.id]


def test_readers_and_writers_in_many_threads_do_not_fail(store: Store):
    open_decision(store, *(step(n) for n in range(40)))
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                store.record(f"node{number}", "host", [event(number * 100 + turn)], {"at": turn}, None, NOON)
                store.begin_step(f"dec-1-{turn}", NOON)
                store.world(NOON)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(store.inbox(Cursor())[0]) == 60


def test_single_steps_are_kept_for_a_day_and_the_rest_for_longer(store: Store) -> None:
    old = event(1, kind="training.progress", observed_at=NOON - timedelta(days=2))
    young = event(2, kind="training.progress", observed_at=NOON - timedelta(hours=2))
    fault = event(3, kind="gpu.xid.79", observed_at=NOON - timedelta(days=2))
    store.record("node001", "job_log", [old, young, fault], {}, None, NOON)

    store.housekeep(NOON)

    assert {kept.id for _, kept in store.read.events()} == {young.id, fault.id}


def test_collector_without_a_device_does_not_count_as_watching(store: Store) -> None:
    working = CollectorStatus("node001", "kernel_log@job-1", NOON, NOON)
    without = CollectorStatus("node001", "nvml", NOON, NOON, condition="no NVIDIA driver here")
    for status in (working, without):
        store.record("node001", status.name, [], {}, status, NOON)

    assert store.watched(NOON) == {"node001": frozenset({"kernel_log"})}
