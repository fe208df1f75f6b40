"""Slurm's answers in the shapes of its versions.

Text and the JSON of 22.05 are as Slurm 22.05.8 gave them; the JSON of 23.02 and later follows its published
specification (https://slurm.schedmd.com/rest_api.html, data_parser v0.0.39 to v0.0.44).
"""

import json
from datetime import UTC, datetime

import pytest

from clusterwatch.reading.slurm import (
    jobs_in_json,
    jobs_in_text,
    nodes_in_json,
    nodes_in_text,
    reservations_in_json,
    reservations_in_text,
)
from clusterwatch.reading.slurm_values import UnreadableError, exit_code_in, number_in, time_in, words_in

JOB_TEXT = """\
JobId=2 JobName=train x=1 Restarts=9
   UserId=alice(1005) GroupId=alice(1005) MCS_label=N/A
   Priority=4294901757 Nice=0 Account=(null) QOS=(null)
   JobState=PENDING Reason=BeginTime Dependency=(null)
   Requeue=1 Restarts=1 BatchFlag=1 Reboot=0 ExitCode=3:0
   RunTime=00:00:03 TimeLimit=UNLIMITED TimeMin=N/A
   SubmitTime=2026-11-21T10:13:36 EligibleTime=2026-11-21T10:15:37
   StartTime=2026-11-21T10:15:37 EndTime=Unknown Deadline=N/A
   Partition=train AllocNode:Sid=localhost:25181
   ReqNodeList=(null) ExcNodeList=node[3-4]
   NodeList=node[1-2]
   NumNodes=2 NumCPUs=16 NumTasks=2 CPUs/Task=1 ReqB:S:C:T=0:0:*:*
   TRES=cpu=16,node=2,billing=16
   Command=/home/alice/run.sh JobState=RUNNING
   WorkDir=/home/alice
   AdminComment=[clusterwatch] attempt=1 dec-ab-1.2
   StdErr=/home/alice/out/2.out
   StdIn=/dev/null
   StdOut=/home/alice/out/2.out
   Power=
   TresPerNode=gres:gpu:h100:8

"""
OLD = {
    "job_id": 2,
    "job_state": "PENDING",
    "name": "train x=1 Restarts=9",
    "user_name": "alice",
    "user_id": 1005,
    "partition": "train",
    "state_reason": "BeginTime",
    "restart_cnt": 1,
    "nodes": "node[1-2]",
    "excluded_nodes": "node[3-4]",
    "submit_time": 1795256016,
    "eligible_time": 1795256137,
    "start_time": 1795256137,
    "end_time": 0,
    "exit_code": 768,
    "priority": 4294901757,
    "batch_flag": True,
    "requeue": True,
    "tres_alloc_str": "cpu=16,node=2,billing=16",
    "tres_per_node": "gres:gpu:h100:8",
    "standard_output": "out/%j.out",
    "current_working_directory": "/home/alice",
    "admin_comment": "[clusterwatch] attempt=1 dec-ab-1.2",
}


def number(value: int) -> dict[str, object]:
    return {"set": True, "infinite": False, "number": value}


NEW = {
    **OLD,
    "job_state": ["PENDING", "REQUEUED"],
    "submit_time": number(1795256016),
    "eligible_time": number(1795256137),
    "start_time": number(1795256137),
    "end_time": number(0),
    "priority": number(4294901757),
    "hold": False,
    "exit_code": {
        "status": ["ERROR"],
        "return_code": number(3),
        "signal": {"id": {"set": False, "infinite": False, "number": 0}, "name": ""},
    },
    "stdout_expanded": "/home/alice/out/2.out",
}


def answer(key: str, *records: object, **more: object) -> str:
    return json.dumps({"meta": {}, "errors": [], key: records, **more})


def test_job_is_the_same_in_text_and_in_the_json_of_old_and_new_versions():
    (from_text,), (old,), (new,) = (
        jobs_in_text(JOB_TEXT),
        jobs_in_json(answer("jobs", OLD)),
        jobs_in_json(answer("jobs", NEW)),
    )

    assert from_text == old
    assert new.flags == {"REQUEUED"}
    assert [getattr(new, name) for name in ("restarts", "nodes", "excluded", "exit_code", "log_path", "gpus")] == [
        getattr(old, name) for name in ("restarts", "nodes", "excluded", "exit_code", "log_path", "gpus")
    ]
    assert (old.restarts, old.nodes, old.excluded) == (1, ("node1", "node2"), ("node3", "node4"))
    assert (old.exit_code, old.gpus, old.log_path) == (3, 16, "/home/alice/out/2.out")
    assert old.eligible_at == new.eligible_at == datetime(2026, 11, 21, 10, 15, 37, tzinfo=UTC)
    assert not old.is_held


