"""Logs that nobody prepared to diagnoses."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from clusterwatch.app.inputs import InputLine
from clusterwatch.app.keeping import COMPONENTS_PER_MEANING, EVENTS_PER_MEANING
from clusterwatch.app.offline import Answer, Examination, diagnose_paths, diagnose_text
from clusterwatch.detect import Catalog
from clusterwatch.model import Cause, ComponentKind
from shipped import shipped_log_catalog

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
FELL_OFF = "NVRM: Xid (PCI:0000:86:00): 79, pid=1234, name=python, GPU has fallen off the bus."
TRACEBACK = """\
Traceback (most recent call last):
  File "/opt/train.py", line 10, in main
    step()
KeyError: 'labels'
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return shipped_log_catalog()


def diagnosed(catalog: Catalog, folder: Path, **files: str) -> Answer:
    for name, text in files.items():
        (folder / f"{name}.log").write_text(text)
    return diagnose_paths([str(folder)], catalog, NOW)


def test_node_named_by_syslog_is_where_the_suspect_is(catalog: Catalog):
    (diagnosis,) = diagnose_text(f"Jan 16 11:42:38 node012 kernel: [1005433.8126] {FELL_OFF}", catalog, NOW)

    suspect = diagnosis.suspects[0].component
    assert (diagnosis.cause, suspect.kind, suspect.node) == (Cause.FAULTY_GPU, ComponentKind.GPU, "node012")


def test_node_named_once_holds_for_the_kernels_other_lines_of_that_file(catalog: Catalog):
    text = f"Jan 16 11:42:38 node012 kernel: [5.123456] Linux version 6.8\n[6.123456] {FELL_OFF}"

    (diagnosis,) = diagnose_text(text, catalog, NOW)

    assert diagnosis.suspects[0].component.node == "node012"


def test_folder_names_the_node_where_the_lines_do_not(catalog: Catalog, tmp_path: Path):
    (tmp_path / "node007").mkdir()
    (tmp_path / "node007" / "dmesg").write_text(f"[5.123456] {FELL_OFF}\n")

    answer = diagnose_paths([str(tmp_path)], catalog, NOW)

    assert answer.diagnoses[0].suspects[0].component.node == "node007"


def test_node_that_nothing_names_is_not_made_up(catalog: Catalog):
    (diagnosis,) = diagnose_text(FELL_OFF, catalog, NOW)

    assert diagnosis.suspects[0].component.node == ""


def test_kernel_and_job_of_one_failure_are_one_answer(catalog: Catalog, tmp_path: Path):
    answer = diagnosed(
        catalog,
        tmp_path,
        kern=f"Jan 16 11:42:38 node012 kernel: {FELL_OFF}\n",
        train="[rank3]: RuntimeError: CUDA error: unspecified launch failure\n",
    )

    assert [diagnosis.cause for diagnosis in answer.diagnoses] == [Cause.FAULTY_GPU]
    assert {line.source for line in answer.diagnoses[0].evidence} == {"kernel_log", "job_log"}


def test_evidence_says_where_its_line_stands(catalog: Catalog, tmp_path: Path):
    answer = diagnosed(catalog, tmp_path, train=f"step 1\nstep 2\n{TRACEBACK}")

    assert answer.diagnoses[0].evidence[0].origin == f"{tmp_path}/train.log:6"


def test_traceback_of_carriage_returns_and_of_container_lines_is_the_same(catalog: Catalog):
    wrapped = "".join(f"2026-01-16T11:42:38.123456789Z stderr F {line}\n" for line in TRACEBACK.splitlines())

    causes = {
        diagnose_text(text, catalog, NOW)[0].cause for text in (TRACEBACK, TRACEBACK.replace("\n", "\r\n"), wrapped)
    }

    assert causes == {Cause.SOFTWARE_BUG}


def test_traceback_within_one_json_line_is_read(catalog: Catalog):
    (diagnosis,) = diagnose_text(json.dumps({"level": "error", "message": TRACEBACK}), catalog, NOW)

    assert diagnosis.cause is Cause.SOFTWARE_BUG
    assert "KeyError" in diagnosis.evidence[0].text


def test_time_is_told_only_where_the_lines_carry_one(catalog: Catalog):
    (timed,) = diagnose_text(f"Jan 16 11:42:38 node012 kernel: {FELL_OFF}", catalog, NOW)
    (untimed,) = diagnose_text(FELL_OFF, catalog, NOW)

    assert "at 11:42:38 UTC" in timed.explanation
    assert "UTC" not in untimed.explanation


def test_symptom_without_a_time_is_explained_by_a_fault_that_has_one(catalog: Catalog, tmp_path: Path):
    watchdog = "[rank5]:[E116 11:50:00.123456 ProcessGroupNCCL.cpp:616] [Rank 5] Watchdog caught collective operation"
    answer = diagnosed(
        catalog,
        tmp_path,
        a=f"{watchdog[watchdog.index('[Rank') :]} timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE)\n",
        kern=f"Jan 16 11:42:38 node012 kernel: {FELL_OFF}\n",
    )

    assert [diagnosis.cause for diagnosis in answer.diagnoses] == [Cause.FAULTY_GPU]


