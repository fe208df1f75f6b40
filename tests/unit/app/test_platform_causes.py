"""What schedulers, clouds, file systems and services say, and what it comes to together."""

from datetime import UTC, datetime

import pytest

from clusterwatch.app.offline import diagnose_text
from clusterwatch.detect import Catalog
from clusterwatch.model import Cause, Component, ComponentKind
from shipped import shipped_log_catalog

NOW = datetime(2026, 3, 1, tzinfo=UTC)

STEP_CANCELLED = "slurmstepd: error: *** STEP 815.0 ON n1 CANCELLED AT 2026-02-01T10:00:00 ***"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return shipped_log_catalog()


def cause_of(catalog: Catalog, *lines: str) -> Cause:
    found = diagnose_text("\n".join(lines), catalog, NOW)
    return found[0].cause if found else Cause.BENIGN


@pytest.mark.parametrize(
    ("first", "cause"),
    [
        ("srun: error: n2: task 9: Out Of Memory", Cause.OOM_HOST),
        ("srun: error: n2: task 9: Segmentation fault", Cause.SOFTWARE_BUG),
        ("OSError: [Errno 28] No space left on device", Cause.STORAGE),
        ("srun: error: Node failure on n2", Cause.HOST_MAINTENANCE),
    ],
)
def test_step_that_slurm_cancels_behind_a_failure_is_no_cause(catalog: Catalog, first: str, cause: Cause) -> None:
    assert cause_of(catalog, first, STEP_CANCELLED) is cause


def test_job_that_is_cancelled_with_nothing_before_it_was_stopped_by_somebody(catalog: Catalog) -> None:
    assert cause_of(catalog, STEP_CANCELLED, STEP_CANCELLED.replace("STEP 815.0", "JOB 815")) is (
        Cause.PREEMPTION_OR_OPERATOR
    )


def test_task_that_ended_first_is_the_suspect(catalog: Catalog) -> None:
    (diagnosis, *_) = diagnose_text(f"srun: error: n2: task 9: Out Of Memory\n{STEP_CANCELLED}", catalog, NOW)

    assert diagnosis.suspects[0].rank == 9


def test_node_that_scontrol_names_is_the_suspect_for_the_reason_below(catalog: Catalog) -> None:
    text = "NodeName=gpu07 Arch=x86_64\n   State=DOWN*\n   Reason=Not responding [slurm@2026-02-01T10:00:00]"

    (diagnosis, *_) = diagnose_text(text, catalog, NOW)

    assert diagnosis.suspects[0].component == Component(ComponentKind.NODE, "gpu07", "gpu07")


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("firmware upgrade", Cause.PLANNED_MAINTENANCE),
        ("GPU driver update", Cause.PLANNED_MAINTENANCE),
        ("GPU 3 lost", Cause.FAULTY_GPU),
        ("ib cable bad", Cause.NETWORK_SWITCH_CABLE),
        ("DIMM B2 errors", Cause.SYSTEM_MEMORY),
        ("/scratch not mounted", Cause.STORAGE),
    ],
)
def test_drained_node_is_explained_by_what_was_written_down(catalog: Catalog, reason: str, cause: Cause) -> None:
    assert cause_of(catalog, f"   Reason={reason} [root@2026-02-01T10:00:00]") is cause


@pytest.mark.parametrize(
    ("resource", "cause"),
    [("memory", Cause.OOM_HOST), ("ephemeral-storage", Cause.STORAGE)],
)
def test_eviction_is_explained_by_the_resource_that_ran_out(catalog: Catalog, resource: str, cause: Cause) -> None:
    lines = ("Reason:         Evicted", f"Message:        The node was low on resource: {resource}.")

    assert cause_of(catalog, *lines) is cause


def test_request_that_is_tried_again_stops_nothing(catalog: Catalog) -> None:
    lines = ("wandb: Network error (ReadTimeout), entering retry loop.", "wandb: Network error resolved after 0:00:09")

    assert cause_of(catalog, *lines) is Cause.BENIGN