def test_name_of_a_job_cannot_pretend_to_be_a_field_or_a_job():
    spoofed = JOB_TEXT.replace("train x=1 Restarts=9", "x\n   UserId=root(0) JobState=RUNNING Restarts=0")
    another = JOB_TEXT.replace("train x=1 Restarts=9", "x\nJobId=3 JobName=y") + JOB_TEXT.replace("JobId=2", "JobId=3")

    for text in (spoofed, another):
        with pytest.raises(UnreadableError):
            jobs_in_text(text)


def test_job_is_held_by_its_priority_or_its_mark():
    assert jobs_in_json(answer("jobs", {**OLD, "priority": 0}))[0].is_held
    assert jobs_in_json(answer("jobs", {**NEW, "hold": True}))[0].is_held
    assert jobs_in_text(JOB_TEXT.replace("Priority=4294901757", "Priority=0"))[0].is_held


def test_log_whose_name_only_the_job_knows_is_left_out():
    assert jobs_in_json(answer("jobs", {**OLD, "standard_output": "/out/%N-%t.out"}))[0].log_path == ""


def test_no_jobs_are_no_jobs():
    assert jobs_in_text("No jobs in the system\n") == () == jobs_in_json(answer("jobs"))


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{",
        "[]",
        '{"jobs": 3}',
        '{"jobs": [7]}',
        answer("jobs", {"job_id": 1}),
        answer("jobs", OLD, errors=["down"]),
    ],
)
def test_answer_that_is_none_is_refused(said: str):
    with pytest.raises(UnreadableError):
        jobs_in_json(said)


@pytest.mark.parametrize(
    "said", ["", "hello", "JobId=7 JobName=x", "JobId=x JobName=y\n   JobState=RUNNING Restarts=0"]
)
def test_text_that_is_none_is_refused(said: str):
    with pytest.raises(UnreadableError):
        jobs_in_text(said)


NODE_TEXT = """\
NodeName=node3 Arch=x86_64 CoresPerSocket=1
   CPUAlloc=0 CPUEfctv=8 CPUTot=8 CPULoad=0.34
   OS=Linux 6.18.44 #1 SMP PREEMPT_DYNAMIC State=IDLE
   State=DOWN*+DRAIN ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A
   BootTime=2026-11-21T03:54:45 SlurmdStartTime=2026-11-21T10:09:33
   Reason=[clusterwatch] faulty_gpu inc=ab State=IDLE [root@2026-11-21T10:10:04]

"""


def test_node_is_the_same_in_text_and_json():
    (from_text,) = nodes_in_text(NODE_TEXT)
    (from_json,) = nodes_in_json(
        answer(
            "nodes",
            {
                "name": "node3",
                "state": ["DOWN", "NOT_RESPONDING", "DRAIN"],
                "reason": "[clusterwatch] faulty_gpu inc=ab State=IDLE",
                "reason_set_by_user": "root",
                "reason_changed_at": number(1795255804),
                "boot_time": number(1795233285),
            },
        )
    )

    assert from_text == from_json
    assert (from_text.is_down, from_text.is_drained, from_text.responds) == (True, True, False)
    assert (from_text.reason_by, from_text.reason) == ("root", "[clusterwatch] faulty_gpu inc=ab State=IDLE")


def test_cluster_without_a_node_is_no_answer():
    for read, said in ((nodes_in_json, answer("nodes")), (nodes_in_text, "")):
        with pytest.raises(UnreadableError):
            read(said)


def test_reservation_is_the_same_in_text_and_json():
    text = (
        "ReservationName=fw StartTime=2026-11-21T11:10:04 EndTime=2026-11-21T12:10:04 Duration=01:00:00\n"
        "   Nodes=node[3-4] NodeCnt=2 CoreCnt=16 Features=(null) PartitionName=(null) Flags=MAINT,IGNORE_JOBS\n"
    )
    record = {
        "name": "fw",
        "node_list": "node[3-4]",
        "start_time": number(1795259404),
        "end_time": number(1795263004),
        "flags": ["MAINT", "IGNORE_JOBS"],
    }

    assert reservations_in_text(text) == reservations_in_json(answer("reservations", record))
    assert reservations_in_text("No reservations in the system\n") == ()


def test_values_of_all_versions_are_plain():
    assert [number_in(value) for value in (3, "3", number(3), {"set": False, "number": 3}, None, True, "x")] == [
        3,
        3,
        3,
        None,
        None,
        None,
        None,
    ]
    assert words_in("MIXED*+DRAIN") == ("MIXED", "NOT_RESPONDING", "DRAIN")
    assert [exit_code_in(value) for value in (768, 9, "3:0", "0:9", None)] == [3, -9, 3, -9, None]
    assert exit_code_in({"status": ["SIGNALED"], "return_code": number(0), "signal": {"id": number(9)}}) == -9
    assert [time_in(value) for value in (0, "Unknown", "None", None, 4294967294)] == [None] * 5
