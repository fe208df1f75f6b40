"""Steps of which nobody can tell whether they were done, to the question to a person."""

from dataclasses import replace

import pytest

from clusterwatch.act.slurm import Slurm
from clusterwatch.model import Component, ComponentKind, StepKind, StepState, kinds
from clusterwatch.policy import UNKNOWN, Limits, call_for
from clusterwatch.testing import NOON, event

JOB = Component(ComponentKind.JOB, "slurm-7")


def ended(kind=StepKind.DRAIN, state=StepState.UNKNOWN, **fields):
    about = {"step_id": "dec-ab-1-slurm-7-1.4", "step_kind": kind.value, "state": state.value, "actuator": "slurm"}
    told = event(kinds.STEP_CHANGED, JOB, NOON, job="slurm-7")
    return replace(told, fields={**about, "incident": "inc-ab", "node": "node3", "cause": "faulty_gpu", **fields})


def test_drain_of_which_nobody_can_tell_calls_a_person():
    decision = call_for(ended(detail="scontrol did not end in 10 s."), Limits(), NOON)

    assert decision is not None
    assert (decision.rule, decision.incident_id, decision.job_id) == (UNKNOWN, "inc-ab", None)
    assert [step.kind for step in decision.steps] == [StepKind.ASK]
    assert decision.reason == (
        "A person is asked: nobody can tell whether drain of node3 was done (dec-ab-1-slurm-7-1.4). "
        "scontrol did not end in 10 s."
    )


def test_same_event_is_the_same_question_however_often_it_is_told():
    assert call_for(ended(), Limits(), NOON) == call_for(ended(), Limits(), NOON)


@pytest.mark.parametrize("state", [each for each in StepState if each is not StepState.UNKNOWN])
def test_step_of_which_something_is_known_calls_nobody(state):
    assert call_for(ended(state=state), Limits(), NOON) is None


@pytest.mark.parametrize("kind", [StepKind.HOLD, StepKind.EXCLUDE, StepKind.READMIT, StepKind.REQUEUE])
def test_what_a_restart_waits_for_asks_with_its_plan(kind):
    assert call_for(ended(kind, attempt=1), Limits(), NOON) is None
    assert call_for(ended(StepKind.CHECK, attempt=1), Limits(), NOON) is None


@pytest.mark.parametrize("kind", [StepKind.RESET, StepKind.REBOOT, StepKind.CHECK, StepKind.RELEASE])
def test_every_other_step_on_a_node_calls_a_person(kind):
    assert call_for(ended(kind), Limits(), NOON) is not None


def test_stop_of_which_nobody_can_tell_calls_a_person():
    assert call_for(ended(StepKind.STOP, attempt=3), Limits(), NOON) is not None


def test_slurm_can_wait_for_a_person_and_what_cannot_wait_asks_nobody():
    limits = Limits(abilities={"slurm": Slurm().kinds})

    assert call_for(ended(), limits, NOON) is not None
    assert call_for(ended(actuator="local_process"), Limits(), NOON) is None
