"""A real training job on a real Slurm: what happens to it, what ClusterWatch makes of it, and where it ends."""

from __future__ import annotations

import signal
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterwatch.model import Cause, JobState, StepKind, StepState
from recovery import Job, Reaction, Recovery, assert_ledger_closes, reactions
from slurm_cluster import SlurmCluster, started_cluster, wait_until

pytestmark = pytest.mark.integration

SWITCHES = """
[topology.neighbourhoods]
leaf1 = ["node2", "node3"]
leaf2 = ["node1", "node4", "node5"]
"""

BEHIND_ONE = {"node2": 1, "node3": 2}
"""Nodes behind one switch, with their ranks in a job on the first three nodes."""

FELL_OFF_THE_BUS = "NVRM: Xid (PCI:0000:3b:00): 79, pid=4711, name=python3, GPU has fallen off the bus."

LINK_DOWN = "mlx5_core 0000:18:00.0 ens108np0: Link down"

LOOK_TAKES = 4
"""Calls of scontrol: reservations and nodes, each as JSON and, for a Slurm that has none, as text."""


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmCluster]:
    """A cluster of five nodes for all of it."""
    cluster = started_cluster(nodes=5)
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def measured() -> Iterator[list[Reaction]]:
    """Where the tests put how long ClusterWatch took; printed at the end."""
    taken: list[Reaction] = []
    yield taken
    calls = [each.total for each in taken]
    hangs = [each.hang for each in taken if each.hang is not None]
    if calls:
        print(f"\neach: {', '.join(f'{each.decided:.2f} + {each.called:.2f} s' for each in taken)}")
        print(f"\ndeciding event to scontrol: median {statistics.median(calls):.2f} s, longest {max(calls):.2f} s")
        print(f"decision to scontrol: median {statistics.median(each.called for each in taken):.2f} s")
    if hangs:
        print(f"last step of a hang to scontrol: {', '.join(f'{each:.1f} s' for each in hangs)}")


@pytest.fixture
def recovery(slurm: SlurmCluster, tmp_path: Path) -> Iterator[Recovery]:
    """ClusterWatch in automatic mode over an idle cluster, with a database of its own."""
    made = Recovery(slurm, tmp_path, SWITCHES)
    try:
        made.start()
        # A job that ends before the first look is none of ours.
        made.wait(lambda: len(made.commands("--all")) > LOOK_TAKES, "the first look at the cluster")
        yield made
    finally:
        made.close()
        _clear(slurm)


def _clear(slurm: SlurmCluster) -> None:
    slurm.run("scancel", "--signal=KILL", "--full", "--user=root", check=False)
    slurm.run("scancel", "--user=root", check=False)
    for name in slurm.nodes:
        if f"slurmd-{name}" not in slurm.daemons:
            slurm.start_slurmd(name)
    wait_until(lambda: not slurm.run("squeue", "--noheader").stdout.strip(), "an empty queue")
    wait_until(lambda: all(_is_idle(slurm, name) for name in slurm.nodes), "idle nodes")


def _is_idle(slurm: SlurmCluster, name: str) -> bool:
    node = slurm.node(name)
    if node.is_drained or node.is_down:
        # Refused while the node is on its way back by itself.
        slurm.run("scontrol", "update", f"NodeName={name}", "State=RESUME", check=False)
    return node.state == "IDLE" and not (node.is_drained or node.is_down)


def assert_restarted_once(job: Job, resumed_step: int, steps: int = 40) -> None:
    """Fail unless the job was put back once, went on from that step, and came to its end."""
    view = job.wait_until_over()
    assert [step.arguments["step"] for step in job.done(StepKind.CHOOSE_CHECKPOINT)] == [resumed_step], job.plans
    assert len(job.done(StepKind.REQUEUE)) == 1, job.plans
    assert job.recovery.cluster.job(job.number).restarts == 1
    requeues = [command for _, command in job.recovery.commands("requeue", "requeuehold")]
    assert len(requeues) <= 1  # none where Slurm or an operator put the job back
    assert job.resumed_from == [0, resumed_step]
    assert [attempt.resumed_step for attempt in view.attempts] == [0, resumed_step]
    assert (view.job.highest_step, job.steps[-1]) == (steps, steps)
    assert len(view.interruptions) == 1
    assert_ledger_closes(view)


