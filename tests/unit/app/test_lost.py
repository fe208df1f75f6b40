"""Notes of supervisors, and the ends told for those that were killed."""

import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from clusterwatch.app.lost import NOTE, LostSupervisors, leave, note_of_this_process, remove
from clusterwatch.model import JobState, kinds
from clusterwatch.seams import Site
from clusterwatch.testing import NOON

SITE = Site("node001")


@pytest.fixture
def gone():
    """The note of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = psutil.Process(process.pid).create_time()
        process.communicate()
    return replace(note_of_this_process("job-1", "node001"), pid=process.pid, started=started)


def test_end_of_a_job_whose_supervisor_is_gone_is_told_once_and_its_note_taken_back(tmp_path, gone):
    leave(gone, tmp_path / "job-1")
    collector = LostSupervisors(tmp_path)

    first = collector.collect(SITE, {}, NOON)
    is_noted_until_recorded = (tmp_path / "job-1" / NOTE).exists()
    second = collector.collect(SITE, first.position, NOON)

    (told,) = first.readings
    assert (told.subject, told.job, told.fields["state"]) == (kinds.JOB_ENDED, "job-1", "stopped")
    assert told.fields["reason"] == "its supervisor was killed; its processes may still run"
    assert first.more
    assert is_noted_until_recorded
    assert second.readings == ()
    assert not (tmp_path / "job-1" / NOTE).exists()


def test_end_that_a_supervisor_could_not_record_is_told_as_it_was(tmp_path, gone):
    leave(replace(gone, state=JobState.COMPLETED, reason="attempt 2 ended with exit code 0"), tmp_path / "job-1")

    (told,) = LostSupervisors(tmp_path).collect(SITE, {}, NOON).readings

    assert (told.fields["state"], told.fields["reason"]) == ("completed", "attempt 2 ended with exit code 0")


def test_supervisor_that_runs_is_left_alone(tmp_path):
    leave(note_of_this_process("job-1", "node001"), tmp_path / "job-1")

    assert LostSupervisors(tmp_path).collect(SITE, {}, NOON).readings == ()


def test_another_process_with_the_same_number_is_not_the_supervisor(tmp_path):
    mine = note_of_this_process("job-1", "node001")
    leave(replace(mine, started=mine.started - 3600), tmp_path / "job-1")

    assert len(LostSupervisors(tmp_path).collect(SITE, {}, NOON).readings) == 1


def test_supervisor_on_another_node_is_for_that_node_to_judge(tmp_path, gone):
    leave(replace(gone, node="node002"), tmp_path / "job-1")

    assert LostSupervisors(tmp_path).collect(SITE, {}, NOON).readings == ()


def test_note_that_cannot_be_read_is_passed_over(tmp_path, gone):
    (tmp_path / "job-0").mkdir()
    (tmp_path / "job-0" / NOTE).write_text('{"job": ')
    leave(gone, tmp_path / "job-1")

    assert [each.job for each in LostSupervisors(tmp_path).collect(SITE, {}, NOON).readings] == ["job-1"]


def test_note_taken_back_is_gone_and_may_be_taken_back_again(tmp_path, gone):
    leave(gone, tmp_path)

    remove(tmp_path)
    remove(tmp_path)

    assert list(tmp_path.iterdir()) == []
