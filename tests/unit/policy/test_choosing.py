"""What happened to the checkpoint a job goes on from."""

from dataclasses import replace

from clusterwatch.model import (
    Attempt,
    Cause,
    Checkpoint,
    Decision,
    Diagnosis,
    Incident,
    IncidentState,
    Job,
    JobState,
    Mode,
    Step,
    StepKind,
    StepState,
)
from clusterwatch.policy import Situation
from clusterwatch.policy.choosing import ROLLED_BACK, chosen_checkpoint
from clusterwatch.policy.rules import Action, Rule
from clusterwatch.policy.situation import Cluster
from clusterwatch.policy.view import View
from clusterwatch.testing import NOON, seconds

INCIDENT = Incident("inc-1", IncidentState.DIAGNOSED, NOON, NOON, NOON, ())
BUG = Diagnosis("inc-1", 1, Cause.SOFTWARE_BUG, 0.95, (), (), (), (), "", "", NOON)
STORAGE = replace(BUG, cause=Cause.STORAGE)
JOB = Job("job-1", "llama", JobState.INTERRUPTED, NOON, NOON, nodes=("node001",), attempt=3)
DIED = Attempt("job-1", 3, NOON, ended_at=NOON, resumed_step=30)
RESTART = Rule("r", "why", do=(Action.RESTART,))
BACK = Rule("r", "why", do=(Action.ROLL_BACK, Action.RESTART))


def saved(step, verified=True):
    at = NOON - seconds(1000 - 10 * step)
    return Checkpoint("job-1", step, f"/ck/{step}", "dcp", complete=True, verified=verified, saved_at=at)


THREE = tuple(saved(step) for step in (10, 20, 30))


def decided(state=StepState.DONE, **arguments):
    step = Step("s", "d", 0, StepKind.CHOOSE_CHECKPOINT, "slurm", "job-1", arguments, NOON, state)
    return Decision("d", "inc-1", 1, "job-1", Mode.AUTO, "", NOON, (step,))


def chosen(rule=RESTART, diagnosis=BUG, checkpoints=THREE, attempts=(DIED,), recent=()):
    situation = Situation(INCIDENT, diagnosis, JOB, attempts, checkpoints, Cluster(recent=recent))
    checkpoint, note = chosen_checkpoint(View(situation, NOON), rule)
    return (checkpoint.step if checkpoint else None), note


def test_newest_complete_one_is_taken():
    assert chosen() == (30, "")


def test_without_any_there_is_none():
    assert chosen(checkpoints=()) == (None, "")


def test_repeated_crash_goes_back_before_what_it_resumed_from():
    assert chosen(BACK) == (20, "Later checkpoints are not trusted.")
    assert chosen(BACK, attempts=(replace(DIED, resumed_step=20),))[0] == 10


def test_corruption_goes_back_behind_its_window():
    # Saved 700, 800 and 900 s before the incident.
    assert chosen(replace(BACK, back_seconds=750.0))[0] == 20
    assert chosen(replace(BACK, back_seconds=850.0))[0] == 10


def test_where_none_is_old_enough_the_oldest_is_taken_and_it_is_said():
    assert chosen(replace(BACK, back_seconds=9999.0)) == (
        10,
        "It is the oldest checkpoint there is; none is as old as the rule asks for.",
    )


def test_what_was_gone_back_behind_stays_distrusted_until_it_is_saved_anew():
    went_back = decided(checkpoint="/ck/20", step=20, **{ROLLED_BACK: True})
    anew = replace(saved(30), saved_at=NOON + seconds(60))

    assert chosen(recent=(went_back,))[0] == 20
    assert chosen(checkpoints=(*THREE[:2], anew), recent=(went_back,))[0] == 30


def test_what_was_gone_when_it_was_chosen_is_not_chosen_again():
    failed = decided(StepState.FAILED, checkpoint="/ck/30", step=30)

    assert chosen(recent=(failed,))[0] == 20
    assert chosen(recent=(decided(checkpoint="/ck/30", step=30),))[0] == 30


def test_after_a_failure_of_storage_checked_files_go_before_newer_ones():
    checkpoints = (*THREE[:2], saved(30, verified=False))

    assert chosen(diagnosis=STORAGE, checkpoints=checkpoints) == (
        20,
        "Storage failed: later checkpoints, whose files were not checked, are passed over.",
    )
    assert chosen(checkpoints=checkpoints)[0] == 30
    assert chosen(diagnosis=STORAGE, checkpoints=(saved(30, verified=False),))[0] == 30
