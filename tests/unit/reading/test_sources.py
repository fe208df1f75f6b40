"""What a line of an unprepared log is: whose, where, when, and what it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.model import Trust
from clusterwatch.reading.sources import JOB_LOG, KERNEL_LOG, RankSeen, node_in_path, rank_in_path, rank_seen, sourced

NOON = datetime(2026, 1, 20, 12, tzinfo=UTC)
XID = "NVRM: Xid (PCI:0000:86:00): 79, pid=1234, GPU has fallen off the bus."


@pytest.mark.parametrize(
    "line",
    [
        XID,
        f"[1005433.812628] {XID}",
        f"[  433.812628][ T1234] {XID}",
        f"<4>[  433.812628] {XID}",
        f"<4>{XID}",
        f"[Mon Jan 16 11:42:38 2026] {XID}",
        f"kern  :err   : [  433.812628] {XID}",
        f"kern  :err   : 2026-01-16T11:42:38,812628+00:00 {XID}",
        f"Jan 16 11:42:38 kernel: [1005433.812628] {XID}",
        f"Jan 16 11:42:38 node1 kernel: [1005433.812628] {XID}",
        f"Jan 16 11:42:38 node1  kernel: [1005433.812628] {XID}",
        f"Jan 16 11:42:38  kernel: {XID}",
        f"2026-01-16T11:42:38.812628+00:00 node1 kernel: {XID}",
        f"kernel: [222678.486780] {XID}",
        f"3,1234,1005433812628,-;{XID}",
        f"node1: [1005433.812628] {XID}",
        f"2026-01-16T11:42:38.123456789Z stdout F Jan 16 11:42:38 node1 kernel: {XID}",
        json.dumps({"MESSAGE": XID[6:], "SYSLOG_IDENTIFIER": "NVRM", "_TRANSPORT": "kernel", "_HOSTNAME": "node1"}),
    ],
)
def test_kernel_is_recognised_in_every_form_its_lines_are_written_down(line: str):
    found = sourced(line, NOON)

    assert (found.source, found.trust, found.text) == (KERNEL_LOG, Trust.NODE, XID)


@pytest.mark.parametrize(
    "line",
    [
        "RuntimeError: CUDA error in kernel: unspecified launch failure",
        "[2026-01-16 11:42:38,123] [INFO] iteration 12 | lm loss: 2.1",
        "launching kernel: matmul",
        "[123.45] step 7",
        '{"step": 7, "loss": 2.1}',
        "{'loss': 2.9043, 'epoch': 0.02}",
        "",
    ],
)
def test_line_of_a_job_stays_as_it_is(line: str):
    found = sourced(line, NOON)

    assert (found.source, found.trust, found.text) == (JOB_LOG, Trust.USER, line)


def test_record_that_a_program_wrote_into_the_ring_is_a_users_word():
    found = sourced(f"12,1234,1005433812628,-;{XID}", NOON)

    assert (found.source, found.trust) == (KERNEL_LOG, Trust.USER)


def test_kernel_line_of_syslog_names_its_node_and_time():
    found = sourced(f"Jan 16 11:42:38 node1 kernel: [1005433.812628] {XID}", NOON)

    assert (found.node, found.at) == ("node1", datetime(2026, 1, 16, 11, 42, 38, tzinfo=UTC))


@pytest.mark.parametrize(
    ("line", "node"),
    [
        (f"node-066 | ERROR: nhc: Health check failed: check_gpu_xid: [331534.832215] {XID}", "node-066"),
        (f"gpu12: check failed: {XID}", "gpu12"),
        (f"ERROR: check failed: {XID}", ""),
    ],
)
def test_driver_that_a_check_quotes_speaks_for_the_node_that_was_checked(line: str, node: str):
    found = sourced(line, NOON)

    assert (found.node, found.text) == (node, XID)


def test_line_of_a_daemon_names_its_node_and_keeps_the_program():
    found = sourced("Jan 16 11:42:38 node1 slurmd[812]: error: Node failure", NOON)

    assert (found.node, found.source, found.text) == ("node1", JOB_LOG, "slurmd[812]: error: Node failure")


def test_level_of_pythons_logging_is_no_node():
    assert sourced("2026-01-16 11:42:38,123 INFO trainer: step 7", NOON).node == ""


def test_prefix_of_a_container_runtime_is_taken_off():
    found = sourced("2026-01-16T11:42:38.123456789Z stderr F   what():  CUDA error", NOON)

    assert found.text == "  what():  CUDA error"
    assert found.at == datetime(2026, 1, 16, 11, 42, 38, 123456, tzinfo=UTC)


def test_pod_and_time_of_kubectl_are_taken_off():
    found = sourced("[pod/train-0/main] 2026-01-16T11:42:38.123456789Z [rank3]: MemoryError", NOON)

    assert (found.text, found.rank) == ("MemoryError", 3)


def test_dockers_json_is_opened():
    line = json.dumps({"log": "[rank2]: MemoryError\r\n", "stream": "stderr", "time": "2026-01-16T11:42:38.1Z"})

    found = sourced(line, NOON)

    assert (found.text, found.rank) == ("MemoryError", 2)
    assert found.at == datetime(2026, 1, 16, 11, 42, 38, 100000, tzinfo=UTC)


def test_journals_json_gives_node_and_time():
    entry = {
        "MESSAGE": "oops",
        "_HOSTNAME": "node9",
        "_TRANSPORT": "stdout",
        "__REALTIME_TIMESTAMP": "1768563758000001",
    }

    found = sourced(json.dumps(entry), NOON)

    assert (found.node, found.source, found.at) == ("node9", JOB_LOG, datetime(2026, 1, 16, 11, 42, 38, 1, tzinfo=UTC))


def test_time_far_from_any_log_is_no_time():
    assert sourced("0001-01-01T00:00:00.000Z oops", NOON).at is None


def test_nccl_line_names_its_node_and_places_its_rank():
    line = "node3:4321:4400 [3] NCCL INFO comm 0x55 rank 11 nranks 16 cudaDev 3 nvmlDev 3 busId 1b000 - Init START"

    seen = rank_seen(sourced(line, NOON).text)

    assert sourced(line, NOON).node == "node3"
    assert seen is not None
    assert (seen.node, seen.rank, seen.ranks, seen.gpu) == ("node3", 11, 16, "3")


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("srun: error: node012: task 37: Exited with exit code 1", RankSeen("node012", 37, 0, "")),
        (
            "environment: RANK=5 LOCAL_RANK=1 WORLD_SIZE=16 SLURMD_NODENAME=node003",
            RankSeen("node003", 5, 16, "1"),
        ),
        ("{'RANK': '5', 'LOCAL_RANK': '1', 'WORLD_SIZE': '16'}", RankSeen("", 5, 16, "1")),
        ("WORLD_SIZE=16", None),
        ("srun: error: task 37 is gone", None),
    ],
)
def test_launcher_and_environment_place_ranks(line: str, seen: RankSeen | None):
    assert rank_seen(line) == seen


@pytest.mark.parametrize(
    ("path", "rank"),
    [
        ("logs/attempt_0/3/stderr.log", 3),
        ("logs/attempt_0/3/stderr.log.gz", 3),
        ("logs/rank7.log", 7),
        ("logs/job-rank_12.err", 12),
        ("logs/train.log", None),
    ],
)
def test_rank_is_read_from_a_files_name(path: str, rank: int | None):
    assert rank_in_path(path) == rank


@pytest.mark.parametrize(
    ("path", "node"),
    [
        ("logs/node007/dmesg", "node007"),
        ("logs/kern.gpu-12.log", "gpu-12"),
        ("logs/ip-10-0-3-17.log.gz", "ip-10-0-3-17"),
        ("logs/slurm-12345.out", ""),
        ("logs/slurm-123_node5.out", "node5"),
        ("logs/slurm-123-node005.out", "node005"),
        ("logs/job-77-gpu-a100-node-3.log", "gpu-a100-node-3"),
        ("logs/train.log", ""),
    ],
)
def test_node_is_read_from_a_folders_or_files_name(path: str, node: str):
    assert node_in_path(path) == node


@given(st.text() | st.builds(lambda value: json.dumps({"MESSAGE": value}), st.recursive(st.integers(), st.lists)))
def test_no_line_is_too_strange(line: str):
    assert sourced(line, NOON).source in {KERNEL_LOG, JOB_LOG}


@pytest.mark.parametrize(
    ("line", "node"),
    [
        ("Low RealMemory       slurm     2024-06-01T10:22:31 cn007", "cn007"),
        ("cn007      1     main*     drained   64   2:32:1 515000        0      1   (null) none", "cn007"),
        ("gpu-7     NotReady,SchedulingDisabled   <none>   61d   v1.29.3", "gpu-7"),
        ("train-0   0/1     OOMKilled   2 (3m ago)   11m   10.3.0.8   gpu-7   <none>   <none>", "gpu-7"),
        ("   hostname:  gpu-7", "gpu-7"),
        ("Not responding       slurm     2024-06-01T10:22:31 cn[007-009]", ""),
        ("step 1 of 10 idle workers 3", ""),
    ],
)
def test_row_of_a_table_names_the_one_node_it_is_about(line: str, node: str):
    assert sourced(line, NOON).node == node


def test_objects_inside_a_record_are_told_and_name_the_node():
    found = sourced('{"message": "cordoned", "kind": "x", "Node": {"name": "gpu-7", "ready": true}}', NOON)

    assert (found.text, found.node) == ("cordoned kind=x Node.name=gpu-7", "gpu-7")
