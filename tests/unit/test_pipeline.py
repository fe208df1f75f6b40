"""The whole path, readings to decisions, without a database or a clock."""

from dataclasses import replace
from datetime import timedelta

import pytest

from clusterwatch import pipeline
from clusterwatch.detect import ObserverState
from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    Decision,
    Hold,
    IncidentState,
    JobState,
    Knowledge,
    Mode,
    Node,
    NodeState,
    Reading,
    Step,
    StepKind,
    StepState,
    Trust,
    World,
    kinds,
)
from clusterwatch.testing import NOON, event, progress, seconds, training_job
from shipped import shipped_catalog, shipped_limits

CATALOG = shipped_catalog()
LIMITS = shipped_limits()
JOB = Component(ComponentKind.JOB, "job-1", "node001")
OFF_THE_BUS = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def line(text, at, source="kernel_log", node="node001", **fields):
    return Reading(
        source=source,
        node=node,
        position=f"{at.timestamp()}",
        observed_at=at,
        happened_at=at,
        trust=Trust.NODE if source == "kernel_log" else Trust.USER,
        text=text,
        **fields,
    )


class Responder:
    """Takes turns by hand and remembers everything that was written."""

    def __init__(self, world=None):
        self.world = world or World(watching_since=NOON)
        self.incidents, self.diagnoses, self.decisions, self.turns = {}, [], [], []

    def turn(self, at, *events):
        turn = pipeline.respond(self.world, events, CATALOG.knowledge, LIMITS, at)
        self.world = turn.world
        self.incidents |= {incident.id: incident for incident in turn.changes.incidents}
        self.diagnoses += turn.changes.diagnoses
        self.decisions += turn.changes.decisions
        self.turns.append(turn)
        return turn

    def steps_done(self, at, decision):
        done = [
            event(
                kinds.STEP_CHANGED,
                JOB,
                at,
                job="job-1",
                step_id=step.id,
                step_kind=step.kind.value,
                state="done",
                **step.arguments,
            )
            for step in decision.steps
        ]
        return self.turn(at, *done)


def observed(*readings):
    _, events, _ = pipeline.observe(ObserverState(), readings, CATALOG, NOON)
    return events


def training(responder, steps=5, actuator="local_process", nodes="node001"):
    responder.turn(NOON, *training_job(actuator=actuator, nodes=nodes))
    return responder.turn(
        NOON + seconds(10 * steps),
        *[progress("job-1", 1, step, NOON + seconds(10 * step)) for step in range(1, steps + 1)],
    )


def ended(at, exit_code=1, attempt=1):
    return event(kinds.ATTEMPT_ENDED, JOB, at, job="job-1", attempt=attempt, exit_code=exit_code)


def test_kernel_line_becomes_a_diagnosed_incident():
    responder = Responder()

    responder.turn(NOON, *observed(line(OFF_THE_BUS, NOON)))
    responder.turn(NOON + seconds(3))

    (incident,) = responder.incidents.values()
    assert incident.state is IncidentState.DIAGNOSED
    assert responder.diagnoses[-1].cause is Cause.FAULTY_GPU
    assert responder.world.nodes["node001"].state is NodeState.SUSPECT


def test_crash_is_settled_decided_restarted_and_closed_by_the_first_new_step():
    responder = Responder()
    training(responder)
    crash_at = NOON + seconds(55)

    responder.turn(crash_at, ended(crash_at))
    assert responder.decisions == []
    responder.turn(crash_at + seconds(3))
    (decision,) = responder.decisions
    responder.steps_done(crash_at + seconds(4), decision)
    assert next(iter(responder.incidents.values())).state is IncidentState.RECOVERING
    started = event(kinds.ATTEMPT_STARTED, JOB, crash_at + seconds(5), job="job-1", attempt=2, resumed_step=0)
    steps = [progress("job-1", 2, step, crash_at + seconds(5 + 10 * step)) for step in range(1, 7)]
    responder.turn(crash_at + seconds(70), started, *steps)

    assert [step.kind for step in decision.steps] == [StepKind.CHOOSE_CHECKPOINT, StepKind.REQUEUE]
    assert {incident.state for incident in responder.incidents.values()} == {IncidentState.CLOSED}
    assert responder.world.jobs["job-1"].state is JobState.TRAINING
    assert responder.world.incidents == {}