def excluded(job: Job) -> list[object]:
    """Return the nodes that were left out, in order."""
    return [step.arguments["node"] for step in job.done(StepKind.EXCLUDE)]


def test_gpu_that_falls_off_the_bus_takes_its_node_out_and_the_job_goes_on(
    recovery: Recovery, measured: list[Reaction]
):
    job = recovery.submit(STEP_SECONDS="0.2")
    job.wait_for_step(23)
    broken = job.node_of(1)

    with (recovery.kernel_logs / f"{broken}.log").open("a") as kernel:
        kernel.write(FELL_OFF_THE_BUS + "\n")
    job.rank_process(1).send_signal(signal.SIGSTOP)

    assert_restarted_once(job, job.newest_whole)
    assert job.diagnosis.cause is Cause.FAULTY_GPU
    assert job.diagnosis.suspects[0].component.node == broken
    assert excluded(job) == [broken]
    assert [step.arguments["node"] for step in job.done(StepKind.DRAIN)] == [broken]
    assert "[clusterwatch] faulty_gpu" in recovery.cluster.node(broken).reason
    assert broken not in recovery.cluster.job(job.number).nodes
    measured.extend(reactions(job))


def test_exception_of_the_users_code_restarts_the_job_in_place(recovery: Recovery, measured: list[Reaction]):
    job = recovery.submit(STEP_SECONDS="0.2", FAULT="raise")

    assert_restarted_once(job, 20)
    assert job.diagnosis.cause is Cause.SOFTWARE_BUG
    assert job.diagnosis.suspects[0].component.id == "1"
    assert excluded(job) == job.done(StepKind.DRAIN) == []
    measured.extend(reactions(job))


def test_checkpoint_that_is_torn_is_not_the_one_the_job_goes_on_from(recovery: Recovery, measured: list[Reaction]):
    job = recovery.submit(STEP_SECONDS="0.2", FAULT="torn")

    assert_restarted_once(job, 10)
    # A process that was killed while it saved: nothing says by whom.
    assert job.diagnosis.cause is Cause.UNKNOWN
    assert excluded(job) == job.done(StepKind.DRAIN) == []
    measured.extend(reactions(job))


def test_node_whose_slurmd_dies_is_left_out(recovery: Recovery, measured: list[Reaction]):
    job = recovery.submit(STEP_SECONDS="0.2", STEPS="140")
    job.wait_for_step(23)
    lost = job.node_of(1)

    recovery.cluster.kill_slurmd(lost)

    recovery.wait(lambda: job.restarts == 1, "Slurm to give the node up", job)
    assert_restarted_once(job, job.newest_whole, steps=140)
    # A node that answers no more tells nobody why.
    assert job.diagnosis.cause in (Cause.HOST_MAINTENANCE, Cause.UNKNOWN)
    assert job.diagnosis.suspects[0].component.node == lost
    assert job.done(StepKind.DRAIN) == []
    assert lost not in recovery.cluster.job(job.number).nodes
    measured.extend(reactions(job))


def test_crash_that_comes_back_without_progress_is_given_up(recovery: Recovery, measured: list[Reaction]):
    job = recovery.submit(STEP_SECONDS="0.2", FAULT="raise", FAULT_AT="10", FAULT_ALWAYS="1")

    view = job.wait_until_over(JobState.STOPPED)

    assert job.diagnosis.cause is Cause.SOFTWARE_BUG
    assert view.job.outcome.startswith("given up after attempt 3: KeyError at train.py")
    assert job.resumed_from == [0, 10, 10]
    assert len(job.done(StepKind.REQUEUE)) == recovery.cluster.job(job.number).restarts == 2
    assert len(job.done(StepKind.STOP)) == 1
    assert excluded(job) == job.done(StepKind.DRAIN) == []
    assert_ledger_closes(view)
    measured.extend(reactions(job))


