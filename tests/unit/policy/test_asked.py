"""What a person asks to be done to a node, and what the brakes say to it."""

from dataclasses import replace

import pytest

from clusterwatch.model import CLUSTER, Hold, Job, JobState, MaintenanceWindow, Mode, Node, NodeState, StepKind
from clusterwatch.policy import ASKED, Asked, Cluster, Limits, asked_for, objections, why_not_back, why_not_out
from clusterwatch.testing import NOON, seconds

NAMES = tuple(f"node{number:03}" for number in range(1, 41))
NODES = {name: Node(name, NodeState.IN_SERVICE, NOON) for name in NAMES}
QUIET = Cluster(nodes=NODES)
LIMITS = Limits()


def with_node(**changed):
    return replace(QUIET, nodes={**NODES, "node001": replace(NODES["node001"], **changed)})


def held(subject):
    return replace(QUIET, holds={subject: Hold(subject, "mine", "ada", NOON)})


WINDOW = MaintenanceWindow("mw-1", ("node001",), NOON, NOON + seconds(3600), "firmware", "ada")
BUSY = Job("job-1", "llama", JobState.TRAINING, NOON, NOON, nodes=NAMES[:39])


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (QUIET, []),
        (held("node:node001"), ["it is held (mine)"]),
        (held(CLUSTER), ["the breaker is open (mine)"]),
        (replace(QUIET, maintenance=(WINDOW,)), ["people work on it"]),
        (
            replace(QUIET, jobs={"job-1": BUSY}, holds=held("node:node040").holds),
            ["no spare node could replace it"],
        ),
    ],
    ids=["quiet", "held", "breaker", "maintenance", "no spares"],
)
def test_person_hears_what_would_keep_automation_from_it(cluster, said):
    assert list(objections(cluster, "node001", LIMITS, NOON)) == said


def test_budget_that_is_used_up_is_said():
    assert list(objections(QUIET, "node001", replace(LIMITS, drains_per_day=0), NOON)) == [
        "the drains of the day are used up"
    ]


def test_node_that_is_out_already_is_not_drained_again():
    assert why_not_out(with_node(state=NodeState.DRAINED), "node001", NOON) == "node001 is out of service already"
    assert why_not_out(QUIET, "node001", NOON) == ""


def test_only_what_clusterwatch_drained_is_brought_back():
    assert why_not_back(with_node(state=NodeState.DRAINED, drained_by="dec-1"), "node001") == ""
    assert "was not drained by ClusterWatch" in why_not_back(with_node(state=NodeState.DRAINED), "node001")
    assert why_not_back(QUIET, "node001") == "node001 is not out of service"


def test_what_a_person_asks_for_needs_no_approval_and_is_not_done_late():
    kinds = (StepKind.CHECK, StepKind.RELEASE)

    made = asked_for(Asked("node001", kinds, "inc-1", "slurm", "node001", "ada asked"), LIMITS, NOON)

    assert (made.mode, made.rule, made.job_id, made.reason) == (Mode.AUTO, ASKED, None, "ada asked")
    assert tuple(step.kind for step in made.steps) == kinds
    assert {step.not_after for step in made.steps} == {NOON + LIMITS.act_within}
    assert {step.arguments["node"] for step in made.steps} == {"node001"}