def test_hang_is_noticed_from_silence_alone_and_its_processes_are_ended_first():
    responder = Responder()
    training(responder)
    late = NOON + seconds(200)

    events, _ = pipeline.watch(responder.world, LIMITS, late)
    responder.turn(late, *events)
    responder.turn(late + seconds(3))

    assert [each.kind for each in events] == [kinds.HANG]
    assert responder.decisions[-1].steps[0].kind is StepKind.HOLD


def test_step_that_a_hung_job_still_makes_while_it_is_ended_is_no_recovery():
    responder = Responder()
    training(responder)
    late = NOON + seconds(200)
    events, _ = pipeline.watch(responder.world, LIMITS, late)
    responder.turn(late, *events)
    responder.turn(late + seconds(3))

    # A stopped process is continued before it is told to end.
    last = responder.turn(late + seconds(4), progress("job-1", 1, 6, late + seconds(4)))
    responder.turn(late + seconds(6), ended(late + seconds(6)))

    assert last.changes.steps == ()
    assert len(responder.decisions) == len(responder.incidents) == 1
    (interruption,) = responder.world.interruptions.values()
    assert (interruption.highest_step, interruption.is_over) == (6, False)
    responder.turn(late + seconds(9), attempt_started(2, late + seconds(9)))
    responder.turn(late + seconds(30), progress("job-1", 2, 7, late + seconds(30)))
    assert responder.world.interruptions == {}


def test_what_is_said_while_clusterwatch_ends_a_job_is_no_evidence_against_a_person():
    responder = Responder()
    training(responder)
    late = NOON + seconds(200)
    events, _ = pipeline.watch(responder.world, LIMITS, late)
    responder.turn(late, *events)
    responder.turn(late + seconds(3))

    # Before the outcome of the step that ends it is known.
    responder.turn(late + seconds(4), event("slurm.requeued", JOB, late + seconds(4), job="job-1"))

    (incident,) = responder.world.incidents.values()
    assert {each.kind for each in incident.evidence} == {kinds.HANG}


def attempt_started(number, at):
    return event(kinds.ATTEMPT_STARTED, JOB, at, job="job-1", attempt=number, nodes="node001")


def test_hang_minutes_after_a_fault_of_its_node_is_explained_by_that_fault():
    responder = Responder()
    training(responder)
    hot = event("bmc.temperature.gpu", Component(ComponentKind.GPU, "GPU3", "node001"), NOON + seconds(60))
    responder.turn(NOON + seconds(61), hot)
    slow = [progress("job-1", 1, step, NOON + seconds(10 * step)) for step in range(6, 44)]
    responder.turn(NOON + seconds(431), *slow)

    noticed_at = NOON + seconds(590)
    events, _ = pipeline.watch(responder.world, LIMITS, noticed_at)
    responder.turn(noticed_at, *events)
    responder.turn(noticed_at + seconds(61))

    assert [each.kind for each in events] == [kinds.HANG]
    (interruption,) = responder.world.interruptions.values()
    assert responder.world.diagnoses[interruption.incident_id].cause is Cause.GPU_THERMAL


def test_silence_before_the_responder_began_to_look_means_nothing():
    responder = Responder()
    training(responder)
    restarted = replace(responder.world, watching_since=NOON + seconds(500))

    events, wake_at = pipeline.watch(restarted, LIMITS, NOON + seconds(501))

    assert events == []
    assert wake_at > NOON + seconds(501)


def test_one_plan_is_made_for_an_attempt_however_many_turns_pass():
    responder = Responder()
    training(responder)
    crash_at = NOON + seconds(55)
    responder.turn(crash_at, ended(crash_at))

    for after in range(2, 40):
        responder.turn(crash_at + seconds(after))

    assert len(responder.decisions) == 1


def test_second_death_in_the_same_incident_gets_a_plan_of_its_own():
    responder = Responder()
    training(responder)
    crash_at = NOON + seconds(55)
    responder.turn(crash_at, ended(crash_at))
    responder.turn(crash_at + seconds(3))
    responder.steps_done(crash_at + seconds(4), responder.decisions[-1])
    again_at = crash_at + seconds(20)
    started = event(kinds.ATTEMPT_STARTED, JOB, crash_at + seconds(5), job="job-1", attempt=2, resumed_step=0)
    responder.turn(again_at, started, ended(again_at, attempt=2))

    for after in range(1, 10):
        responder.turn(again_at + seconds(after))

    assert [each.steps[-1].arguments["next_attempt"] for each in responder.decisions if each.steps] == [2, 3]