def test_drain_of_an_operator_disturbs_no_job_and_is_left_alone(recovery: Recovery, measured: list[Reaction]):
    job = recovery.submit(STEP_SECONDS="0.2")
    job.wait_for_step(13)
    drained = job.node_of(1)

    recovery.cluster.run("scontrol", "update", f"NodeName={drained}", "State=DRAIN", "Reason=new firmware")
    job.wait_for_step(23)
    before = job.decisions
    recovery.cluster.run("scontrol", "requeue", str(job.number))

    # Until its processes have ended it may save once more.
    recovery.wait(lambda: job.is_back_in_the_queue, "the job's processes to end", job)
    assert_restarted_once(job, job.newest_whole)
    assert before == []
    assert job.diagnosis.cause in (Cause.HOST_MAINTENANCE, Cause.PREEMPTION_OR_OPERATOR)
    assert drained not in recovery.cluster.job(job.number).nodes
    assert job.done(StepKind.DRAIN) == []
    assert recovery.cluster.node(drained).reason == "new firmware"
    measured.extend(reactions(job))


def test_killed_clusterwatch_neither_forgets_nor_repeats_a_step(slurm: SlurmCluster, recovery: Recovery):
    recovery.kill()
    recovery.start("recorded")
    job = recovery.submit(STEP_SECONDS="1", FAULT="raise")

    # Recorded and not begun; begun and not carried out; carried out and not written down.
    recovery.wait(lambda: bool(job.planned(StepKind.REQUEUE)), "a decision", job)
    recovery.kill()
    for moment in ("before:requeue", "after:requeue"):
        recovery.start(moment)
        recovery.kill_when_reached()
    recovery.start()

    assert_restarted_once(job, 20)
    (requeue,) = job.done(StepKind.REQUEUE)
    assert requeue.detail == "found done after a restart"
    assert len(recovery.commands("requeue", "requeuehold")) == 1
    assert job.diagnosis.cause is Cause.SOFTWARE_BUG
    assert {step.state for decision in job.decisions for step in decision.steps} == {StepState.DONE}


def test_two_nodes_behind_one_switch_are_left_out_together(recovery: Recovery, measured: list[Reaction]):
    job = recovery.submit(nodes=3, STEP_SECONDS="0.2")
    job.wait_for_step(13)

    for name, rank in BEHIND_ONE.items():
        with (recovery.kernel_logs / f"{name}.log").open("a") as kernel:
            kernel.write(LINK_DOWN + "\n")
        job.rank_process(rank).send_signal(signal.SIGSTOP)

    assert_restarted_once(job, job.newest_whole)
    assert job.diagnosis.cause in (Cause.NETWORK_SWITCH_CABLE, Cause.NIC)
    assert sorted(map(str, excluded(job))) == [*BEHIND_ONE]
    assert recovery.cluster.job(job.number).nodes == ("node1", "node4", "node5")
    measured.extend(reactions(job))


def test_two_nodes_behind_one_switch_whose_slurmds_die_at_once_are_left_out(recovery: Recovery):
    job = recovery.submit(nodes=3, STEP_SECONDS="0.2", STEPS="140")
    job.wait_for_step(23)

    for name in BEHIND_ONE:
        recovery.cluster.kill_slurmd(name)

    recovery.wait(lambda: job.restarts == 1, "Slurm to give the nodes up", job)
    assert_restarted_once(job, job.newest_whole, steps=140)
    suspects = {each.component.node or each.component.id for each in job.diagnosis.suspects}
    # Ranks that ended for the want of the others may be named beside them.
    assert {*BEHIND_ONE} <= suspects or "leaf1" in suspects
    # What Slurm gave up needs no exclusion.
    assert recovery.cluster.job(job.number).nodes == ("node1", "node4", "node5")
    assert sorted(map(str, excluded(job))) in ([], [*BEHIND_ONE])
    assert job.done(StepKind.DRAIN) == []
