"""Small logs as the frameworks print them, from beginning to end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.model import Component, ComponentKind, Event, Reading, Trust
from clusterwatch.model.kinds import PROGRESS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

# torch 2.13 under torchrun with gloo, three ranks, recorded 2026-11; rank 2 was killed with SIGKILL. Paths rewritten,
# repeated lines left out.
KILLED = Path(__file__).parents[2] / "data" / "torchrun-gloo-sigkill.log"


def events_of(catalog: Catalog, log: str) -> list[Event]:
    readings = [
        Reading(
            source="job_log",
            node="node001",
            position=f"train.log:{number}",
            observed_at=NOON,
            text=line,
            job="job1",
            attempt=1,
            trust=Trust.USER,
            fields={"origin": f"train.log:{number}"},
        )
        for number, line in enumerate(dedent(log).splitlines(), 1)
    ]
    state, events, _ = notice(ObserverState(), readings, catalog, NOON)
    return events + notice(state, [], catalog, NOON + timedelta(hours=1))[1]


def test_killed_rank_is_named_by_torchrun_and_its_peers_are_symptoms(catalog: Catalog) -> None:
    events = events_of(catalog, KILLED.read_text())

    assert [(event.kind, event.rank) for event in events] == [
        (PROGRESS, None),
        (PROGRESS, None),
        ("torchelastic.closing", None),
        ("torchelastic.failed.sigkill", None),
        ("torchelastic.child_failed", None),
        ("torchelastic.failure.sigterm", 0),
        ("torchelastic.root_cause.sigkill", 2),
        ("gloo.connection_closed", 0),
    ]
    root, peers = events[-2:]
    assert root.component == Component(ComponentKind.RANK, "2", "node001")
    assert (root.fields["exit_code"], root.fields["pid"], root.fields["host"]) == (-9, 349, "node001")
    assert (peers.fields["where"], peers.fields["ranks"]) == ("distributed_c10d.py:3252", "0-1")


def test_exception_names_its_rank_and_the_last_frame(catalog: Catalog) -> None:
    log = """\
    [rank2]: Traceback (most recent call last):
    [rank2]:   File "/app/train.py", line 42, in <module>
    [rank2]:     main()
    [rank2]:   File "/app/lib/model.py", line 9, in main
    [rank2]:     raise ValueError("bad shape (3, 4)")
    [rank2]: ValueError: bad shape (3, 4)
    """

    (event,) = events_of(catalog, log)

    assert (event.kind, event.component) == ("python.exception", Component(ComponentKind.RANK, "2", "node001"))
    assert event.fields == {"exception": "ValueError", "message": "bad shape (3, 4)", "where": "model.py:9"}


def test_source_lines_of_a_traceback_are_no_messages(catalog: Catalog) -> None:
    log = """\
    Traceback (most recent call last):
      File "/app/train.py", line 7, in <module>
        raise RuntimeError("CUDA error: out of memory") if step=5 loss=1 else None
    KeyError: 'lr'
    """

    (event,) = events_of(catalog, log)

    assert (event.kind, event.component) == ("python.exception", Component(ComponentKind.JOB, "job1"))


@pytest.mark.parametrize(
    ("last_line", "kind"),
    [
        ("RuntimeError: CUDA error: an illegal memory access was encountered", "cuda.illegal_memory_access"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "cuda.oom"),
        ("ModuleNotFoundError: No module named 'apex'", "python.import_error"),
        ("OSError: [Errno 28] No space left on device", "storage.io_error"),
        ("MemoryError", "python.memory_error"),
        ("KeyboardInterrupt", "python.interrupted"),
        ("ConnectionResetError: [Errno 104] Connection reset by peer", "python.connection_lost"),
        ("AssertionError", "python.exception"),
        ("omegaconf.errors.ConfigAttributeError: Missing key lr", "python.exception"),
        ("omegaconf.errors.ConfigAttributeError: Key 'lr' is not in struct", "training.settings_mismatch"),
    ],
)
def test_last_line_of_a_traceback_is_known_by_its_wording(catalog: Catalog, last_line: str, kind: str) -> None:
    log = f'Traceback (most recent call last):\n  File "/app/train.py", line 7, in <module>\n    step()\n{last_line}\n'

    (event,) = events_of(catalog, log)

    assert (event.kind, event.fields["where"]) == (kind, "train.py:7")


def test_traceback_whose_beginning_was_cut_off_still_tells_its_last_frame(catalog: Catalog) -> None:
    log = """\
      File "/app/train.py", line 42, in <module>
        main()
      File "/app/lib/model.py", line 9, in main
    shapes.ShapeTrouble: bad shape (3, 4)
    """

    (event,) = events_of(catalog, log)

    assert (event.kind, event.fields["where"]) == ("python.exception", "model.py:9")


def test_table_of_failures_is_read_behind_a_traceback_that_was_never_finished(catalog: Catalog) -> None:
    log = """\
    Traceback (most recent call last):
      File "/app/launch.py", line 7, in run
    Root Cause (first observed failure):
    [0]:
      time      : 2026-11-21_04:51:35
      host      : node001
      rank      : 2 (local_rank: 2)
      exitcode  : -9 (pid: 349)
      error_file: <N/A>
      traceback : Signal 9 (SIGKILL) received by PID 349
    """

    (event,) = events_of(catalog, log)

    assert (event.kind, event.rank) == ("torchelastic.root_cause.sigkill", 2)


def test_exception_that_python_ignored_is_none(catalog: Catalog) -> None:
    log = """\
    Exception ignored in: <function LoaderIter.__del__ at 0x7f0c>
    Traceback (most recent call last):
      File "/opt/venv/lib/python3.11/site-packages/torch/utils/data/dataloader.py", line 1478, in __del__
    AssertionError: can only test a child process
    """

    assert events_of(catalog, log) == []


def test_exception_behind_an_ignored_one_counts(catalog: Catalog) -> None:
    log = """\
    Exception ignored in: <_io.TextIOWrapper name='<stdout>'>
    BrokenPipeError: [Errno 32] Broken pipe
    Traceback (most recent call last):
      File "/app/train.py", line 7, in main
    KeyError: 'lr'
    """

    assert "python.exception" in [event.kind for event in events_of(catalog, log)]


def test_exception_without_its_traceback_is_one(catalog: Catalog) -> None:
    (event,) = events_of(catalog, "RuntimeError: mat1 and mat2 shapes cannot be multiplied (8x128 and 256x64)\n")

    assert (event.kind, event.fields["exception"]) == ("python.exception", "RuntimeError")


def test_line_that_another_rule_knows_is_not_told_as_any_exception_too(catalog: Catalog) -> None:
    (event,) = events_of(catalog, "RuntimeError: CUDA error: device-side assert triggered\n")

    assert event.kind == "cuda.device_assert"


@pytest.mark.parametrize(
    "prefix", ["10.0.0.2: [rank7]:[E808 10:31:07 ProcessGroupNCCL.cpp:1895] ", "worker-3 | [PG 0 Rank 7] "]
)
def test_rank_is_found_behind_what_a_launcher_put_before_it(catalog: Catalog, prefix: str) -> None:
    (event, *_) = events_of(catalog, f"{prefix}CUDA error: uncorrectable NVLink error detected during the execution\n")

    assert (event.kind, event.rank) == ("cuda.nvlink_error", 7)


def test_local_rank_is_no_rank_where_the_ranks_of_the_attempt_are_known(catalog: Catalog) -> None:
    line = "failed (exitcode: -9) local_rank: 2 (pid: 915) of binary: /opt/venv/bin/python3\n"

    (event,) = events_of(catalog, line)

    assert (event.rank, event.fields["local_rank"]) == (None, 2)


def test_chained_exceptions_are_told_one_by_one(catalog: Catalog) -> None:
    log = """\
    Traceback (most recent call last):
      File "/app/a.py", line 1, in f
    KeyError: 'x'

    During handling of the above exception, another exception occurred:

    Traceback (most recent call last):
      File "/app/b.py", line 2, in g
    ValueError: no x
    """

    assert [event.fields["where"] for event in events_of(catalog, log)] == ["a.py:1", "b.py:2"]


def test_prefix_of_a_logger_before_each_line_does_not_hide_a_traceback(catalog: Catalog) -> None:
    log = """\
    2024-06-01T10:22:31.151Z stderr F Traceback (most recent call last):
    2024-06-01T10:22:31.152Z stderr F   File "/app/a.py", line 1, in f
    2024-06-01T10:22:31.153Z stdout F unrelated output of another thread
    2024-06-01T10:22:31.154Z stderr F ZeroDivisionError: division by zero
    """

    (event,) = events_of(catalog, log)

    assert (event.fields["exception"], event.fields["where"]) == ("ZeroDivisionError", "a.py:1")


def test_traceback_inside_torchrun_s_table_belongs_to_its_rank(catalog: Catalog) -> None:
    log = """\
    Root Cause (first observed failure):
    [0]:
      time      : 2026-11-21_04:51:35
      host      : node001
      rank      : 5 (local_rank: 1)
      exitcode  : 1 (pid: 349)
      error_file: /tmp/torchelastic_1/error.json
      traceback : Traceback (most recent call last):
        File "/app/train.py", line 7, in <module>
          main()
      RuntimeError: bad batch

    ============================================================
    """

    events = events_of(catalog, log)

    assert [(event.kind, event.rank) for event in events] == [
        ("torchelastic.root_cause.error", 5),
        ("python.exception", 5),
    ]


def test_slurm_says_why_it_cancelled(catalog: Catalog) -> None:
    log = "slurmstepd: error: *** JOB 4711 ON node001 CANCELLED AT 2024-06-01T10:22:31 DUE TO PREEMPTION ***\n"

    assert [event.kind for event in events_of(catalog, log)] == ["slurm.preempted"]


PROGRESS_LOGS = {
    "Megatron-LM": (
        " iteration      100/    1000 | consumed samples:          400 | elapsed time per iteration (ms): 661.3 |"
        " learning rate: 1.497E-04 | global batch size:     4 | lm loss: 8.238016E+00 | loss scale: 1.0 |",
        {"step": 100, "loss": 8.238016, "step_seconds": 0.6613},
    ),
    "Megatron-LM with a time": (
        " [2024-06-01 10:22:31] iteration       10/     100 | consumed samples:          640 |"
        " elapsed time per iteration (ms): 1250.0 | learning rate: 1.0E-04 | lm loss: 9.1E+00 |",
        {"step": 10, "loss": 9.1, "step_seconds": 1.25},
    ),
    "torchtitan": (
        "[titan] 2024-06-01 10:22:31,151 - root - INFO - step: 10  loss:  7.1234  grad_norm:  1.23  memory:"
        " 47.31GiB(49.78%)  tps: 1,234  tflops: 71.33  mfu: 7.21%",
        {"step": 10, "loss": 7.1234},
    ),
    "NeMo": (
        "Epoch 0: :  12%|█▏| 12/100 [00:31<03:48, v_num=0, reduced_train_loss=8.310, global_step=12.0,"
        " consumed_samples=104.0, train_step_timing in s=1.230]",
        {"step": 12, "loss": 8.31, "step_seconds": 1.23},
    ),
    "DeepSpeed": (
        "[2024-06-01 10:22:31,151] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=0, lr=[0.0001], mom=[0.9]",
        {"step": 10},
    ),
    "DeepSpeed pipeline": (
        "steps: 10 loss: 8.1012 iter time (s): 0.512 samples/sec: 62.500",
        {"step": 10, "loss": 8.1012, "step_seconds": 0.512},
    ),
    "Hugging Face Trainer": (
        " 12%|█▏        | 12/100 [00:10<01:20,  1.10s/it]",
        {"step": 12, "total": 100, "step_seconds": 1.1},
    ),
    "Hugging Face Trainer, fast": (
        "  3%|▎   | 3/100 [00:01<00:40,  2.50it/s]",
        {"step": 3, "total": 100, "step_seconds": 0.4},
    ),
    "nanoGPT": (
        "iter 10: loss 4.2123, time 123.45ms, mfu 30.12%",
        {"step": 10, "loss": 4.2123, "step_seconds": 0.12345},
    ),
    "key=value": ("step=5 loss=2.31 tokens=81920", {"step": 5, "loss": 2.31, "tokens": 81920.0}),
    "JSON": ('{"step": 5, "loss": 2.31, "tokens": 81920}', {"step": 5, "loss": 2.31, "tokens": 81920.0}),
    "plain": ("step 5/100 loss: 2.3100", {"step": 5, "loss": 2.31}),
}


@pytest.mark.parametrize("framework", PROGRESS_LOGS)
def test_step_is_read_as_the_framework_prints_it(catalog: Catalog, framework: str) -> None:
    line, expected = PROGRESS_LOGS[framework]

    (event,) = events_of(catalog, f"{line}\n")

    known = {name: value for name, value in event.fields.items() if not name.startswith("first_")}
    assert (event.kind, known) == (PROGRESS, expected)


@pytest.mark.parametrize(
    "line",
    [
        "{'loss': 2.1, 'grad_norm': 1.0, 'learning_rate': 5e-05, 'epoch': 0.01}",
        "Loading checkpoint shards: 100%|██████████| 3/3 [00:02<00:00,  1.10it/s]",
        "saving checkpoint at step 100",
        "number of steps: 1000",
    ],
)
def test_line_without_a_step_made_is_no_progress(catalog: Catalog, line: str) -> None:
    assert events_of(catalog, f"{line}\n") == []


def test_loss_that_is_no_number_is_told_and_left_out_of_the_progress(catalog: Catalog) -> None:
    events = events_of(catalog, "step=5 loss=nan\n")

    assert {event.kind for event in events} == {PROGRESS, "training.loss_nan"}
    assert all("loss" not in event.fields for event in events if event.kind == PROGRESS)