def struck_again_on_the_way_back(text):
    """Let node001 lose a GPU, leave it out, and let *text* come from node002's kernel as the next attempt dies."""
    responder = Responder()
    training(responder, nodes="node001,node002,node003", actuator="small_fleet")
    crash_at, again_at = NOON + seconds(55), NOON + seconds(85)
    responder.turn(crash_at, *observed(line(OFF_THE_BUS, crash_at)), ended(crash_at + seconds(1)))
    responder.turn(crash_at + seconds(4))
    responder.steps_done(crash_at + seconds(5), responder.decisions[-1])
    left = "node002,node003"
    started = event(
        kinds.ATTEMPT_STARTED, JOB, crash_at + seconds(8), job="job-1", attempt=2, nodes=left, resumed_step=0
    )
    responder.turn(again_at, started, *observed(line(text, again_at, node="node002")), ended(again_at, attempt=2))
    responder.turn(again_at + seconds(4))
    return responder


def test_second_fault_that_strikes_on_the_way_back_is_dealt_with_as_what_it_is():
    memory = "NVRM: Xid (PCI:0000:86:00): 95, pid=7, name=python3, Uncontained: DRAM. RST: Yes, D-RST: No"

    responder = struck_again_on_the_way_back(memory)

    assert responder.decisions[-1].steps[0].arguments["node"] == "node002"
    assert responder.diagnoses[-1].cause is Cause.GPU_HBM


def test_node_that_a_job_failed_again_without_is_ruled_out():
    responder = struck_again_on_the_way_back(OFF_THE_BUS)

    assert responder.diagnoses[-1].suspects[0].component.node == "node002"
    assert responder.decisions[-1].steps[0].arguments["node"] == "node002"


def test_node_that_a_log_names_by_its_address_is_no_second_node():
    responder = Responder()
    responder.turn(NOON, event(kinds.NODE_ADDRESSES, "node002", addresses="10.0.0.2"))

    for minute in range(3):
        lost = event("nccl.ib_completion_error.12", "10.0.0.2", NOON + seconds(60 * minute), trust=Trust.USER)
        responder.turn(NOON + seconds(60 * minute + 1), lost)

    assert set(responder.world.nodes) == {"node002"}
    assert {incident.nodes for incident in responder.world.incidents.values()} == {("node002",)}


def test_stale_events_open_incidents_that_are_shown_and_never_acted_on():
    responder = Responder()
    training(responder)
    much_later = NOON + seconds(3600)

    responder.turn(much_later, *observed(line(OFF_THE_BUS, NOON + seconds(60))), ended(NOON + seconds(61)))
    responder.turn(much_later + seconds(30))

    assert all(step.state is not StepState.RECORDED for decision in responder.decisions for step in decision.steps)


def test_fault_of_the_node_explains_the_crash_of_its_job():
    responder = Responder()
    training(responder, nodes="node001,node002", actuator="small_fleet")
    crash_at = NOON + seconds(55)

    responder.turn(crash_at, *observed(line(OFF_THE_BUS, crash_at)), ended(crash_at + seconds(1)))
    responder.turn(crash_at + seconds(4))

    assert len(responder.incidents) == 1
    assert responder.diagnoses[-1].cause is Cause.FAULTY_GPU
    assert responder.decisions[-1].steps[0].arguments["node"] == "node001"


def test_fault_some_minutes_before_explains_a_job_that_just_grew_silent():
    responder = Responder()
    training(responder, nodes="node001,node002")
    struck_at = NOON + seconds(55)
    responder.turn(struck_at, *observed(line("md/raid1:md3: Disk failure on nvme4n1, disabling device.", struck_at)))
    for step in range(6, 40):
        responder.turn(NOON + seconds(10 * step), progress("job-1", 1, step, NOON + seconds(10 * step)))

    events, _ = pipeline.watch(responder.world, LIMITS, NOON + seconds(580))
    responder.turn(NOON + seconds(580), *events)

    (interruption,) = responder.world.interruptions.values()
    assert responder.world.diagnoses[interruption.incident_id].cause is Cause.SSD