def test_request_that_is_given_up_is_a_dependency_that_failed(catalog: Catalog) -> None:
    lines = (
        "wandb: Network error (ReadTimeout), entering retry loop.",
        "wandb: ERROR Run initialization has timed out",
    )

    assert cause_of(catalog, *lines) is Cause.DEPENDENCY


def test_full_list_of_watches_is_no_full_disk(catalog: Catalog) -> None:
    assert cause_of(catalog, "OSError: [Errno 28] inotify watch limit reached") is not Cause.STORAGE


@pytest.mark.parametrize(
    "line",
    [
        "gpu*         up 2-00:00:00     28  alloc cn[01-28]",
        "   JobState=RUNNING Reason=None Dependency=(null)",
        "  DiskPressure     False   Mon, 02 Feb 2026 10:00:00 +0000   KubeletHasNoDiskPressure   no disk pressure",
        "                 node.kubernetes.io/unreachable:NoExecute op=Exists for 300s",
        "Lustre: fs01-OST0004-osc-ffff8b: Connection restored to 10.0.0.9@o2ib (at 10.0.0.9@o2ib)",
        "systemd[1]: Started Unattended Upgrades Shutdown.",
    ],
)
def test_healthy_line_that_names_a_trouble_is_none(catalog: Catalog, line: str) -> None:
    assert cause_of(catalog, line) is Cause.BENIGN


def test_torchrun_that_is_ended_after_a_rank_was_killed_blames_no_person(catalog: Catalog) -> None:
    lines = (
        "E1121 12:01:17.041000 10721 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: -9)"
        " local_rank: 0 (pid: 10789) of binary: /opt/venv/bin/python",
        "Root Cause (first observed failure):",
        "[0]:",
        "  time      : 2026-11-21_12:01:17",
        "  host      : node1",
        "  rank      : 0 (local_rank: 0)",
        "  exitcode  : -9 (pid: 10789)",
        "  error_file: <N/A>",
        "  traceback : Signal 9 (SIGKILL) received by PID 10789",
        "srun: error: node1: task 0: Exited with exit code 1",
        "W1121 12:01:21.000000 10723 torch/distributed/elastic/agent/server/api.py:753] Received 15 death signal,"
        " shutting down workers",
        "torch.distributed.elastic.multiprocessing.api.SignalException: Process 10723 got signal: 15",
        "srun: error: node2: task 1: Killed",
    )

    assert cause_of(catalog, *lines) in (Cause.UNKNOWN, Cause.OOM_HOST)


def test_batch_script_that_slurm_ends_for_a_lost_node_blames_no_person(catalog: Catalog) -> None:
    lines = (
        "srun: error: Node failure on node2",
        "srun: error: Nodes node2 are still not ready",
        "slurmstepd-node1: error: *** JOB 4 ON node1 CANCELLED AT 2026-11-21T11:55:07 DUE TO NODE FAILURE,"
        " SEE SLURMCTLD LOG FOR DETAILS ***",
        "srun: forcing job termination",
        "W1121 11:55:07.437000 29735 torch/distributed/elastic/agent/server/api.py:753] Received 15 death signal,"
        " shutting down workers",
    )

    assert cause_of(catalog, *lines) in (Cause.HOST_MAINTENANCE, Cause.UNKNOWN)


def test_node_that_tells_of_a_lost_one_is_not_taken_for_it(catalog: Catalog) -> None:
    lines = (
        "srun: error: Node failure on node1",
        "slurmstepd: error: *** STEP 4.0 ON node2 CANCELLED AT 2026-11-21T11:55:07 DUE TO NODE FAILURE,"
        " SEE SLURMCTLD LOG FOR DETAILS ***",
    )

    found = diagnose_text("\n".join(lines), catalog, NOW)[0]

    assert [suspect.component.node for suspect in found.suspects] == ["node1"]
