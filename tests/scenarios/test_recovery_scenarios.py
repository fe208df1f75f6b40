"""What happens to a training job on a simulated cluster, and that ClusterWatch may be killed at any moment of it.

The scenarios are those of the test on a real Slurm. Each is lived through once undisturbed, and then again for every
moment between two marks that its steps leave behind (see `killed_service`), with ClusterWatch killed there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from clusterwatch import config
from clusterwatch.app import asking, wiring
from clusterwatch.model import (
    ENDED_STEP_STATES,
    LINE,
    Cause,
    Component,
    ComponentKind,
    JobState,
    Mode,
    NodeState,
    Reading,
    Step,
    StepKind,
    StepState,
    Trust,
    WorldState,
)
from clusterwatch.testing import NOON, seconds
from killed_service import BACK_AFTER_SECONDS, KilledService, Marks
from simulators.cluster import ClusterSpec, Diurnal, gpu_pci
from simulators.fleet_wording import fault_kinds
from simulators.schedule import seeded
from simulators.trace.schedule import Assumption, Fault, JobPlan, Schedule
from simulators.trace_fleet import TraceFleet

SETTINGS = config.load(None, {})
CATALOG = wiring.catalog_of(SETTINGS)

STARTS_SECONDS = 10.0
LOADS_SECONDS = 10.0
STEP_SECONDS = 2.0
SAVE_EVERY_SECONDS = 20.0
SAVE_SECONDS = 2.0
# Step 10 is saved after 40 seconds, step 20 after 62; step 23 ends at 70, and from 84 to 86 step 30 is saved.
AFTER_STEP_23 = 70.0
WHILE_STEP_30_IS_SAVED = 85.0

TERMS = {
    "signal_loss": 0.0,
    "late_share": 0.0,
    "duplicate_share": 0.0,
    "clock_skew_seconds": 0.0,
    "process_start_seconds": STARTS_SECONDS,
    "load_seconds": LOADS_SECONDS,
    "standby_node_seconds": 10.0,
    "struck_after_restart_seconds": 1.0,
    "blocking_save_seconds": SAVE_SECONDS,
}


@dataclass(frozen=True)
class Scenario:
    """What strikes a job of eight nodes, and what must come of it.

    Attributes:
        causes: Of each attempt that ended, what may be said.
        excluded, drained: The nodes that are left out of the job, and out of service.
        resumed: The steps that the attempts begin after.
        is_given_up: It ends in a stop, for a person.
        seconds: How long it is watched.
    """

    faults: tuple[Fault, ...]
    causes: tuple[Cause, ...]
    excluded: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()
    resumed: tuple[int, ...] = (0, 20)
    is_given_up: bool = False
    seconds: float = 165.0


def fault(kind: str, variant: int, *nodes: str, at: float = AFTER_STEP_23, name: str = "f1") -> Fault:
    """Return a fault of *kind* in the words of that variant on *nodes*."""
    found = fault_kinds()[kind]
    seed = next(each for each in range(1000) if int(seeded(each, "variant").random() * len(found.variants)) == variant)
    node = nodes[0] if found.component not in (ComponentKind.JOB, ComponentKind.SWITCH) else ""
    part = gpu_pci(3) if found.component is ComponentKind.GPU else "1"
    return Fault(at, name, found.cause, kind, Component(found.component, part, node), nodes, 3600.0, seed)


SCENARIOS = {
    "a node goes down": Scenario(
        (fault("machine_check", 0, "node0003"),), (Cause.CPU,), excluded=("node0003",), drained=("node0003",)
    ),
    "a GPU falls off the bus and the job hangs": Scenario(
        (fault("gpu_fell_off_bus", 0, "node0003"),),
        (Cause.FAULTY_GPU,),
        excluded=("node0003",),
        drained=("node0003",),
    ),
    "the user's code raises": Scenario((fault("python_exception", 0, "node0003"),), (Cause.SOFTWARE_BUG,)),
    "the user's code raises again and again": Scenario(
        tuple(
            fault("python_exception", 0, "node0003", at=AFTER_STEP_23 + number, name=f"f{number}")
            for number in range(6)
        ),
        (Cause.SOFTWARE_BUG,),
        resumed=(0, 20, 20),
        is_given_up=True,
        seconds=270.0,
    ),
    "a checkpoint is torn": Scenario(
        (fault("python_exception", 0, "node0003", at=WHILE_STEP_30_IS_SAVED),), (Cause.SOFTWARE_BUG,)
    ),
    "an operator drains a node": Scenario(
        (fault("node_drained_and_killed", 0, "node0003"),), (Cause.HOST_MAINTENANCE,), excluded=("node0003",)
    ),
    "two nodes behind one switch go at once": Scenario(
        (fault("tor_down", 0, "node0003", "node0004"),),
        (Cause.NETWORK_SWITCH_CABLE,),
        excluded=("node0003", "node0004"),
    ),
}
"""By what happens; that ClusterWatch is killed happens to each of them."""


def fleet_of(scenario: Scenario, step_seconds: float = STEP_SECONDS) -> TraceFleet:
    """Return the cluster to which *scenario* will happen."""
    cluster = ClusterSpec("twelve nodes", 8, 4, diurnal=Diurnal(depth=0.0))
    job = JobPlan("job-1", "llama", "ada", 8, "megatron", 41, tp=8, pp=2, dp=4, step_seconds=((0.0, step_seconds),))
    terms = {name: Assumption(value, "", "this test", False) for name, value in TERMS.items()}
    return TraceFleet(Schedule("scenario", 1, NOON, 0.1, cluster, (job,), terms, scenario.faults), SAVE_EVERY_SECONDS)


def started(
    scenario: Scenario, database: Path, marks: Marks | None = None, tells: Callable[[Step], WorldState] | None = None
) -> KilledService:
    """Return ClusterWatch before *scenario*."""
    fleet = fleet_of(scenario)
    limits = wiring.limits_of(SETTINGS, {fleet.name: Mode.AUTO}, [fleet])
    return KilledService(fleet, database, CATALOG, limits, marks, tells)


def lived_through(
    scenario: Scenario,
    database: Path,
    marks: Marks,
    more_seconds: float = BACK_AFTER_SECONDS,
    tells: Callable[[Step], WorldState] | None = None,
) -> KilledService:
    """Return ClusterWatch after *scenario*, which takes *more_seconds* for each kill."""
    service = started(scenario, database, marks, tells)
    service.live_until(scenario.seconds + more_seconds * len(marks.kill_at))
    return service


def assert_all_is_well(service: KilledService, scenario: Scenario) -> None:
    """Fail unless the job went the way that *scenario* says, by steps that were each carried out once."""
    view = service.job()
    causes = [each.diagnosis.cause for each in service.interrupting() if each.diagnosis is not None]
    assert tuple(causes) == scenario.causes
    assert tuple(sorted(_nodes(service, StepKind.EXCLUDE))) == scenario.excluded
    assert tuple(sorted(_nodes(service, StepKind.DRAIN))) == scenario.drained
    assert tuple(attempt.resumed_step for attempt in view.attempts) == scenario.resumed
    assert not set(view.attempts[-1].nodes) & set(scenario.excluded)
    out = {node.name for node in service.store.read.nodes() if node.state is NodeState.DRAINED and node.drained_by}
    assert out == set(scenario.drained)
    assert len(view.interruptions) == 1
    assert len(service.done(StepKind.STOP)) == scenario.is_given_up
    assert (view.job.state is JobState.TRAINING and view.job.highest_step > 30) is not scenario.is_given_up
    assert_steps_ended(service)
    assert_ledger_closes(service)


def assert_steps_ended(service: KilledService) -> None:
    """Fail unless every step ended, was carried out at most once, and once where it is said to be done."""
    states = {step.id: step.state for step in service.steps()}
    assert set(states.values()) <= ENDED_STEP_STATES
    performed = service.performed()
    # A check that a node does not pass changes nothing: it may be made again.
    failed = {step for step, state in states.items() if state is StepState.FAILED}
    assert {step: count for step, count in performed.items() if count > 1 and step not in failed} == {}
    done = {step for step, state in states.items() if state is StepState.DONE}
    assert done <= set(performed) <= done | failed
    restarts = len(service.done(StepKind.REQUEUE))
    assert len(service.attempts()) == 1 + restarts


def assert_ledger_closes(service: KilledService) -> None:
    """Fail unless the ledger's reasons add up to the time that the job has been there, to the second."""
    by_reason, elapsed = service.seconds_by_reason()
    assert sum(by_reason.values()) == pytest.approx(elapsed, abs=0.001)
    assert all(seconds >= 0 for seconds in by_reason.values())