def test_node_that_is_named_by_address_before_it_speaks_is_the_node_that_has_it():
    responder = Responder()
    named = event("nccl.ib_completion_error.12", "10.0.0.9", NOON)
    introduced = event(kinds.NODE_ADDRESSES, "node009", NOON + seconds(1), addresses="10.0.0.9")
    responder.turn(NOON, named)

    responder.turn(NOON + seconds(2), introduced)
    responder.turn(NOON + seconds(3), event("nccl.ib_completion_error.12", "10.0.0.9", NOON + seconds(3)))

    (latest,) = [each for each in responder.world.incidents.values() if "node009" in each.nodes]
    assert latest.evidence[-1].component.node == "node009"


def test_users_imitation_of_a_kernel_message_is_believed_by_nobody_but_its_job():
    responder = Responder()
    training(responder, nodes="node001,node002")

    responder.turn(NOON + seconds(55), *observed(line(OFF_THE_BUS, NOON + seconds(55), source="job_log", job="job-1")))
    responder.turn(NOON + seconds(80))

    assert responder.world.nodes["node001"].state is NodeState.IN_SERVICE
    assert all(decision.steps == () for decision in responder.decisions)


def test_incident_that_interrupts_nobody_is_closed_when_it_stays_quiet():
    responder = Responder()
    responder.turn(NOON, *observed(line(OFF_THE_BUS, NOON)))
    responder.turn(NOON + seconds(3))

    turn = responder.turn(NOON + LIMITS.quiet + seconds(1))

    assert [incident.state for incident in turn.changes.incidents] == [IncidentState.CLOSED]


def test_incidents_that_become_quiet_are_closed_together_at_the_next_whole_ten_minutes():
    responder = Responder()
    responder.turn(NOON, *observed(line(OFF_THE_BUS, NOON)))

    turn = responder.turn(NOON + seconds(3))

    quiet_at = NOON + LIMITS.quiet
    assert turn.wake_at is not None
    assert (quiet_at <= turn.wake_at < quiet_at + timedelta(minutes=10), turn.wake_at.minute % 10) == (True, 0)
    assert turn.wake_at.second == 0


def test_node_stays_suspect_after_its_incident_until_it_is_rebooted():
    responder = Responder()
    responder.turn(NOON, *observed(line(OFF_THE_BUS, NOON)))
    responder.turn(NOON + seconds(3))
    responder.turn(NOON + LIMITS.quiet + seconds(1))
    while_quiet = responder.world.nodes["node001"]

    responder.turn(NOON + seconds(900), event(kinds.REBOOTED, "node001", NOON + seconds(899)))

    assert while_quiet.state is NodeState.SUSPECT
    assert responder.world.nodes["node001"].state is NodeState.IN_SERVICE


def test_turn_says_when_it_wants_to_be_called_again():
    responder = Responder()

    turn = responder.turn(NOON, *observed(line(OFF_THE_BUS, NOON)))

    assert turn.wake_at == NOON + LIMITS.settle.minimum


def test_failed_step_cancels_those_behind_it_and_hands_the_incident_back():
    responder = Responder()
    training(responder)
    crash_at = NOON + seconds(55)
    responder.turn(crash_at, ended(crash_at))
    responder.turn(crash_at + seconds(3))
    first = responder.decisions[-1].steps[0]

    responder.turn(
        crash_at + seconds(4),
        event(kinds.STEP_CHANGED, JOB, crash_at + seconds(4), job="job-1", step_id=first.id, state="failed"),
    )

    (incident,) = responder.world.incidents.values()
    (decision,) = responder.world.decisions[incident.id]
    assert [step.state for step in decision.steps] == [StepState.FAILED, StepState.CANCELLED]
    assert incident.state is IncidentState.DIAGNOSED


@pytest.mark.parametrize("cut", range(1, 8))
def test_turns_give_the_same_incidents_however_the_events_are_split(cut):
    events = [
        *training_job(),
        *[progress("job-1", 1, step, NOON + seconds(step)) for step in range(1, 5)],
        *observed(line(OFF_THE_BUS, NOON + seconds(5))),
        ended(NOON + seconds(6)),
    ]
    at_once, in_two = Responder(), Responder()

    at_once.turn(NOON + seconds(7), *events)
    in_two.turn(NOON + seconds(7), *events[:cut])
    in_two.turn(NOON + seconds(7), *events[cut:])

    def what(responder):
        return {(key, value.jobs, value.evidence) for key, value in responder.world.incidents.items()}

    assert what(at_once) == what(in_two)