def test_rank_is_placed_by_what_nccl_said_when_it_began(catalog: Catalog, tmp_path: Path):
    answer = diagnosed(
        catalog,
        tmp_path,
        train="node3:4321:4400 [1] NCCL INFO comm 0x55 rank 5 nranks 8 cudaDev 1 nvmlDev 1 busId 1b000 - Init START\n"
        + "".join(f"[rank5]: {line}\n" for line in TRACEBACK.splitlines()),
    )

    suspect = answer.diagnoses[0].suspects[0]
    assert (suspect.rank, suspect.component.node, suspect.gpu) == (5, "node3", "1")


KERNEL = f"Jan 16 11:42:38 node012 kernel: [1005433.8126] {FELL_OFF}\n"
ENTRY = {"_HOSTNAME": "node012", "_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "NVRM", "MESSAGE": FELL_OFF[6:]}


def packed(text: str) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as members:
        member = tarfile.TarInfo("node012/dmesg")
        member.size = len(text.encode())
        members.addfile(member, io.BytesIO(text.encode()))
    return archive.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        KERNEL.encode(),
        KERNEL.replace("\n", "\r\n").encode(),
        b"\xff\xfe broken \x80\n".replace(b"\xff\xfe", b"\xe9") + KERNEL.encode(),
        KERNEL.replace("NVRM", "\x1b[31mNV\x1b[0mRM").encode(),
        KERNEL.encode("utf-16"),
        f"2026-01-16T11:42:38.123456789Z stdout F {KERNEL}".encode(),
        f"[pod/agent-0/log] 2026-01-16T11:42:38.123456789Z {KERNEL}".encode(),
        json.dumps({"log": KERNEL, "stream": "stdout", "time": "2026-01-16T11:42:38.1Z"}).encode(),
        json.dumps(ENTRY).encode(),
        ("__CURSOR=s=1\n" + "".join(f"{key}={value}\n" for key, value in ENTRY.items()) + "\n").encode(),
        gzip.compress(KERNEL.encode()),
        bz2.compress(KERNEL.encode()),
        lzma.compress(KERNEL.encode()),
        zstandard.compress(KERNEL.encode()),
        packed(f"[1005433.812628] {FELL_OFF}\n"),
    ],
    ids=[
        *("plain", "crlf", "broken", "colours", "utf16", "cri", "kubectl", "docker", "journal", "export"),
        *("gzip", "bzip2", "xz", "zstd", "tar"),
    ],
)
def test_culprit_is_the_same_however_its_line_was_kept(catalog: Catalog, tmp_path: Path, content: bytes):
    (tmp_path / "what.people.have").write_bytes(content)

    answer = diagnose_paths([str(tmp_path)], catalog, NOW)

    suspect = answer.diagnoses[0].suspects[0].component
    assert (answer.diagnoses[0].cause, suspect.id, suspect.node) == (Cause.FAULTY_GPU, "0000:86:00", "node012")
    assert answer.nodes_to_exclude == ("node012",)


def test_node_of_a_fault_in_the_program_is_not_left_out(catalog: Catalog, tmp_path: Path):
    (tmp_path / "node012").mkdir()
    (tmp_path / "node012" / "rank_3.log").write_text(TRACEBACK)

    assert diagnose_paths([str(tmp_path)], catalog, NOW).nodes_to_exclude == ()


def test_rank_is_placed_by_the_name_of_its_file_or_by_its_environment(catalog: Catalog, tmp_path: Path):
    (tmp_path / "node007").mkdir()
    (tmp_path / "node007" / "rank_5.log").write_text(f"RANK=5 LOCAL_RANK=1 WORLD_SIZE=16\n{TRACEBACK}")

    (diagnosis,) = diagnose_paths([str(tmp_path)], catalog, NOW).diagnoses

    suspect = diagnosis.suspects[0]
    assert (suspect.rank, suspect.component.node, suspect.gpu) == (5, "node007", "1")


def test_line_that_is_not_there_proves_nothing_in_logs_that_may_be_cut_short(catalog: Catalog, tmp_path: Path):
    killed = "RuntimeError: DataLoader worker (pid 10422) is killed by signal: Killed.\n"
    without = diagnosed(catalog, tmp_path, train=killed).diagnoses
    with_kernel = diagnosed(catalog, tmp_path, kern="[5.123456] Linux version 6.8\n").diagnoses

    assert with_kernel[0].absent == ()
    assert with_kernel[0].cause is without[0].cause


def test_gravest_comes_first_whatever_the_order_of_the_lines(catalog: Catalog):
    killed = "Jan 16 11:40:00 node2 kernel: Out of memory: Killed process 24514 (python3) total-vm:210212344kB"

    diagnoses = diagnose_text(f"{killed}\nJan 16 11:42:38 node1 kernel: {FELL_OFF}", catalog, NOW)

    assert [diagnosis.cause for diagnosis in diagnoses] == [Cause.FAULTY_GPU, Cause.OOM_HOST]