def _nodes(service: KilledService, kind: StepKind) -> Iterator[str]:
    return (str(step.arguments["node"]) for step in service.done(kind))


@pytest.mark.parametrize("name", SCENARIOS)
def test_job_goes_on_wherever_clusterwatch_is_killed(tmp_path: Path, name: str):
    scenario, broken = SCENARIOS[name], list[AssertionError]()
    undisturbed = lived_through(scenario, tmp_path / "undisturbed.db", Marks())
    assert_all_is_well(undisturbed, scenario)
    undisturbed.close()

    for moment in range(len(undisturbed.marks.made)):
        marks = Marks(kill_at=frozenset({moment}))
        service = lived_through(scenario, tmp_path / f"{moment}.db", marks)
        try:
            assert service.starts == 2
            assert_all_is_well(service, scenario)
        except AssertionError as error:
            error.add_note(f"killed {marks.kills}")
            broken.append(error)
        service.close()

    if broken:
        raise ExceptionGroup(f"{len(broken)} of {len(undisturbed.marks.made)} moments", broken)


@settings(max_examples=12)
@given(st.sampled_from(sorted(SCENARIOS)), st.sets(st.integers(20, 140), min_size=2, max_size=4))
def test_job_goes_on_however_often_clusterwatch_is_killed_before_any_write(name: str, moments: set[int]):
    with TemporaryDirectory() as folder:
        marks = Marks(kill_at=frozenset(moments), every_write=True)
        # The silence of a job is counted anew by who was not there.
        service = lived_through(SCENARIOS[name], Path(folder) / "killed.db", marks, more_seconds=75.0)
        note(f"killed {marks.kills}")

        assert_all_is_well(service, SCENARIOS[name])

        service.close()