def test_signal_of_a_job_without_a_node_is_held_against_what_watches_the_jobs_nodes():
    responder = Responder(World(NOON, watched={"node001": frozenset({"kernel_log"})}))
    training(responder)
    killed = event(
        "process.exit.sigkill", Component(ComponentKind.JOB, "job-1"), NOON + seconds(55), job="job-1", attempt=1
    )

    responder.turn(NOON + seconds(55), killed)

    assert responder.diagnoses[-1].absent == ("no OOM kill in the kernel log",)


def test_nothing_known_is_no_reason_to_fail():
    assert pipeline.respond(World(NOON), (), Knowledge([]), LIMITS, NOON).changes.incidents == ()


def test_rank_is_found_on_its_node_by_the_schedulers_list_alone():
    responder = Responder()
    job_started, attempt_started = training_job(nodes="node001,node002")
    listed = replace(attempt_started, fields={"nodes": "node002,node001", "gpus_per_node": 8})
    failed = Component(ComponentKind.RANK, "3")

    responder.turn(NOON, job_started, listed)
    responder.turn(NOON + seconds(5), event("cuda.launch_failure", failed, NOON, job="job-1", attempt=1, rank=3))

    assert {suspect.component.node for suspect in responder.diagnoses[-1].suspects} == {"node002"}


def test_plan_that_failed_is_made_again_after_a_pause_and_then_a_person_is_asked():
    responder = Responder()
    training(responder, actuator="small_fleet")
    at = NOON + seconds(55)
    responder.turn(at, ended(at))
    responder.turn(at + seconds(3))

    for _ in range(3):
        first = responder.decisions[-1].steps[0]
        at += seconds(4)
        responder.turn(at, event(kinds.STEP_CHANGED, JOB, at, job="job-1", step_id=first.id, state="failed"))
        at += seconds(60)
        responder.turn(at)

    plans = [[step.kind for step in decision.steps] for decision in responder.decisions]
    assert plans == [[StepKind.CHOOSE_CHECKPOINT, StepKind.REQUEUE]] * 3 + [[StepKind.ASK]]
    assert len({decision.id for decision in responder.decisions}) == 4


def test_plan_that_a_person_vetoed_is_not_made_again():
    responder = Responder()
    training(responder)
    at = NOON + seconds(55)
    responder.turn(at, ended(at))
    responder.turn(at + seconds(3))
    cancelled = [
        event(kinds.STEP_CHANGED, JOB, at + seconds(4), job="job-1", step_id=step.id, state="cancelled")
        for step in responder.decisions[-1].steps
    ]

    responder.turn(at + seconds(4), *cancelled)
    responder.turn(at + seconds(300))

    assert len(responder.decisions) == 1


def test_job_that_is_released_from_its_hold_is_decided_about_anew():
    responder = Responder()
    training(responder)
    hold = Hold("job:job-1", "tuning", "ada", NOON)
    responder.world = replace(responder.world, holds={hold.subject: hold})
    at = NOON + seconds(55)
    responder.turn(at, ended(at))
    responder.turn(at + seconds(3))
    while_held = responder.decisions[-1]

    responder.world = replace(responder.world, holds={})
    responder.turn(at + seconds(90))

    assert while_held.steps == ()
    assert StepKind.REQUEUE in [step.kind for step in responder.decisions[-1].steps]


def test_drained_node_returns_only_through_a_check():
    drained = Node("node001", NodeState.DRAINED, NOON, drained_by="dec-1")
    step = Step(
        "dec-1.1",
        "dec-1",
        1,
        StepKind.DRAIN,
        "local_process",
        "job-1",
        {"node": "node001", "check_after_seconds": 60.0},
        NOON,
        StepState.DONE,
        NOON,
    )
    decision = Decision("dec-1", "inc-1", 1, "job-1", Mode.AUTO, "because", NOON, (step,))
    limits = replace(LIMITS, policy=replace(LIMITS.policy, abilities={}))
    world = World(NOON, nodes={"node001": drained}, recent=(decision,))

    early = pipeline.respond(world, (), Knowledge([]), limits, NOON + seconds(59))
    turn = pipeline.respond(early.world, (), Knowledge([]), limits, NOON + seconds(60))
    again = pipeline.respond(turn.world, (), Knowledge([]), limits, NOON + seconds(61))
    (returning,) = turn.changes.decisions
    released = event(
        kinds.STEP_CHANGED,
        JOB,
        NOON + seconds(70),
        step_id=returning.steps[1].id,
        step_kind="release",
        state="done",
        node="node001",
    )
    after = pipeline.respond(again.world, [released], Knowledge([]), limits, NOON + seconds(70))

    assert early.wake_at == NOON + seconds(60)
    assert [step.kind for step in returning.steps] == [StepKind.CHECK, StepKind.RELEASE]
    assert again.changes.decisions == ()
    assert (after.world.nodes["node001"].state, after.world.nodes["node001"].drained_by) == (NodeState.IN_SERVICE, "")


