"""Diagnosis and job to decision."""

from dataclasses import replace

from clusterwatch.model import (
    Alternative,
    Attempt,
    Cause,
    Checkpoint,
    Component,
    ComponentKind,
    Diagnosis,
    Evidence,
    Incident,
    IncidentState,
    Job,
    JobState,
    Mode,
    Node,
    NodeState,
    Severity,
    StepKind,
    StepState,
    Suspect,
    Topology,
    Trust,
)
from clusterwatch.policy import Cluster, Limits, Situation, decide
from clusterwatch.testing import NOON, seconds
from shipped import shipped_policy

LIMITS = Limits(policy=shipped_policy())
INCIDENT = Incident("inc-1", IncidentState.DIAGNOSED, NOON, NOON, NOON, ())
BUG = Diagnosis("inc-1", 1, Cause.SOFTWARE_BUG, 0.95, (), (), (), (), "", "Read the traceback.", NOON)
GPU = replace(
    BUG,
    cause=Cause.FAULTY_GPU,
    suspects=(Suspect(Component(ComponentKind.GPU, "3", "node002"), 1.0),),
    node_confirmed=True,
)
JOB = Job(
    "job-1",
    "llama",
    JobState.INTERRUPTED,
    NOON,
    NOON,
    nodes=("node001", "node002"),
    actuator="small_fleet",
    attempt=1,
    highest_step=25,
)
DIED = Attempt("job-1", 1, NOON, ended_at=NOON + seconds(60), first_new_step_at=NOON, fingerprint="KeyError at a.py:3")
SAVED = Checkpoint("job-1", 20, "/ck/step_20", "dcp", complete=True, verified=True, saved_at=NOON)


SPARE = Node("node009", NodeState.IN_SERVICE, NOON)
WITH_SPARES = Cluster(
    nodes={name: replace(SPARE, name=name) for name in ("node001", "node002", "node008", "node009")},
    jobs={"job-1": JOB},
)


def decision_for(
    diagnosis=BUG, job=JOB, attempts=(DIED,), checkpoints=(SAVED,), incident=INCIDENT, limits=None, cluster=None
):
    situation = Situation(incident, diagnosis, job, attempts, checkpoints, cluster or Cluster())
    return decide(situation, limits or LIMITS, NOON + seconds(62))


def kinds_of(decision):
    return [step.kind for step in decision.steps]


def test_crashed_job_restarts_from_its_last_complete_checkpoint():
    decision = decision_for()

    assert kinds_of(decision) == [StepKind.CHOOSE_CHECKPOINT, StepKind.REQUEUE]
    assert decision.steps[-1].arguments["checkpoint"] == "/ck/step_20"
    assert decision.steps[-1].arguments["next_attempt"] == 2
    assert "checkpoint of step 20" in decision.reason


def test_without_a_checkpoint_it_restarts_from_the_beginning():
    decision = decision_for(checkpoints=())

    assert decision.steps[-1].arguments["checkpoint"] == ""
    assert "no complete checkpoint" in decision.reason


def test_processes_that_hang_are_ended_first():
    decision = decision_for(attempts=(replace(DIED, ended_at=None, hung=True, first_step=1),))

    assert kinds_of(decision)[0] is StepKind.HOLD


def test_node_whose_hardware_is_to_blame_is_left_out():
    decision = decision_for(GPU)

    assert kinds_of(decision) == [StepKind.EXCLUDE, StepKind.CHOOSE_CHECKPOINT, StepKind.REQUEUE, StepKind.DRAIN]
    assert decision.steps[0].arguments["node"] == "node002"


def test_users_log_is_enough_to_leave_a_node_out_of_that_job_and_never_drains_it():
    kinds = kinds_of(decision_for(replace(GPU, node_confirmed=False)))

    assert StepKind.EXCLUDE in kinds
    assert StepKind.DRAIN not in kinds