def test_step_of_which_nobody_can_tell_whether_it_was_done_is_left_to_a_person(tmp_path: Path):
    """The cluster does not say what was done in it; whatever is killed when, nothing is done twice."""
    scenario, marks = SCENARIOS["a GPU falls off the bus and the job hangs"], Marks()
    lived_through(scenario, tmp_path / "undisturbed.db", marks).close()
    unknown, asked = Counter[str](), Counter[str]()

    for moment, mark in enumerate(marks.made):
        service = lived_through(scenario, tmp_path / f"{moment}.db", Marks(kill_at=frozenset({moment})), tells=nothing)
        states = {step.state for step in service.steps()}
        assert states <= ENDED_STEP_STATES
        assert max(service.performed().values(), default=1) == 1
        unknown[mark.split()[0]] += StepState.UNKNOWN in states
        asked[mark.split()[0]] += len(service.done(StepKind.ASK))
        assert len(service.store.read.asked(NOON)) <= 1
        service.close()

    # Begun, and perhaps carried out; a step that is still to be begun is begun, and one that ended has ended.
    assert +unknown == {"perform": 5, "finish": 5}
    # Not about a restart after which it trains again.
    assert +asked == {"perform": 5, "finish": 4}


def nothing(step: Step) -> WorldState:
    """Return what a cluster says that remembers nothing."""
    return WorldState.CANNOT_TELL


def test_everything_told_again_makes_nothing_happen(tmp_path: Path):
    scenario = SCENARIOS["a GPU falls off the bus and the job hangs"]
    service = lived_through(scenario, tmp_path / "test.db", Marks())
    # Until the node was asked what failed.
    service.live_until(scenario.seconds + 300.0)
    before = [step.id for step in service.steps()]

    service.tell_all_again()
    service.live_until(scenario.seconds + 420.0)

    assert [step.id for step in service.steps()] == before
    assert_all_is_well(service, scenario)
    service.close()


LOST = "NVRM: Xid (PCI:0000:5d:00): 79, pid=4711, name=python3, GPU has fallen off the bus."
MINUTES = 60.0


def reading(text: str, at: float, *, node: str, source: str, told_at: float | None = None) -> Reading:
    """Return a line of *node*, of its kernel or of its job."""
    is_of_job = source == "job_log"
    return Reading(
        source=source,
        node=node,
        position=f"test/{node}/{at}/{text}",
        observed_at=NOON + seconds(at if told_at is None else told_at),
        happened_at=NOON + seconds(at),
        boot_id=f"boot-{node}",
        trust=Trust.USER if is_of_job else Trust.NODE,
        subject=LINE,
        text=text,
        fields={"origin": f"{source}:{node}", **({"stream": "stdout"} if is_of_job else {})},
        job="job-1" if is_of_job else None,
        attempt=1 if is_of_job else None,
        rank=19 if is_of_job else None,
        simulated=True,
    )