def too_hot(at):
    return event("gpu.too_hot", Component(ComponentKind.GPU, "0000:3b:00", "node001"), at)


def slowed_by_heat(at):
    return event("gpu.thermal_slowdown", Component(ComponentKind.GPU, "0000:3b:00", "node001"), at)


def cause_of_a_hang(responder, last_step_at):
    noticed_at = last_step_at + seconds(400)
    events, _ = pipeline.watch(responder.world, LIMITS, noticed_at)
    responder.turn(noticed_at, *events)
    responder.turn(noticed_at + seconds(61))
    (interruption,) = responder.world.interruptions.values()
    return responder.world.diagnoses[interruption.incident_id].cause


def test_warning_minutes_before_a_hang_explains_it():
    responder = Responder()
    training(responder)
    responder.turn(NOON + seconds(60), too_hot(NOON + seconds(55)))

    assert cause_of_a_hang(responder, NOON + seconds(60)) is Cause.GPU_THERMAL


def test_what_only_slows_does_not_explain_a_job_that_stood_still_at_once():
    responder = Responder()
    training(responder)
    responder.turn(NOON + seconds(60), slowed_by_heat(NOON + seconds(55)))

    assert cause_of_a_hang(responder, NOON + seconds(60)) is Cause.UNKNOWN


def test_warning_that_comes_all_day_explains_nothing():
    responder = Responder()
    training(responder)
    for minute in range(2, 1200):
        at = NOON + seconds(60 * minute)
        warnings = [too_hot(at - seconds(5))] if minute % 12 == 0 else []
        responder.turn(at, *warnings, progress("job-1", 1, 6 * minute, at))

    assert cause_of_a_hang(responder, NOON + seconds(60 * 1199)) is not Cause.GPU_THERMAL


def test_attempt_whose_start_names_no_checkpoint_goes_on_from_the_one_that_was_chosen():
    responder = Responder()
    training(responder)
    saved = event(kinds.CHECKPOINT_SAVED, JOB, NOON + seconds(45), job="job-1", step=4, path="/ckpt/4", complete=True)
    responder.turn(NOON + seconds(52), saved)
    responder.turn(NOON + seconds(60), ended(NOON + seconds(60)))
    responder.turn(NOON + seconds(200))
    decision = responder.decisions[-1]

    responder.steps_done(NOON + seconds(201), decision)
    started = event(kinds.ATTEMPT_STARTED, JOB, NOON + seconds(205), job="job-1", attempt=2, nodes="node001")
    responder.turn(NOON + seconds(205), started)

    (_, second) = responder.world.attempts["job-1"]
    assert (second.resumed_step, second.resumed_checkpoint) == (4, "/ckpt/4")


def stopped_again(new_steps_for):
    """Return the incidents of two unexplained hangs between which the job made new steps for *new_steps_for*."""
    responder = Responder()
    training(responder)
    first_at = NOON + seconds(450)
    responder.turn(first_at, *pipeline.watch(responder.world, LIMITS, first_at)[0])
    responder.turn(first_at + seconds(61))
    responder.steps_done(first_at + seconds(62), responder.decisions[-1])
    back_at = first_at + seconds(65)
    started = event(kinds.ATTEMPT_STARTED, JOB, back_at, job="job-1", attempt=2, nodes="node001", resumed_step=0)
    responder.turn(back_at, started)
    for step in range(1, 6 + new_steps_for // 10):
        at = back_at + seconds(10 * step)
        responder.turn(at, progress("job-1", 2, step, at))
    again_at = at + seconds(200)
    responder.turn(again_at, *pipeline.watch(responder.world, LIMITS, again_at)[0])
    return {incident for incident, made in responder.incidents.items() if made.jobs}


def test_job_that_hangs_again_right_after_it_went_on_had_not_gone_on():
    assert len(stopped_again(new_steps_for=20)) == 1


def test_job_that_hangs_again_long_after_it_went_on_has_another_incident():
    assert len(stopped_again(new_steps_for=900)) == 2
