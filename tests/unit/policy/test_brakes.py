"""What a plan may not do, whatever the policy says."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwatch.act.slurm import Slurm
from clusterwatch.model import (
    CLUSTER,
    Alternative,
    Attempt,
    Cause,
    Checkpoint,
    Component,
    ComponentKind,
    Decision,
    Diagnosis,
    Evidence,
    History,
    Hold,
    Incident,
    IncidentState,
    Job,
    JobState,
    MaintenanceWindow,
    Mode,
    Node,
    NodeState,
    Severity,
    Step,
    StepKind,
    StepState,
    Suspect,
    Topology,
    Trust,
    kinds,
)
from clusterwatch.policy import Cluster, Limits, Situation, breaker_before, decide, due_at
from clusterwatch.testing import NOON, seconds
from shipped import shipped_policy

NODES = tuple(f"node{number:03}" for number in range(1, 9))
INCIDENT = Incident("inc-1", IncidentState.DIAGNOSED, NOON, NOON, NOON, ())
GPU = Diagnosis(
    "inc-1",
    1,
    Cause.FAULTY_GPU,
    0.95,
    (),
    (Suspect(Component(ComponentKind.GPU, "3", "node002"), 1.0),),
    (),
    (),
    "",
    "",
    NOON,
    node_confirmed=True,
)
BUG = replace(GPU, cause=Cause.SOFTWARE_BUG, suspects=(), node_confirmed=False)
JOB = Job("job-1", "llama", JobState.INTERRUPTED, NOON, NOON, nodes=NODES, actuator="small_fleet", attempt=1)
DIED = Attempt("job-1", 1, NOON, ended_at=NOON, first_new_step_at=NOON, interrupted_at=NOON, fingerprint="Xid 79")
SAVED = Checkpoint("job-1", 20, "/ck/step_20", "dcp", complete=True, verified=True, saved_at=NOON)
NOW = NOON + seconds(60)


def cluster(spares=2, total=100, **rest):
    """A cluster of which the job has eight nodes and *spares* are free; the others are in another job."""
    names = [*NODES, *(f"node{number:03}" for number in range(9, total + 1))]
    free = names[len(names) - spares :] if spares else []
    others = tuple(name for name in names if name not in NODES and name not in free)
    jobs = {"job-1": JOB, "job-2": replace(JOB, id="job-2", nodes=others, state=JobState.TRAINING)}
    nodes = {name: Node(name, NodeState.IN_SERVICE, NOON) for name in names}
    return Cluster(**{"nodes": nodes, "jobs": jobs, **rest})


def decided(
    diagnosis=GPU, around=None, job=JOB, attempts=(DIED,), incident=INCIDENT, now=NOW, policy="default", **brakes
):
    limits = Limits(policy=shipped_policy(policy), **brakes)
    situation = Situation(incident, diagnosis, job, attempts, (SAVED,), around or cluster())
    return decide(situation, limits, now)


def drains_in(decision):
    return [step.arguments["node"] for step in decision.steps if step.kind is StepKind.DRAIN]


def made(number, kind=StepKind.DRAIN, state=StepState.DONE, at=NOON, job_id="job-9"):
    """A decision of one step, recorded earlier."""
    decision = decided()
    node = f"node{number % 100:03}"
    step = replace(
        decision.steps[-1],
        id=f"dec-{number}.1",
        decision_id=f"dec-{number}",
        kind=kind,
        state=state,
        changed_at=at,
        arguments={"node": node},
    )
    return replace(decision, id=f"dec-{number}", job_id=job_id, made_at=at, steps=(step,))


# --- drains ---------------------------------------------------------------------------------------------------------


def test_node_that_its_own_sources_blame_is_left_out_and_drained_after_the_restart():
    decision = decided()

    assert [step.kind for step in decision.steps] == [
        StepKind.EXCLUDE,
        StepKind.CHOOSE_CHECKPOINT,
        StepKind.REQUEUE,
        StepKind.DRAIN,
    ]
    assert decision.steps[-1].arguments["cause"] == "faulty_gpu"
    assert decision.steps[-1].arguments["incident"] == "inc-1"


def test_nothing_is_drained_on_a_users_word_even_if_a_policy_asks_for_it():
    decision = decided(replace(GPU, cause=Cause.SILENT_DATA_CORRUPTION, node_confirmed=False))

    assert drains_in(decision) == []
    assert "no source of the node itself" in decision.reason


def test_no_more_is_drained_than_spare_nodes_can_replace():
    decision = decided(around=cluster(spares=0, nodes=cluster(spares=0).nodes))

    assert drains_in(decision) == ["node002"]  # nobody knows of nodes beyond those of jobs
    out_of_reach = Node("node200", NodeState.SILENT, NOON)
    known = cluster(spares=0, nodes={**cluster(spares=0).nodes, "node200": out_of_reach})
    assert drains_in(decided(around=known)) == []
    assert "0 spare nodes" in decided(around=known).reason


@pytest.mark.parametrize(
    ("earlier", "brakes", "why"),
    [
        (6, {}, "drains of the hour"),
        (3, {"drains_per_hour": 100, "drains_per_day": 3}, "drains of the day"),
    ],
)
def test_drains_keep_within_their_budgets(earlier, brakes, why):
    recent = tuple(made(number) for number in range(20, 20 + earlier))

    decision = decided(around=cluster(recent=recent), **brakes)

    assert drains_in(decision) == []
    assert why in decision.reason
    assert StepKind.REQUEUE in [step.kind for step in decision.steps]


def test_drains_that_were_refused_or_cancelled_cost_nothing():
    recent = tuple(made(number, state=StepState.CANCELLED) for number in range(20, 40))

    assert drains_in(decided(around=cluster(recent=recent))) == ["node002"]


def test_share_and_number_of_drained_nodes_both_hold():
    out = {name: Node(name, NodeState.DRAINED, NOON, drained_by="dec-0") for name in ("node050", "node051")}
    some_out = cluster(nodes={**cluster().nodes, **out})

    assert drains_in(decided(around=some_out)) == ["node002"]
    assert drains_in(decided(around=some_out, drained_at_most=2)) == []
    assert drains_in(decided(around=some_out, drained_share=0.02)) == []


def test_held_node_is_left_out_of_the_job_and_not_drained():
    held = {"node:node002": Hold("node:node002", "vendor looks at it", "ada", NOON)}

    decision = decided(around=cluster(holds=held))

    assert drains_in(decision) == []
    assert "vendor looks at it" in decision.reason
    assert decision.steps[0].kind is StepKind.EXCLUDE


def test_node_on_which_people_work_is_not_drained():
    window = MaintenanceWindow("mw-1", ("node002",), NOON - seconds(60), NOON + seconds(600), "firmware", "ada")

    assert drains_in(decided(around=cluster(maintenance=(window,)))) == []


def test_node_that_has_just_started_is_not_drained():
    where = Component(ComponentKind.NODE, "node002", "node002")
    booted = Evidence(kinds.REBOOTED, where, Severity.INFO, Trust.NODE, NOON, NOON, 1, ())

    assert drains_in(decided(incident=replace(INCIDENT, evidence=(booted,)))) == []


@settings(max_examples=60, deadline=None)
@given(
    earlier=st.lists(
        st.tuples(
            st.sampled_from([StepKind.DRAIN, StepKind.REQUEUE]),
            st.sampled_from(list(StepState)),
            st.integers(0, 2 * 86_400),
        ),
        max_size=30,
    ),
    per_hour=st.integers(0, 8),
    at_most=st.integers(0, 8),
    spares=st.integers(0, 4),
)
def test_budgets_are_never_exceeded_whatever_happened_before(earlier, per_hour, at_most, spares):
    ordered = sorted(earlier, key=lambda each: -each[2])
    recent = tuple(
        made(20 + number, kind, state, NOW - seconds(ago)) for number, (kind, state, ago) in enumerate(ordered)
    )
    around = cluster(spares=spares, recent=recent)

    decision = decided(around=around, drains_per_hour=per_hour, drained_at_most=at_most)

    counted = [
        each
        for each in recent
        if each.steps[0].kind is StepKind.DRAIN
        and NOW - each.made_at < timedelta(hours=1)
        and each.steps[0].state not in (StepState.CANCELLED, StepState.REFUSED, StepState.FAILED)
    ]
    drains = len(drains_in(decision))
    assert drains == 0 or len(counted) + drains <= per_hour
    assert drains <= at_most


# --- policies -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    cause=st.sampled_from(list(Cause)), confidence=st.floats(0, 1), confirmed=st.booleans(), deaths=st.integers(1, 6)
)
def test_observe_never_acts(cause, confidence, confirmed, deaths):
    diagnosis = replace(GPU, cause=cause, confidence=confidence, node_confirmed=confirmed)
    attempts = tuple(replace(DIED, number=number, first_new_step_at=None) for number in range(1, deaths + 1))

    decision = decided(diagnosis, attempts=attempts, job=replace(JOB, attempt=deaths), policy="observe")

    assert {step.state for step in decision.steps} <= {StepState.CANCELLED}


@settings(max_examples=60, deadline=None)
@given(cause=st.sampled_from(list(Cause)), confidence=st.floats(0, 1), policy=st.sampled_from(["default", "cautious"]))
def test_nothing_is_ever_drained_without_a_source_of_the_node(cause, confidence, policy):
    diagnosis = replace(GPU, cause=cause, confidence=confidence, node_confirmed=False)

    assert drains_in(decided(diagnosis, policy=policy)) == []


@pytest.mark.parametrize("cause", list(Cause))
def test_requeue_restarts_in_place_whatever_happened(cause):
    decision = decided(replace(GPU, cause=cause), policy="requeue")

    assert [step.kind for step in decision.steps] == [StepKind.CHOOSE_CHECKPOINT, StepKind.REQUEUE]


def test_cautious_asks_before_it_drains_a_repeat_offender():
    blamed = {GPU.suspects[0].component: {Cause.FAULTY_GPU: 1}}

    decision = decided(around=cluster(history=History(blamed=blamed)), policy="cautious")

    assert decision.mode is Mode.APPROVE
    assert drains_in(decision) == ["node002"]


def test_corrupted_data_is_gone_back_behind():
    old = replace(SAVED, step=10, path="/ck/step_10", saved_at=NOON - seconds(3600))
    situation = Situation(
        INCIDENT, replace(GPU, cause=Cause.SILENT_DATA_CORRUPTION), JOB, (DIED,), (old, SAVED), cluster()
    )

    decision = decide(situation, Limits(policy=shipped_policy()), NOW)

    (requeue,) = [step for step in decision.steps if step.kind is StepKind.REQUEUE]
    assert requeue.arguments["checkpoint"] == "/ck/step_10"
    assert "not trusted" in decision.reason


def test_checkpoint_that_was_gone_back_behind_is_not_trusted_afterwards():
    old = replace(SAVED, step=10, path="/ck/step_10", saved_at=NOON - seconds(3600))
    sdc = replace(GPU, cause=Cause.SILENT_DATA_CORRUPTION)
    limits = Limits(policy=shipped_policy())
    first = decide(Situation(INCIDENT, sdc, JOB, (DIED,), (old, SAVED), cluster()), limits, NOW)
    crashed = replace(GPU, cause=Cause.SOFTWARE_BUG)

    second = decide(
        Situation(INCIDENT, crashed, replace(JOB, attempt=2), (DIED,), (old, SAVED), cluster(recent=(first,))),
        limits,
        NOW,
    )

    assert second.steps[-1].arguments["checkpoint"] == "/ck/step_10"


def test_all_nodes_behind_a_failed_switch_are_left_out():
    topology = Topology({name: frozenset({f"tor{(number - 1) // 2}"}) for number, name in enumerate(NODES, start=1)})
    failed = replace(
        GPU,
        cause=Cause.NETWORK_SWITCH_CABLE,
        suspects=(Suspect(Component(ComponentKind.SWITCH, "tor1"), 1.0),),
    )

    decision = decided(failed, around=cluster(topology=topology))

    left_out = [step.arguments["node"] for step in decision.steps if step.kind is StepKind.EXCLUDE]
    assert left_out == ["node003", "node004"]
    assert decision.rule == "behind-one-switch"


def test_decision_says_which_rule_of_which_policy_and_what_else_was_considered():
    decision = decided(replace(GPU, confidence=0.55, alternatives=(Alternative(Cause.SOFTWARE_BUG, 0.45),)))

    assert (decision.policy, decision.rule, decision.cause) == ("default", "suspected-hardware", "faulty_gpu")
    assert "broken-hardware: node_chance is 0.55, wanted at least 0.8" in decision.considered
    assert any("would fit too" in each for each in decision.considered)


# --- the breaker ----------------------------------------------------------------------------------------------------


def test_too_many_restarts_in_the_cluster_open_the_breaker_and_decisions_wait_for_a_person():
    recent = tuple(made(number, StepKind.REQUEUE) for number in range(4))

    decision = decided(around=cluster(recent=recent), cluster_restarts_per_hour=3)

    assert decision.mode is Mode.APPROVE
    assert "The breaker is open (4 restarts within an hour" in decision.reason


def test_failed_steps_open_the_breaker():
    recent = tuple(made(number, StepKind.REQUEUE, StepState.FAILED) for number in range(11))

    assert "11 steps failed" in breaker_before(cluster(recent=recent), Limits(), NOW).reason


def test_open_breaker_stays_open_until_somebody_resets_it():
    opened = {CLUSTER: Hold(CLUSTER, "too much", "clusterwatch", NOON)}

    assert decided(around=cluster(holds=opened), now=NOON + timedelta(days=2)).mode is Mode.APPROVE


def test_reset_begins_to_count_anew():
    recent = tuple(made(number, StepKind.REQUEUE) for number in range(4))
    reset = {CLUSTER: Hold(CLUSTER, "too much", "clusterwatch", NOON, lifted_at=NOON + seconds(30), lifted_by="ada")}

    decision = decided(around=cluster(recent=recent, holds=reset), cluster_restarts_per_hour=3)

    assert decision.mode is Mode.AUTO


# --- plans that failed, and pauses ----------------------------------------------------------------------------------


def failed(number, at=NOON, detail="slurmctld does not answer", state=StepState.FAILED):
    decision = decided()
    steps = (replace(decision.steps[0], state=state, detail=detail), *decision.steps[1:])
    return replace(decision, id=f"{decision.id}-again{number}", made_at=at, steps=steps)


def test_failed_plan_is_made_again_under_another_id_after_a_pause():
    around = cluster(recent=(failed(0, NOON + seconds(50)),))
    situation = Situation(INCIDENT, GPU, JOB, (DIED,), (SAVED,), around)

    assert due_at(situation, Limits(policy=shipped_policy()), NOW) == NOON + seconds(65)
    assert decided(around=around).id.endswith("-again1")


def test_plan_that_failed_too_often_calls_a_person():
    around = cluster(recent=tuple(failed(number) for number in range(3)))

    decision = decided(around=around)

    assert [step.kind for step in decision.steps] == [StepKind.ASK]
    assert "failed 3 times, at last: slurmctld does not answer" in decision.reason


def test_step_that_nobody_can_tell_of_calls_a_person_at_once():
    decision = decided(around=cluster(recent=(failed(0, state=StepState.UNKNOWN),)))

    assert [step.kind for step in decision.steps] == [StepKind.ASK]


def test_failed_plan_is_not_made_again_on_stale_evidence():
    decision = decided(around=cluster(recent=(failed(0),)), now=NOON + timedelta(minutes=11))

    assert [step.kind for step in decision.steps] == [StepKind.ASK]


def test_actuator_that_cannot_drain_is_asked_for_the_rest():
    decision = decided(abilities={"small_fleet": frozenset(StepKind) - {StepKind.DRAIN}})

    assert drains_in(decision) == []
    assert "small_fleet cannot drain" in decision.reason


def test_where_nobody_can_be_asked_the_job_is_stopped():
    around = cluster(recent=tuple(failed(number) for number in range(3)))

    decision = decided(around=around, abilities={"small_fleet": frozenset({StepKind.STOP, StepKind.REQUEUE})})

    assert [step.kind for step in decision.steps] == [StepKind.STOP]


def test_attempts_without_progress_are_restarted_after_a_pause_that_doubles():
    fruitless = [replace(DIED, number=number, first_new_step_at=None, started_at=NOW) for number in (2, 3, 4)]
    limits = Limits(policy=shipped_policy(), restarts_without_progress=9)

    def pause(count):
        situation = Situation(INCIDENT, GPU, JOB, (DIED, *fruitless[:count]), (SAVED,), cluster())
        return due_at(situation, limits, NOW) - NOW

    assert [pause(count) for count in (0, 1, 2, 3)] == [seconds(0), seconds(0), seconds(10), seconds(20)]


def test_job_that_is_held_by_a_person_stays_down_and_says_why():
    held = {"job:job-1": Hold("job:job-1", "tuning", "ada", NOON)}

    decision = decided(around=cluster(holds=held))

    assert (decision.steps, decision.reason) == ((), "The job is held: tuning")


def test_job_of_slurm_waits_for_the_person_who_is_asked_and_is_not_cancelled():
    on_slurm = replace(JOB, actuator="slurm")
    unexplained = replace(GPU, cause=Cause.UNKNOWN, confidence=0.3, suspects=(), node_confirmed=False)
    tried = tuple(replace(DIED, number=number, first_new_step_at=None) for number in range(1, 5))

    decision = decided(
        unexplained,
        job=replace(on_slurm, attempt=4),
        attempts=tried,
        modes={"slurm": Mode.AUTO},
        abilities={"slurm": Slurm().kinds},
        restarts_without_progress=9,
    )

    assert decision.rule == "unknown-still"
    assert [step.kind for step in decision.steps] == [StepKind.ASK]


# --- rows of attempts -----------------------------------------------------------------------------------------------


def carried_out(attempt, *wanted, cause=Cause.UNKNOWN, incident="inc-0"):
    """A decision about *attempt* whose steps of the *wanted* kinds were done."""
    steps = tuple(
        Step(f"d{attempt}.{order}", f"d{attempt}", order, kind, "small_fleet", "job-1", {}, NOW, StepState.DONE)
        for order, kind in enumerate(wanted, start=1)
    )
    return Decision(f"d{attempt}", incident, 1, "job-1", Mode.AUTO, "", NOON, steps, attempt=attempt, cause=cause.value)


def fruitless_attempts(total, fingerprint="hang"):
    return tuple(
        replace(DIED, number=number, first_new_step_at=None, fingerprint=f"{fingerprint}")
        for number in range(1, total + 1)
    )


def after(attempts, *recent, diagnosis=GPU):
    """What is decided about the last of *attempts*."""
    return decided(diagnosis, job=replace(JOB, attempt=len(attempts)), attempts=attempts, around=cluster(recent=recent))


def test_job_that_a_person_started_again_is_tried_anew():
    asked = carried_out(5, StepKind.ASK)

    assert "5 attempts in a row" not in after(fruitless_attempts(6), asked).reason
    assert after(fruitless_attempts(6), diagnosis=BUG).steps[0].kind is StepKind.STOP


def test_death_after_something_was_changed_is_not_the_same_once_more():
    attempts = fruitless_attempts(4)
    changed = carried_out(3, StepKind.SURVEY, StepKind.REQUEUE)

    assert "died the same way" in after(attempts, diagnosis=BUG).reason
    assert after(attempts, changed, diagnosis=BUG).rule == "user-code"


def test_attempts_that_broken_parts_ended_are_half_forgiven_once_those_are_left_out():
    attempts = fruitless_attempts(6)
    mended = [carried_out(number, StepKind.EXCLUDE, cause=Cause.GPU_HBM) for number in (4, 5)]

    assert after(attempts, *mended).rule == "broken-hardware"
    assert after(attempts).steps[0].kind is StepKind.STOP


def test_however_many_parts_were_left_out_a_job_without_progress_is_stopped_in_the_end():
    attempts = fruitless_attempts(10)
    mended = [carried_out(number, StepKind.EXCLUDE, cause=Cause.GPU_HBM) for number in range(1, 10)]

    assert after(attempts, *mended).steps[0].kind is StepKind.STOP