def test_node_that_is_hardly_broken_stays_where_the_program_failed():
    bug = replace(BUG, confidence=0.9, alternatives=(Alternative(Cause.FAULTY_GPU, 0.08),), suspects=GPU.suspects)

    assert StepKind.EXCLUDE not in kinds_of(decision_for(bug, cluster=WITH_SPARES))


def test_node_that_may_well_be_broken_is_left_out_where_others_stand_by_and_not_drained():
    bug = replace(BUG, confidence=0.6, alternatives=(Alternative(Cause.FAULTY_GPU, 0.35),), suspects=GPU.suspects)

    with_spares, without = decision_for(bug, cluster=WITH_SPARES), decision_for(bug)

    assert (with_spares.rule, without.rule) == ("worth-leaving-out", "user-code")
    assert kinds_of(with_spares) == [StepKind.EXCLUDE, StepKind.CHOOSE_CHECKPOINT, StepKind.REQUEUE]
    assert "node002 is broken with 3" in with_spares.reason


def test_both_ends_of_a_link_are_left_out_and_neither_is_drained():
    ends = tuple(
        Suspect(Component(ComponentKind.NIC, "mlx5_0", name), score)
        for name, score in (("node002", 0.6), ("node001", 0.4))
    )
    link = replace(GPU, cause=Cause.NETWORK_SWITCH_CABLE, confidence=0.97, suspects=ends)

    decision = decision_for(link, job=replace(JOB, nodes=("node001", "node002", "node003")), cluster=WITH_SPARES)

    assert [step.arguments["node"] for step in decision.steps if step.kind is StepKind.EXCLUDE] == [
        "node002",
        "node001",
    ]
    assert StepKind.DRAIN not in kinds_of(decision)


def test_wrong_result_that_its_own_step_caught_costs_no_earlier_checkpoint():
    rank = Component(ComponentKind.RANK, "3", "node002")
    wrong = Evidence("training.unexpected_result", rank, Severity.ERROR, Trust.USER, NOON, NOON, 1, ())
    corrupt = replace(GPU, cause=Cause.SILENT_DATA_CORRUPTION, confidence=0.6)

    caught = decision_for(corrupt, incident=replace(INCIDENT, evidence=(wrong,)))

    assert (caught.rule, decision_for(corrupt).rule) == ("corruption-caught", "corrupted-data")
    assert next(s for s in caught.steps if s.kind is StepKind.REQUEUE).arguments["step"] == SAVED.step


def test_one_of_many_suspects_alike_is_not_left_out_by_chance():
    nodes = tuple(f"node{number:03}" for number in range(6))
    alike = tuple(
        Suspect(Component(ComponentKind.RANK, str(rank), node), 1 / 6, rank) for rank, node in enumerate(nodes)
    )

    assert StepKind.EXCLUDE not in kinds_of(decision_for(replace(GPU, suspects=alike), job=replace(JOB, nodes=nodes)))


def test_only_node_of_a_job_is_not_left_out():
    assert StepKind.EXCLUDE not in kinds_of(decision_for(GPU, job=replace(JOB, nodes=("node002",))))


def test_crash_that_repeats_without_progress_is_not_restarted_for_ever():
    again = [replace(DIED, number=number, first_new_step_at=None) for number in (2, 3)]

    twice = decision_for(job=replace(JOB, attempt=2), attempts=(DIED, again[0]))
    thrice = decision_for(job=replace(JOB, attempt=3), attempts=(DIED, *again))

    assert StepKind.REQUEUE in kinds_of(twice)
    assert kinds_of(thrice) == [StepKind.STOP]
    assert "KeyError at a.py:3" in thrice.reason


def test_repeated_crash_on_a_broken_node_is_tried_without_it():
    again = [replace(DIED, number=number, first_new_step_at=None) for number in (2, 3)]

    decision = decision_for(GPU, job=replace(JOB, attempt=3), attempts=(DIED, *again))

    assert kinds_of(decision)[0] is StepKind.EXCLUDE