def test_healthy_log_says_nothing(catalog: Catalog, tmp_path: Path):
    answer = diagnosed(catalog, tmp_path, train="[INFO] iteration 7/ 1000 | lm loss: 8.2 |\n" * 3)

    assert (answer.diagnoses, answer.lines, answer.files, answer.problems) == ((), 3, 1, ())


def test_corrected_error_blames_no_hardware(catalog: Catalog):
    text = "[5.123456] mce: [Hardware Error]: Machine check events logged\nNVRM: Xid (PCI:0000:86:00): 63, Row Remapper"

    assert not any(
        diagnosis.blames_hardware and diagnosis.confidence > 0.95 for diagnosis in diagnose_text(text, catalog, NOW)
    )
    assert {diagnosis.cause for diagnosis in diagnose_text(text.splitlines()[0], catalog, NOW)} <= {Cause.BENIGN}


def test_state_does_not_grow_with_the_devices_that_lines_name(catalog: Catalog):
    examination = Examination(catalog, NOW)

    for number in range(30_000):
        text = f"NVRM: Xid (PCI:{number:04x}:86:00): 79, pid=1, GPU has fallen off the bus."
        examination.take(InputLine("kern.log", number, text.encode()))

    assert len(examination._state.repeats) <= 22_000
    assert len(list(examination._kept.events())) <= EVENTS_PER_MEANING + COMPONENTS_PER_MEANING


def test_traceback_that_breaks_off_at_the_end_of_a_file_is_a_programs_failure(catalog: Catalog, tmp_path: Path):
    cut = TRACEBACK.rpartition("KeyError")[0]

    answer = diagnosed(catalog, tmp_path, a=cut, b="step 5\n")

    assert [each.cause for each in answer.diagnoses] == [Cause.SOFTWARE_BUG]
    assert [each.event for each in answer.diagnoses[0].evidence] == ["python.traceback_cut"]


def test_traceback_that_others_talk_into_for_long_is_a_programs_failure(catalog: Catalog):
    cut = TRACEBACK.rpartition("KeyError")[0]

    found = diagnose_text(cut + "the other rank goes on\n" * 80, catalog, NOW)

    assert [each.cause for each in found] == [Cause.SOFTWARE_BUG]


@pytest.mark.parametrize(
    "text",
    [
        TRACEBACK,
        "Exception ignored in: <function a at 0x7f>\n" + TRACEBACK,
        'Stack (most recent call last):\n  File "/opt/train.py", line 10, in main\n    step()\n',
        TRACEBACK.replace("KeyError: 'labels'", "rank 3: KeyError: 'labels'"),
    ],
)
def test_traceback_that_ends_or_is_none_is_not_cut(catalog: Catalog, text: str):
    found = diagnose_text(text, catalog, NOW)

    assert "python.traceback_cut" not in {each.event for diagnosis in found for each in diagnosis.evidence}


def test_record_over_several_lines_is_read_as_one_and_names_its_node(catalog: Catalog, tmp_path: Path):
    record = json.dumps({"message": "deleting", "messageKind": "spot_interrupted", "Node": {"name": "gpu-7"}}, indent=2)

    answer = diagnosed(catalog, tmp_path, controller=f"started\n{record}\nstopped\n")

    assert [each.cause for each in answer.diagnoses] == [Cause.PREEMPTION_OR_OPERATOR]
    assert [each.component.node for each in answer.diagnoses[0].suspects] == ["gpu-7"]
    assert answer.lines == 9


def test_each_of_many_nodes_that_lost_a_gpu_is_left_out(tmp_path: Path, catalog: Catalog):
    for number in range(100):
        (tmp_path / f"dmesg-node{number:03d}.log").write_text(
            f"[  100.{number:06d}] NVRM: Xid (PCI:0000:19:00): 79, pid=1234, GPU has fallen off the bus.\n"
        )

    answer = diagnose_paths([str(tmp_path)], catalog, NOW)

    assert answer.nodes_to_exclude == tuple(f"node{number:03d}" for number in range(100))


def test_each_gpu_of_a_node_is_named_however_often_its_neighbour_spoke(tmp_path: Path, catalog: Catalog):
    xid = "[  100.{:06d}] NVRM: Xid (PCI:0000:{}:00): 48, pid=1, DBE (double bit error) ECC Error\n"
    many = "".join(xid.format(second, "19") + "harmless\n" * 300 for second in range(60))
    (tmp_path / "dmesg-node001.log").write_text(many + xid.format(99, "49"))

    (diagnosis,) = diagnose_paths([str(tmp_path)], catalog, NOW).diagnoses

    assert {each.component.id for each in diagnosis.suspects} == {"0000:19:00", "0000:49:00"}
