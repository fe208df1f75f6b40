"""A real Slurm on loopback: what the collector sees of it, what the actuator does to it, and when it is silent."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from clusterwatch.act.slurm import Slurm, SlurmOptions
from clusterwatch.clock import SystemClock
from clusterwatch.errors import ActionError, SourceError
from clusterwatch.model import LINE, Collected, Outcome, Reading, Step, StepKind, StepState, WorldState, kinds
from clusterwatch.seams import Site
from collectors.slurm import SlurmCollector
from slurm_cluster import SlurmCluster, slurm, wait_until

__all__ = ["slurm"]

pytestmark = pytest.mark.integration

LONG = "sleep 600 & wait"


@dataclass
class Watch:
    """The collector over a cluster, and where it goes on."""

    collector: SlurmCollector = field(default_factory=SlurmCollector)
    position: Mapping[str, object] = field(default_factory=dict)
    later: timedelta = timedelta(0)

    def look(self, **settings: object) -> Collected:
        site = Site("head", "boot-1", {"names": "train", "ranks_per_node": 1, **settings})
        collected = self.collector.collect(site, self.position, SystemClock().now() + self.later)
        self.position = collected.position
        return collected

    def until(self, subject: str, **settings: object) -> list[Reading]:
        """Return everything that was seen up to the first reading of *subject*."""
        seen: list[Reading] = []

        def is_seen() -> bool:
            seen.extend(self.look(**settings).readings)
            return any(reading.subject == subject for reading in seen)

        wait_until(is_seen, subject, state=lambda: str(seen))
        return seen


@pytest.fixture
def cluster(slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """The cluster of this module, without jobs and with every node in use, before and after the test."""
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, slurm.environment[name])
    yield slurm
    slurm.run("scancel", "--user=root", check=False)
    for name in slurm.nodes:
        if slurm.node(name).is_drained or slurm.node(name).is_down:
            slurm.run("scontrol", "update", f"NodeName={name}", "State=RESUME")
    wait_until(lambda: not slurm.run("squeue", "--noheader").stdout.strip(), "an empty queue")


def step(kind: StepKind, target: str, order: int = 1, **arguments: object) -> Step:
    return Step(
        id=f"dec-ab12-1-{target}-1.{order}",
        decision_id=f"dec-ab12-1-{target}-1",
        order=order,
        kind=kind,
        actuator="slurm",
        target=target,
        arguments=arguments,
        not_after=SystemClock().now() + timedelta(minutes=10),
    )


def perform(what: Step, actuator: Slurm | None = None) -> Outcome:
    return (actuator or Slurm()).perform(what, SystemClock().now())


def told(readings: list[Reading] | tuple[Reading, ...]) -> list[str]:
    return [reading.subject if reading.subject != LINE else reading.text for reading in readings]


def one(readings: list[Reading] | tuple[Reading, ...], subject: str) -> Reading:
    (found,) = (reading for reading in readings if reading.subject == subject)
    return found


def test_job_is_followed_from_the_queue_through_a_requeue_to_its_end(cluster: SlurmCluster):
    watch = Watch()
    watch.look()
    script = f'test -n "$SLURM_RESTART_COUNT" && exit 0\n{LONG}'

    number = cluster.submit(script, nodes=2)
    cluster.wait_for_job(number, "RUNNING")
    running = watch.until(kinds.ATTEMPT_STARTED)
    cluster.run("scontrol", "requeue", str(number))
    requeued = watch.until(kinds.ATTEMPT_ENDED)
    cluster.wait_for_job(number, "PENDING")
    cluster.run("scontrol", "update", f"JobId={number}", "StartTime=now+2")
    completed = watch.until(kinds.JOB_ENDED)

    job = one(running, kinds.JOB_STARTED)
    assert (job.job, job.fields["name"], job.fields["gpus"], job.fields["actuator"]) == (
        f"slurm-{number}",
        "train",
        16,
        "slurm",
    )
    assert one(running, kinds.ATTEMPT_STARTED).fields["nodes"] == "node1,node2"
    placed = [(each.rank, each.node) for each in running if each.subject == kinds.RANK_PLACED]
    assert placed == [(0, "node1"), (1, "node2")]
    assert told(requeued) == [f"JobId={number} JobState=REQUEUED Reason=None", kinds.ATTEMPT_ENDED]
    assert [(each.subject, each.attempt) for each in completed] == [
        (kinds.ATTEMPT_STARTED, 2),
        (kinds.RANK_PLACED, 2),
        (kinds.RANK_PLACED, 2),
        (kinds.ATTEMPT_ENDED, 2),
        (kinds.JOB_ENDED, None),
    ]
    assert one(completed, kinds.ATTEMPT_ENDED).fields["exit_code"] == 0
    assert one(completed, kinds.JOB_ENDED).fields["state"] == "completed"
    assert watch.look().readings == ()


def test_crashed_job_is_down_and_not_over_and_its_log_is_followed(cluster: SlurmCluster):
    watch = Watch()
    watch.look()

    number = cluster.submit("echo training; exit 3")
    cluster.wait_for_job(number, "FAILED")
    seen = watch.look().readings

    (followed,) = watch.collector.watched()
    watch.look()

    assert [each.subject for each in seen if each.subject != kinds.RANK_PLACED] == [
        kinds.JOB_STARTED,
        kinds.ATTEMPT_STARTED,
        LINE,
        kinds.ATTEMPT_ENDED,
    ]
    assert one(seen, kinds.ATTEMPT_ENDED).fields["exit_code"] == 3
    assert (followed.id, followed.attempt, followed.node) == (f"slurm-{number}", 1, "node1")
    assert followed.log_paths == (str(cluster.log_of(number)),)
    # What is written next belongs to another attempt.
    assert watch.collector.watched() == ()


def test_only_jobs_that_the_settings_name_are_followed(cluster: SlurmCluster):
    watch = Watch()
    watch.look()

    cluster.submit(LONG, name="notebook")
    number = cluster.submit(LONG, name="llm-70b")

    assert {each.job for each in watch.look(names=["llm-*"]).readings} == {f"slurm-{number}"}
    assert watch.look(names=["llm-*"], users=["nobody"]).readings == ()


def test_node_whose_daemon_dies_takes_its_job_away_and_comes_back(cluster: SlurmCluster):
    watch = Watch()
    number = cluster.submit(LONG, nodes=2)
    (_, lost) = cluster.wait_for_job(number, "RUNNING").nodes
    watch.look()

    cluster.kill_slurmd(lost)
    seen = watch.until(kinds.ATTEMPT_ENDED)
    cluster.start_slurmd(lost)
    back = watch.until(kinds.NODE_BACK)

    about = [each for each in seen if each.node == lost]
    assert [each.subject for each in about if each.subject != LINE] == ["slurm.node.not_responding", kinds.NODE_DOWN]
    assert [each.text.partition(" [")[0] for each in about if each.subject == LINE] == [
        f"node {lost} reason set to: Not responding",
        f"JobId={number} JobState=NODE_FAIL due to failure of node {lost}",
    ]
    assert one(back, kinds.NODE_BACK).node == lost


def test_node_that_an_operator_drains_is_told_with_who_and_why(cluster: SlurmCluster):
    watch = Watch()
    watch.look()

    cluster.run("scontrol", "update", "NodeName=node4", "State=DRAIN", "Reason=GPU 3 fell off the bus")
    seen = watch.look().readings
    cluster.run("scontrol", "update", "NodeName=node4", "State=RESUME")
    back = watch.until(kinds.NODE_BACK)

    drained = one(seen, kinds.NODE_DRAINED)
    assert drained.node == "node4"
    assert (drained.fields["reason"], drained.fields["by"], drained.fields["own"]) == (
        "GPU 3 fell off the bus",
        "root",
        False,
    )
    assert one(seen, LINE).text.startswith("node node4 reason set to: GPU 3 fell off the bus [root@")
    assert one(back, kinds.NODE_BACK).node == "node4"


def test_reservation_for_maintenance_is_announced_work(cluster: SlurmCluster):
    watch = Watch()
    watch.look()
    flags = ("Flags=MAINT,IGNORE_JOBS", "Users=root", "Nodes=node[3-4]", "StartTime=now+1hour", "Duration=60")

    cluster.run("scontrol", "create", "reservation", "ReservationName=firmware", *flags)
    announced = watch.look().readings
    cluster.run("scontrol", "delete", "ReservationName=firmware")
    over = watch.look().readings

    assert one(announced, kinds.MAINTENANCE).fields["nodes"] == "node3,node4"
    assert [one(each, kinds.MAINTENANCE).fields["over"] for each in (announced, over)] == [False, True]


def test_controller_that_is_gone_is_a_failure_and_no_change_of_state(cluster: SlurmCluster):
    watch = Watch()
    number = cluster.submit(LONG)
    cluster.wait_for_job(number, "RUNNING")
    watch.look()
    before = watch.position

    cluster.stop_controller()
    with pytest.raises(SourceError, match=r"nothing follows from it|slurmctld"):
        watch.look(answer_within_seconds=15)
    with pytest.raises(ActionError, match="slurmctld does not answer"):
        perform(step(StepKind.REQUEUE, f"slurm-{number}", attempt=1))
    cluster.start_controller()
    cluster.wait_for_job(number, "RUNNING")

    assert watch.position == before
    # Until its nodes have answered the new controller, they may count as silent.
    assert [each for each in watch.look().readings if each.job is not None] == []


def test_crashed_job_is_put_back_without_the_node_and_starts_at_once(cluster: SlurmCluster):
    number = cluster.submit('test -z "$SLURM_RESTART_COUNT" && exit 1\n' + LONG, nodes=2)
    (blamed, _) = cluster.wait_for_job(number, "FAILED").nodes
    target = f"slurm-{number}"
    plan = [
        step(StepKind.EXCLUDE, target, 1, attempt=1, node=blamed),
        step(StepKind.CHOOSE_CHECKPOINT, target, 2, attempt=1, checkpoint="/shared/step_10", step=10),
        step(StepKind.REQUEUE, target, 3, attempt=1, next_attempt=2),
    ]

    before = [Slurm().state_of(each) for each in plan]
    outcomes = [perform(each) for each in plan]
    # Far below the 121 seconds that Slurm itself would wait.
    job = cluster.wait_for_job(number, "RUNNING", seconds=30)

    assert before == [WorldState.NOT_DONE] * 3
    assert [(outcome.state, outcome.detail) for outcome in outcomes] == [
        (StepState.DONE, f"{blamed} is excluded"),
        (StepState.DONE, "/shared/step_10"),
        (StepState.DONE, "put back into the queue, to start in 2 seconds"),
    ]
    assert blamed not in job.nodes
    assert job.restarts == 1
    assert [Slurm().state_of(each) for each in (plan[0], plan[2])] == [WorldState.DONE] * 2


def test_node_is_taken_back_and_what_an_operator_excluded_stays(cluster: SlurmCluster):
    number = cluster.submit("exit 1", "--exclude=node4", nodes=2)
    (ours, _) = cluster.wait_for_job(number, "FAILED").nodes
    target = f"slurm-{number}"
    theirs, exclude = (step(StepKind.EXCLUDE, target, 1, attempt=1, node=name) for name in ("node4", ours))
    readmit = step(StepKind.READMIT, target, 3, attempt=1, node=ours)

    found, done = perform(theirs), perform(exclude)
    excluded = cluster.job(number).excluded
    before, outcome = Slurm().state_of(readmit), perform(readmit)

    assert found.facts == {"was_excluded": True}
    assert done.facts == {}
    assert set(excluded) == {"node4", ours}
    assert (before, outcome.state, outcome.detail) == (
        WorldState.NOT_DONE,
        StepState.DONE,
        f"{ours} may be used again",
    )
    assert cluster.job(number).excluded == ("node4",)
    assert Slurm().state_of(readmit) is WorldState.DONE
    assert perform(readmit).detail == f"{ours} is not excluded"


def test_last_node_of_a_list_is_taken_back_and_a_failed_job_is_put_into_the_queue_for_it(cluster: SlurmCluster):
    number = cluster.submit("exit 1", "--exclude=node4")
    cluster.wait_for_job(number, "FAILED")

    outcome = perform(step(StepKind.READMIT, f"slurm-{number}", attempt=1, node="node4"))

    assert outcome.state is StepState.DONE
    assert (cluster.job(number).excluded, cluster.job(number).restarts) == ((), 1)


def test_steps_carried_out_twice_are_done_once(cluster: SlurmCluster):
    number = cluster.submit('test -z "$SLURM_RESTART_COUNT" && exit 1\n' + LONG)
    cluster.wait_for_job(number, "FAILED")
    requeue = step(StepKind.REQUEUE, f"slurm-{number}", attempt=1, next_attempt=2)
    drain = step(StepKind.DRAIN, f"slurm-{number}", 2, node="node4", cause="faulty_gpu", incident="inc-ab12")

    first, again = perform(requeue), perform(requeue)
    cluster.wait_for_job(number, "RUNNING")
    late = perform(requeue)
    drained, drained_again = perform(drain), perform(drain)

    assert [each.state for each in (first, again, late, drained, drained_again)] == [StepState.DONE] * 5
    assert late.detail == "attempt 2 runs already"
    assert cluster.job(number).restarts == 1
    assert cluster.node("node4").reason == f"[clusterwatch] faulty_gpu inc=inc-ab12 {drain.id}"


def test_job_put_back_again_and_again_starts_each_time(cluster: SlurmCluster):
    """A node takes no new attempt in the second in which it ended the last one."""
    number = cluster.submit(LONG)
    cluster.wait_for_job(number, "RUNNING")

    for attempt in range(1, 6):
        perform(step(StepKind.REQUEUE, f"slurm-{number}", attempt=attempt))
        # Long before anybody would start it by hand, and it must not be FAILED.
        wait_until(lambda: cluster.job(number).state in {"RUNNING", "FAILED"}, "the next attempt", seconds=30)

    assert (cluster.job(number).state, cluster.job(number).restarts) == ("RUNNING", 5)


def test_hung_job_is_held_and_its_processes_end_before_it_starts_elsewhere(cluster: SlurmCluster):
    watch = Watch()
    number = cluster.submit(LONG, nodes=2)
    (hung, _) = cluster.wait_for_job(number, "RUNNING").nodes
    target = f"slurm-{number}"
    watch.look()

    held = perform(step(StepKind.HOLD, target, 1, attempt=1))
    between = cluster.job(number)
    seen = watch.look().readings
    excluded = perform(step(StepKind.EXCLUDE, target, 2, attempt=1, node=hung))
    requeued = perform(step(StepKind.REQUEUE, target, 3, attempt=1))
    job = cluster.wait_for_job(number, "RUNNING", seconds=30)

    assert [each.state for each in (held, excluded, requeued)] == [StepState.DONE] * 3
    assert (between.state, between.is_held, between.restarts) == ("PENDING", True, 1)
    # What we did ourselves is no evidence.
    assert told(seen) == [kinds.ATTEMPT_ENDED]
    assert hung not in job.nodes


def test_hold_of_an_operator_is_left_alone(cluster: SlurmCluster):
    number = cluster.submit(LONG)
    cluster.wait_for_job(number, "RUNNING")
    cluster.run("scontrol", "requeuehold", str(number))
    cluster.wait_for_job(number, "PENDING")

    outcome = perform(step(StepKind.REQUEUE, f"slurm-{number}", attempt=1))

    assert outcome.state is StepState.REFUSED
    assert f"scontrol release {number}" in outcome.detail
    assert cluster.job(number).is_held


def test_step_for_an_attempt_that_is_over_is_refused(cluster: SlurmCluster):
    number = cluster.submit(LONG)
    cluster.wait_for_job(number, "RUNNING")
    cluster.run("scontrol", "requeue", str(number))
    cluster.wait_for_job(number, "PENDING")
    cluster.run("scontrol", "update", f"JobId={number}", "StartTime=now+2")
    cluster.wait_for_job(number, "RUNNING")
    target = f"slurm-{number}"

    outcomes = [
        perform(step(kind, target, attempt=1, **more))
        for kind, more in ((StepKind.HOLD, {}), (StepKind.EXCLUDE, {"node": "node1"}), (StepKind.STOP, {}))
    ]

    assert {(each.state, each.detail) for each in outcomes} == {(StepState.REFUSED, "attempt 2 is RUNNING by now")}


def test_job_that_is_given_up_is_cancelled(cluster: SlurmCluster):
    watch = Watch()
    number = cluster.submit(LONG)
    cluster.wait_for_job(number, "RUNNING")
    watch.look()
    stop = step(StepKind.STOP, f"slurm-{number}", attempt=1)

    outcome = perform(stop)
    cluster.wait_for_job(number, "CANCELLED")

    assert outcome.state is StepState.DONE
    assert Slurm().state_of(stop) is WorldState.DONE
    assert told(watch.until(kinds.JOB_ENDED)) == [kinds.ATTEMPT_ENDED, kinds.JOB_ENDED]


def test_only_drains_of_clusterwatch_are_undone(cluster: SlurmCluster):
    cluster.run("scontrol", "update", "NodeName=node3", "State=DRAIN", "Reason=ask carol")
    perform(step(StepKind.DRAIN, "slurm-1", node="node4"))

    theirs = perform(step(StepKind.RELEASE, "slurm-1", 2, node="node3"))
    ours = perform(step(StepKind.RELEASE, "slurm-1", 3, node="node4"))
    not_drained_again = perform(step(StepKind.DRAIN, "slurm-1", 4, node="node3"))

    assert (theirs.state, theirs.detail) == (
        StepState.REFUSED,
        "ClusterWatch did not drain node3: IDLE, ask carol (root)",
    )
    assert ours.state is StepState.DONE
    assert not cluster.node("node4").is_drained
    assert (not_drained_again.state, cluster.node("node3").reason) == (StepState.DONE, "ask carol")


def test_node_is_rebooted_once_it_is_free_and_given_back(cluster: SlurmCluster):
    reboot = step(StepKind.REBOOT, "slurm-1", node="node4", cause="gpu_gsp", incident="inc-ab12")

    outcome, again = perform(reboot), perform(reboot)

    assert (outcome.state, Slurm().state_of(reboot), again.state) == (StepState.DONE, WorldState.DONE, StepState.DONE)
    assert "is being rebooted" in again.detail
    # The daemon says that the node was booted, as it does after a reboot.
    wait_until(lambda: "REBOOT_ISSUED" in cluster.node("node4").flags, "the reboot to be issued")
    cluster.kill_slurmd("node4")
    cluster.start_slurmd("node4", "-b")
    cluster.wait_for_node("node4", lambda node: node.state == "IDLE" and not node.flags)


def test_every_step_of_a_plan_is_found_done_after_a_kill_at_any_moment(cluster: SlurmCluster):
    number = cluster.submit('test -z "$SLURM_RESTART_COUNT" && exit 1\n' + LONG, nodes=2)
    (blamed, _) = cluster.wait_for_job(number, "FAILED").nodes
    target = f"slurm-{number}"
    plan = [
        step(StepKind.EXCLUDE, target, 1, attempt=1, node=blamed),
        step(StepKind.REQUEUE, target, 2, attempt=1, next_attempt=2),
        step(StepKind.DRAIN, target, 3, node=blamed, cause="faulty_gpu", incident="inc-ab12"),
    ]

    for each in plan:
        _performed_by_a_process_that_is_killed(each)
        # What the responder does after a restart: ask first, carry out only what was not done.
        if Slurm().state_of(each) is WorldState.NOT_DONE:
            assert perform(each).state is StepState.DONE
        assert Slurm().state_of(each) is WorldState.DONE

    job = cluster.wait_for_job(number, "RUNNING", seconds=30)
    assert (job.restarts, blamed in job.nodes) == (1, False)
    assert cluster.node(blamed).reason.endswith(plan[2].id)


def _performed_by_a_process_that_is_killed(what: Step) -> None:
    """Carry out *what* in a process that dies by SIGKILL the moment it would tell of it."""
    script = (
        "import os, sys, pickle\n"
        "from clusterwatch.act.slurm import Slurm\n"
        "step = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "Slurm().perform(step, step.not_after)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", script, pickle.dumps(what).hex()]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_user_without_rights_is_told_what_is_missing_and_nothing_changes(cluster: SlurmCluster):
    number = cluster.submit("exit 1")
    cluster.wait_for_job(number, "FAILED")
    as_nobody = Slurm(SlurmOptions(command_prefix=("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")))

    with pytest.raises(ActionError, match="may not do that: run as SlurmUser or give it sudo"):
        perform(step(StepKind.REQUEUE, f"slurm-{number}", attempt=1), as_nobody)
    with pytest.raises(ActionError, match="may not do that: run as SlurmUser or give it sudo"):
        perform(step(StepKind.DRAIN, f"slurm-{number}", node="node1"), as_nobody)

    assert cluster.job(number).restarts == 0
    assert not cluster.node("node1").is_drained


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (step(StepKind.REQUEUE, "slurm-99999", attempt=1), "Slurm knows no (such )?job"),
        (step(StepKind.DRAIN, "slurm-1", node="node99"), "no node|not found"),
    ],
)
def test_what_slurm_does_not_know_is_said(cluster: SlurmCluster, what: Step, words: str):
    with pytest.raises(ActionError, match=words):
        perform(what)

    assert Slurm().state_of(what) is WorldState.CANNOT_TELL


def test_job_that_may_not_be_requeued_says_how_it_may(cluster: SlurmCluster):
    number = cluster.submit("exit 1", "--no-requeue")
    cluster.wait_for_job(number, "FAILED")

    with pytest.raises(ActionError, match="Requeue=1"):
        perform(step(StepKind.REQUEUE, f"slurm-{number}", attempt=1))


class Scontrol:
    """A scontrol that stands before the real one and misbehaves on demand."""

    def __init__(self, folder: Path, real: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._real = real
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        self.does("")

    def does(self, script: str) -> None:
        """Run *script* first; what it does not end goes to the real program."""
        path = self._folder / "scontrol"
        path.write_text(f'#!/bin/sh\n{script}\nexec {self._real} "$@"\n')
        path.chmod(0o755)


@pytest.fixture
def scontrol(cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scontrol:
    return Scontrol(tmp_path, "/usr/bin/scontrol", monkeypatch)


def test_requeue_whose_command_hangs_before_it_did_anything_is_unknown(cluster: SlurmCluster, scontrol: Scontrol):
    number = cluster.submit("exit 1")
    cluster.wait_for_job(number, "FAILED")
    scontrol.does('case "$1" in requeue) exec sleep 600;; esac')

    outcome = perform(
        step(StepKind.REQUEUE, f"slurm-{number}", attempt=1), Slurm(SlurmOptions(answer_within_seconds=1))
    )

    assert outcome.state is StepState.UNKNOWN
    assert "a person must look" in outcome.detail
    assert cluster.job(number).restarts == 0


def test_drain_whose_command_hangs_after_it_did_its_work_is_found_done(cluster: SlurmCluster, scontrol: Scontrol):
    scontrol.does('case "$1" in update) /usr/bin/scontrol "$@"; exec sleep 600;; esac')
    drain = step(StepKind.DRAIN, "slurm-1", node="node2")

    outcome = perform(drain, Slurm(SlurmOptions(answer_within_seconds=1)))

    assert outcome.state is StepState.DONE
    assert cluster.node("node2").reason.endswith(drain.id)


@pytest.mark.parametrize("garbage", ["echo 'JobId=7 JobName=x'", "head -c 2000 /dev/urandom", "printf ''", "echo '{'"])
def test_answer_that_is_garbage_moves_nothing(cluster: SlurmCluster, scontrol: Scontrol, garbage: str):
    number = cluster.submit(LONG)
    cluster.wait_for_job(number, "RUNNING")
    watch = Watch()
    watch.look()
    before = watch.position
    scontrol.does(f"{garbage}; exit 0")
    requeue = step(StepKind.REQUEUE, f"slurm-{number}", attempt=1)

    with pytest.raises(ActionError):
        perform(requeue)
    asked = Slurm().state_of(requeue)
    with pytest.raises(SourceError):
        watch.look()
    scontrol.does("")

    assert asked is WorldState.CANNOT_TELL
    assert watch.position == before
    assert cluster.job(number).state == "RUNNING"


def test_slow_slurm_is_a_failure_of_the_collector_in_time(cluster: SlurmCluster, scontrol: Scontrol):
    watch = Watch()
    scontrol.does("exec sleep 600")
    clock = SystemClock()
    began = clock.monotonic()

    with pytest.raises(SourceError, match="did not answer in 1 s"):
        watch.look(answer_within_seconds=1)

    assert clock.monotonic() - began < 20


def test_job_that_slurm_has_forgotten_is_over_only_after_a_while(cluster: SlurmCluster):
    watch = Watch()
    watch.look()
    number = cluster.submit("exit 1")
    cluster.wait_for_job(number, "FAILED")
    watch.look()
    # Of a job that no one knows, nothing tells it from one that Slurm has forgotten.
    known = {**watch.position, "jobs": {"99999": watch.position["jobs"][str(number)]}}  # type: ignore[index]
    watch.position = known

    at_first = watch.look().readings
    watch.later = timedelta(minutes=1)
    later = watch.look().readings

    assert [each for each in at_first if each.job == "slurm-99999"] == []
    (over,) = (each for each in later if each.job == "slurm-99999")
    assert (over.subject, over.fields["state"]) == (kinds.JOB_ENDED, "stopped")
    assert over.fields["reason"] == "it ended FAILED, and Slurm has forgotten it"


def test_perform_is_fast(cluster: SlurmCluster, record_property):
    """From perform() to the end of the last scontrol: what is asked of the whole path is below one second."""
    clock, took = SystemClock(), []
    for _ in range(3):
        number = cluster.submit('test -z "$SLURM_RESTART_COUNT" && exit 1\n' + LONG)
        cluster.wait_for_job(number, "FAILED")
        began = clock.monotonic()
        perform(step(StepKind.REQUEUE, f"slurm-{number}", attempt=1))
        took.append(clock.monotonic() - began)
        cluster.run("scancel", str(number))

    record_property("requeue_seconds", took)
    assert min(took) < 1.0