def test_job_that_never_printed_a_step_is_not_killed_for_its_silence():
    silent = replace(DIED, ended_at=None, hung=True, first_step=None, first_new_step_at=None)

    decision = decision_for(job=replace(JOB, highest_step=0), attempts=(silent,))

    assert decision.steps == ()
    assert "no step was ever recognised" in decision.reason


def test_attempts_that_die_each_in_its_own_way_without_progress_are_not_restarted_for_ever():
    attempts = tuple(
        replace(DIED, number=number, first_new_step_at=None, fingerprint=f"exit code 1 after step {20 + number}")
        for number in range(1, 6)
    )

    decision = decision_for(job=replace(JOB, attempt=5), attempts=attempts)

    assert kinds_of(decision) == [StepKind.STOP]
    assert "5 attempts in a row" in decision.reason


def test_plan_that_needs_approval_is_recorded_and_waits():
    decision = decision_for(limits=Limits(policy=shipped_policy(), modes={"small_fleet": Mode.APPROVE}))

    assert {step.state for step in decision.steps} == {StepState.RECORDED}


def test_same_crash_with_progress_in_between_is_restarted():
    again = [replace(DIED, number=number) for number in (2, 3)]

    assert StepKind.REQUEUE in kinds_of(decision_for(job=replace(JOB, attempt=3), attempts=(DIED, *again)))


def test_budget_of_the_hour_stops_what_dies_of_ever_new_things():
    attempts = tuple(replace(DIED, number=number, fingerprint=str(number)) for number in range(1, 15))

    assert kinds_of(decision_for(job=replace(JOB, attempt=14), attempts=attempts)) == [StepKind.STOP]


def test_stale_evidence_is_shown_and_never_acted_on():
    decision = decision_for(incident=replace(INCIDENT, stale=True))

    assert decision.steps == ()
    assert "older than the limit" in decision.reason


def test_job_that_still_trains_is_left_alone():
    assert decision_for(job=replace(JOB, state=JobState.TRAINING)).steps == ()


def test_held_job_stays_down():
    assert decision_for(job=replace(JOB, held="maintenance by ops")).steps == ()


def test_actuator_in_observe_mode_is_told_nothing():
    decision = decision_for(job=replace(JOB, actuator="slurm"))

    assert decision.mode is Mode.OBSERVE
    assert {step.state for step in decision.steps} == {StepState.CANCELLED}


def test_step_is_not_to_be_begun_when_its_evidence_is_stale():
    decision = decision_for()

    assert decision.steps[0].not_after == NOON + seconds(62) + Limits().act_within


FRUITLESS = replace(DIED, number=2, first_new_step_at=None)
HANG = replace(BUG, cause=Cause.UNKNOWN, confidence=0.4)
AGAIN = replace(JOB, attempt=2)


def test_what_nothing_explains_has_every_node_checked_where_that_is_cheaper_than_to_be_stopped_again():
    program = replace(HANG, confidence=0.3, alternatives=(Alternative(Cause.SOFTWARE_BUG, 0.65),))
    second = decision_for(HANG, job=AGAIN, attempts=(DIED, FRUITLESS))

    assert StepKind.SURVEY in kinds_of(decision_for(HANG))
    assert StepKind.SURVEY not in kinds_of(decision_for(program))
    assert StepKind.SURVEY not in kinds_of(decision_for(HANG, checkpoints=())), "it may never have run"
    assert kinds_of(second) == [StepKind.SURVEY, StepKind.CHOOSE_CHECKPOINT, StepKind.REQUEUE]
    assert second.steps[0].arguments["nodes"] == "node001,node002"


def test_data_that_is_corrupt_nobody_knows_where_has_every_node_checked_at_once():
    corrupt = replace(HANG, cause=Cause.SILENT_DATA_CORRUPTION, suspects=())
    somewhere = replace(LIMITS, abilities={"small_fleet": frozenset(StepKind) - {StepKind.SURVEY}})

    for confidence in (0.4, 0.8):
        assert kinds_of(decision_for(replace(corrupt, confidence=confidence)))[0] is StepKind.SURVEY
    assert StepKind.SURVEY not in kinds_of(decision_for(corrupt, limits=somewhere))
    assert StepKind.SURVEY not in kinds_of(decision_for(replace(GPU, cause=Cause.SILENT_DATA_CORRUPTION)))