def test_events_of_long_ago_are_shown_and_never_acted_on(tmp_path: Path):
    service = started(SCENARIOS["the user's code raises"], tmp_path / "test.db")
    service.live_until(AFTER_STEP_23 - 20.0)
    told_at = AFTER_STEP_23 - 19.0
    # The collector of that node was away for hours; its kernel log holds what nobody needs to know any more.
    service.tell(
        *(
            reading(LOST, told_at - ago * MINUTES, node="node0005", source="kernel_log", told_at=told_at)
            for ago in (90, 30, 11)
        )
    )

    service.live_until(190.0)

    assert_all_is_well(service, SCENARIOS["the user's code raises"])
    stale = [incident for incident, _ in service.store.read.incidents() if incident.stale]
    assert {evidence.component.node for incident in stale for evidence in incident.evidence} == {"node0005"}
    service.close()


IMITATIONS = (
    LOST,
    f"[  812.114213] {LOST}",
    f"Nov 21 12:00:50 node0005 kernel: {LOST}",
    f"6,1290,812114213,-;{LOST}",
    "Nov 21 12:00:50 node0005 kernel: mce: [Hardware Error]: Machine check: Processor context corrupt",
    "Nov 21 12:00:50 node0005 kernel: mlx5_core 0000:18:00.0 ens108np0: Link down",
    "slurmctld: error: Nodes node0005 not responding, setting DOWN",
)


@pytest.mark.parametrize("text", IMITATIONS)
def test_line_of_a_user_that_imitates_a_kernel_message_drains_nothing(tmp_path: Path, text: str):
    service = started(SCENARIOS["the user's code raises"], tmp_path / "test.db")
    service.live_until(AFTER_STEP_23 - 10.0)
    service.tell(
        *(
            reading(text, AFTER_STEP_23 - 9.0 + 3 * number, node=node, source="job_log")
            for number, node in enumerate(("node0005", "node0003"))
        )
    )
    service.live_until(AFTER_STEP_23 - 1.0)
    while_it_trained = service.steps()

    service.live_until(250.0)

    assert while_it_trained == []
    assert service.steps(StepKind.DRAIN) == []
    assert service.job().job.highest_step > 40
    assert_steps_ended(service)
    service.close()


def test_same_line_of_the_kernel_drains_the_node(tmp_path: Path):
    """What the imitations are held against."""
    service = started(SCENARIOS["the user's code raises"], tmp_path / "test.db")
    service.live_until(AFTER_STEP_23 - 10.0)
    service.tell(reading(LOST, AFTER_STEP_23 - 1.0, node="node0003", source="kernel_log"))

    service.live_until(250.0)

    assert list(_nodes(service, StepKind.DRAIN)) == ["node0003"]
    service.close()


PEACE = Scenario((), ())


def drained_by_ada(service: KilledService) -> str:
    """Have a person drain a node of the job; return its name."""
    asking.drain(service.store, SETTINGS, "node0005", "ada", "new firmware", service.clock.now())
    return "node0005"


def test_node_that_a_person_drained_stays_out_until_a_person_brings_it_back(tmp_path: Path):
    service = started(PEACE, tmp_path / "test.db")
    service.live_until(60.0)

    node = drained_by_ada(service)
    service.live_until(40 * MINUTES)
    before = service.node(node)
    asking.bring_back(service.store, SETTINGS, node, "ada", "done", service.clock.now())
    service.live_until(41 * MINUTES)

    assert before.state is NodeState.DRAINED
    assert service.node(node).state is NodeState.IN_SERVICE
    assert [step.kind for step in service.steps()] == [StepKind.DRAIN, StepKind.CHECK, StepKind.RELEASE]
    assert len(service.attempts()) == 1
    assert_steps_ended(service)
    service.close()


def test_drain_that_a_person_asked_for_is_carried_out_once_wherever_clusterwatch_is_killed(tmp_path: Path):
    for moment in range(3):
        service = started(PEACE, tmp_path / f"{moment}.db", Marks(kill_at=frozenset({moment})))
        service.live_until(60.0)

        node = drained_by_ada(service)
        service.live_until(120.0)

        assert service.starts == 2
        assert service.node(node).state is NodeState.DRAINED
        assert_steps_ended(service)
        service.close()


