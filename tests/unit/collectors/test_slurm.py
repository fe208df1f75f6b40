"""The collector over stand-ins for squeue and scontrol; tests/integration/test_slurm.py has a real Slurm."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clusterwatch.errors import ConfigError, SourceError
from clusterwatch.model import Collected, kinds
from clusterwatch.seams import Site
from collectors.slurm import NO_SLURM, NOT_SET_UP, SlurmCollector

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Queue:
    """A Slurm of 23.11 or later whose answers a test writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name, answers in {
            "squeue": f"cat {folder}/jobs",
            "scontrol": f'case "$*" in *" node "*) cat {folder}/nodes;; *) cat {folder}/reservations;; esac',
        }.items():
            (folder / name).write_text(f"#!/bin/sh\n{answers}\n")
            (folder / name).chmod(0o755)
        self.collector = SlurmCollector()
        self.position: dict[str, object] = {}
        self.now = NOON
        self.holds()

    def holds(self, *jobs: dict[str, object], nodes: tuple[dict[str, object], ...] = ()) -> None:
        known = nodes or ({"name": "node1", "state": ["IDLE"]},)
        for key, records in {"jobs": jobs, "nodes": known, "reservations": ()}.items():
            (self._folder / key).write_text(json.dumps({"meta": {}, "errors": [], key: records}))

    def look(self, seconds: float = 5, **settings: object) -> Collected:
        self.now += timedelta(seconds=seconds)
        collected = self.collector.collect(
            Site("head", "boot-1", {"users": "alice", **settings}), self.position, self.now
        )
        # As it comes back from the database.
        self.position = json.loads(json.dumps(collected.position))
        return collected

    def told(self, seconds: float = 5) -> list[str]:
        return [f"{each.subject} {each.attempt or ''}".strip() for each in self.look(seconds).readings if each.job]


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    queue = Queue(tmp_path)
    queue.look()
    return queue


def job(state: str = "RUNNING", restarts: int = 0, **more: object) -> dict[str, object]:
    started = int(NOON.timestamp())
    return {
        "job_id": 7,
        "name": "pretrain",
        "user_name": "alice",
        "user_id": os.getuid(),
        "partition": "train",
        "job_state": [state],
        "restart_cnt": restarts,
        "nodes": "node[1-2]",
        "submit_time": {"set": True, "infinite": False, "number": started},
        "start_time": {"set": True, "infinite": False, "number": started},
        "batch_flag": True,
        **more,
    }


def test_restarts_between_two_looks_lose_no_end(queue: Queue):
    queue.holds(job())
    first = queue.told()
    queue.holds(job(restarts=3))

    assert first == [kinds.JOB_STARTED, f"{kinds.ATTEMPT_STARTED} 1"]
    assert queue.told() == ["line 1", f"{kinds.ATTEMPT_ENDED} 1", f"{kinds.ATTEMPT_STARTED} 4"]


def test_end_that_clusterwatch_made_is_no_evidence(queue: Queue):
    queue.holds(job())
    queue.look()
    queue.holds(job("PENDING", 1, admin_comment="[clusterwatch] attempt=1 dec-ab-1.1", nodes=""))

    assert queue.told() == [f"{kinds.ATTEMPT_ENDED} 1"]


def test_failed_job_that_is_put_back_is_told_of_anew_because_it_may_have_been_given_up(queue: Queue):
    queue.holds(job())
    queue.look()
    queue.holds(job("FAILED"))
    queue.look()
    queue.holds(job("PENDING", restarts=1, nodes=""))
    put_back = queue.told()
    queue.holds(job(restarts=1))

    assert put_back == [kinds.JOB_STARTED]
    assert queue.told() == [f"{kinds.ATTEMPT_STARTED} 2"]


def test_job_that_ended_before_anybody_looked_is_not_told_of(queue: Queue):
    queue.position = {}
    queue.holds(job("FAILED"))

    assert [queue.told(), queue.told()] == [[], []]


def test_job_that_is_put_back_after_its_end_is_told_of_anew(queue: Queue):
    queue.holds(job("COMPLETED"))
    queue.look()
    queue.look()
    queue.holds(job(restarts=1))

    assert queue.told() == [kinds.JOB_STARTED, f"{kinds.ATTEMPT_STARTED} 2"]


def test_answer_that_knows_less_than_before_is_not_believed(queue: Queue):
    queue.holds(job(restarts=2))
    queue.look()
    queue.holds(job("PENDING", restarts=1))

    assert queue.told() == []


def test_job_that_is_missing_once_is_not_gone(queue: Queue):
    queue.holds(job())
    queue.look()
    queue.holds()
    missing = queue.told()
    queue.holds(job())

    assert [missing, queue.told(40)] == [[], []]