def test_what_is_clear_needs_no_check_of_every_node():
    assert StepKind.SURVEY not in kinds_of(decision_for(GPU, job=AGAIN, attempts=(DIED, FRUITLESS)))


def test_where_nobody_can_check_every_node_the_next_rule_decides():
    limits = replace(LIMITS, abilities={"small_fleet": frozenset(StepKind) - {StepKind.SURVEY}})
    suspected = replace(HANG, suspects=GPU.suspects)
    before = replace(decision_for(suspected), cause=Cause.UNKNOWN.value)

    decision = decision_for(
        suspected, job=AGAIN, attempts=(DIED, FRUITLESS), limits=limits, cluster=Cluster(recent=(before,))
    )

    assert (decision.rule, decision.steps[0].kind) == ("unknown-again", StepKind.EXCLUDE)
    assert "worth-a-survey: nobody can check all nodes of the job" in decision.considered


def restarted(decision, state=StepState.DONE):
    """*decision*, carried out."""
    return replace(decision, steps=tuple(replace(step, state=state) for step in decision.steps))


def test_what_came_back_after_a_few_new_steps_has_every_node_checked_too():
    second = replace(DIED, number=2)
    before = restarted(decision_for(HANG))

    decision = decision_for(HANG, job=AGAIN, attempts=(DIED, second), cluster=Cluster(recent=(before,)))

    assert decision.rule == "worth-a-survey"


def test_program_that_fails_again_and_again_has_no_node_checked():
    clear = replace(BUG, alternatives=(Alternative(Cause.UNKNOWN, 0.05),))

    assert decision_for(clear, job=AGAIN, attempts=(DIED, FRUITLESS)).rule == "user-code"


def test_nodes_of_one_rack_that_are_suspect_again_are_left_out_together():
    hosts = tuple(Suspect(Component(ComponentKind.NODE, name, name), 0.5) for name in ("node001", "node002"))
    job = replace(AGAIN, nodes=("node001", "node002", "node003", "node004"))
    rack = Topology({name: frozenset({"power1" if name in ("node001", "node002") else "power2"}) for name in job.nodes})

    decision = decision_for(
        replace(HANG, suspects=hosts), job=job, attempts=(DIED, FRUITLESS), cluster=Cluster(topology=rack)
    )

    assert decision.rule == "suspect-behind-one-switch"
    assert [s.arguments["node"] for s in decision.steps if s.kind is StepKind.EXCLUDE] == ["node001", "node002"]


def test_neighbour_of_a_node_that_was_left_out_just_before_leaves_with_all_behind_their_switch():
    job = replace(AGAIN, nodes=tuple(f"node00{number}" for number in range(2, 9)))
    power = Topology({f"node00{number}": frozenset({f"power{number // 4}"}) for number in range(1, 9)})
    before = restarted(
        decision_for(replace(GPU, suspects=(Suspect(Component(ComponentKind.NODE, "node001", "node001"), 1.0),)))
    )

    lost = replace(GPU, cause=Cause.NETWORK_SWITCH_CABLE)
    decision = decision_for(
        lost, job=job, attempts=(DIED, FRUITLESS), cluster=Cluster(topology=power, recent=(before,))
    )
    elsewhere = replace(lost, suspects=(Suspect(Component(ComponentKind.NODE, "node008", "node008"), 1.0),))

    assert decision.rule == "behind-one-switch-again"
    assert [s.arguments["node"] for s in decision.steps if s.kind is StepKind.EXCLUDE] == ["node002", "node003"]
    assert decision_for(elsewhere, job=job, cluster=Cluster(topology=power, recent=(before,))).rule == "broken-hardware"