def test_drain_that_a_person_asked_for_counts_for_the_brakes(tmp_path: Path):
    """Of so few nodes one may be out at a time: the node whose GPU is lost is left out of the job and not drained."""
    scenario = SCENARIOS["a GPU falls off the bus and the job hangs"]
    service = started(scenario, tmp_path / "test.db")
    service.live_until(60.0)

    drained_by_ada(service)
    service.live_until(scenario.seconds)

    assert list(_nodes(service, StepKind.DRAIN)) == ["node0005"]
    assert list(_nodes(service, StepKind.EXCLUDE)) == ["node0003"]
    assert "1 of 9 nodes are drained, 5% may be" in service.decisions()[-1].reason
    service.close()


def test_node_that_is_broken_does_not_come_back_for_being_asked_to(tmp_path: Path):
    scenario = SCENARIOS["a GPU falls off the bus and the job hangs"]
    service = lived_through(scenario, tmp_path / "test.db", Marks())

    asking.bring_back(service.store, SETTINGS, "node0003", "ada", "looks fine", service.clock.now())
    service.live_until(scenario.seconds + 60.0)

    assert service.node("node0003").state is NodeState.DRAINED
    assert [step.state for step in service.steps()[-2:]] == [StepState.FAILED, StepState.CANCELLED]
    service.close()


SECOND_FAULT_AT = 2800.0
LEFT_OUT_AND_CLEARED = Scenario(
    (
        fault("machine_check", 0, "node0003"),
        fault("python_exception", 0, "node0005", at=SECOND_FAULT_AT, name="f2"),
    ),
    (),
)
"""A node is left out for a fault; it is repaired, passes two checks, and then the job fails of something else."""


def only_excluding() -> TraceFleet:
    """Return the cluster of that, in which repairs take ten minutes; its steps are long, for it trains long."""
    quick = tuple(replace(each, repair_seconds=120.0) for each in LEFT_OUT_AND_CLEARED.faults)
    return fleet_of(replace(LEFT_OUT_AND_CLEARED, faults=quick), step_seconds=10.0)


def excluding_service(database: Path, marks: Marks | None = None) -> KilledService:
    """Return ClusterWatch before it; no node is ever drained."""
    fleet = only_excluding()
    limits = wiring.limits_of(SETTINGS, {fleet.name: Mode.AUTO}, [fleet])
    no_drains = replace(limits, policy=replace(limits.policy, drained_at_most=0))
    return KilledService(fleet, database, CATALOG, no_drains, marks, longest_seconds=20.0)


def test_node_that_was_left_out_returns_to_the_job_once_two_checks_of_it_passed(tmp_path: Path):
    service = excluding_service(tmp_path / "test.db")

    service.live_until(SECOND_FAULT_AT - 10.0)
    before = service.job().job
    service.live_until(SECOND_FAULT_AT + 120.0)

    (left,) = before.left_out
    assert (left.node, left.cause) == ("node0003", "cpu")
    assert left.cleared_at is not None
    assert len(service.done(StepKind.REQUEUE)) == 2
    assert [step.kind for step in service.decisions()[-1].steps] == [
        StepKind.HOLD,
        StepKind.READMIT,
        StepKind.CHOOSE_CHECKPOINT,
        StepKind.REQUEUE,
    ]
    assert list(_nodes(service, StepKind.READMIT)) == ["node0003"]
    assert service.job().job.left_out == ()
    assert_steps_ended(service)
    service.close()


def test_node_is_taken_back_once_wherever_clusterwatch_is_killed(tmp_path: Path):
    undisturbed = excluding_service(tmp_path / "undisturbed.db", Marks())
    undisturbed.live_until(SECOND_FAULT_AT + 120.0)
    marks, steps = undisturbed.marks.made, undisturbed.steps()
    undisturbed.close()
    readmit = next(step.id for step in steps if step.kind is StepKind.READMIT)
    about = ("-check-", ": check", "readmit", readmit)

    for moment in (place for place, mark in enumerate(marks) if any(words in mark for words in about)):
        service = excluding_service(tmp_path / f"{moment}.db", Marks(kill_at=frozenset({moment})))
        service.live_until(SECOND_FAULT_AT + 180.0)

        assert service.starts == 2
        assert list(_nodes(service, StepKind.READMIT)) == ["node0003"]
        assert service.job().job.left_out == ()
        assert_steps_ended(service)
        service.close()