def test_job_that_stays_missing_is_over(queue: Queue):
    queue.holds(job())
    queue.look()
    queue.holds()

    assert [queue.told(), queue.told(20), queue.told(20), queue.told()] == [
        [],
        [],
        [f"{kinds.ATTEMPT_ENDED} 1", kinds.JOB_ENDED],
        [],
    ]


def test_completed_job_is_over_once_its_last_words_could_be_read(queue: Queue):
    queue.holds(job())
    queue.look(logs="/logs/{id}")
    (running,) = queue.collector.watched()
    queue.holds(job("COMPLETED"))
    ended, watched = queue.look(logs="/logs/{id}").readings, queue.collector.watched()
    over, watched_after = queue.look(logs="/logs/{id}").readings, queue.collector.watched()

    assert [each.subject for each in (*ended, *over)] == [kinds.ATTEMPT_ENDED, kinds.JOB_ENDED]
    assert not running.is_down
    assert [(each.attempt, each.log_paths, each.is_down) for each in watched] == [(1, ("/logs/7",), True)]
    assert watched_after == ()


def test_ranks_are_placed_in_blocks_in_the_order_of_nodes(queue: Queue):
    queue.holds(job(tres_alloc_str="cpu=8,gres/gpu=4,gres/gpu:h100=4"))

    placed = [each for each in queue.look().readings if each.subject == kinds.RANK_PLACED]

    assert [(each.rank, each.node, each.fields["world_size"]) for each in placed] == [
        (0, "node1", 4),
        (1, "node1", 4),
        (2, "node2", 4),
        (3, "node2", 4),
    ]


@pytest.mark.parametrize("answer", ["", "{", '{"jobs": []', '{"errors": ["timed out"], "jobs": []}', '{"nodes": []}'])
def test_answer_that_is_none_changes_nothing(queue: Queue, tmp_path: Path, answer: str):
    queue.holds(job())
    queue.look()
    (tmp_path / "jobs").write_text(answer)

    with pytest.raises(SourceError, match="nothing follows from it"):
        queue.look()
    queue.holds(job())

    assert queue.told() == []


def test_log_of_another_user_is_not_read(queue: Queue, tmp_path: Path):
    own, others = tmp_path / "own.log", tmp_path / "others.log"
    own.touch()
    others.touch()

    def logs_of(user_id: int, path: Path) -> tuple[str, ...]:
        queue.holds(job(user_id=user_id, standard_output=str(path)))
        queue.look()
        (watched,) = queue.collector.watched()
        return watched.log_paths

    assert logs_of(os.getuid(), own) == (str(own),)
    assert logs_of(os.getuid() + 1, others) == ()
    assert logs_of(os.getuid(), tmp_path / "not there yet") == ()


def test_paths_of_the_settings_hold_the_number_of_the_job(queue: Queue):
    queue.holds(job())

    queue.look(logs="/logs/{id}/*.log", checkpoint_dir="/ckpt/{id}")

    (watched,) = queue.collector.watched()
    assert (watched.log_paths, watched.checkpoint_dir) == (("/logs/7/*.log",), "/ckpt/7")


@pytest.mark.parametrize(
    "settings", [{"logs": "relative/{id}"}, {"checkpoint_dir": "/ckpt/{name}"}, {"userz": "alice"}, {"users": 7}]
)
def test_wrong_settings_are_mistakes(queue: Queue, settings: dict[str, object]):
    with pytest.raises(ConfigError):
        queue.look(**settings)


def test_without_a_job_to_follow_slurm_is_not_asked(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "squeue").write_text("#!/bin/sh\ntouch asked\n")

    here = SlurmCollector().collect(Site("head"), {}, NOON)
    monkeypatch.setenv("PATH", "/nowhere")
    elsewhere = SlurmCollector().collect(Site("head"), {}, NOON)

    assert (here.condition, elsewhere.condition) == (NOT_SET_UP, NO_SLURM)
    assert not (tmp_path / "asked").exists()


def test_host_without_slurm_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")

    collected = SlurmCollector().collect(Site("head", "", {"names": "*", "command_prefix": ""}), {}, NOON)

    assert collected.condition == "no squeue here: install Slurm's commands to follow its jobs"


def test_node_that_was_booted_is_told_once(queue: Queue):
    booted = int(NOON.timestamp()) - 86_400

    def node(boot: int) -> tuple[dict[str, object], ...]:
        return ({"name": "node1", "state": ["IDLE"], "boot_time": {"set": True, "infinite": False, "number": boot}},)

    queue.holds(nodes=node(booted))
    queue.look()
    queue.holds(nodes=node(booted + 2))
    a_moment = queue.look().readings
    queue.holds(nodes=node(booted + 86_000))

    assert a_moment == ()
    assert [each.subject for each in queue.look().readings] == [kinds.REBOOTED]
    assert queue.look().readings == ()
