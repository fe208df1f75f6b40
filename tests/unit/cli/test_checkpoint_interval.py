"""`clusterwatch checkpoint-interval`."""

import json
from datetime import timedelta

import pytest
import typer
from typer.testing import CliRunner

from clusterwatch.cli import checkpoint_interval
from clusterwatch.clock import ManualClock
from clusterwatch.metrics import Metrics
from clusterwatch.model import Component, ComponentKind, kinds
from clusterwatch.server import Responder
from clusterwatch.store import Store
from clusterwatch.testing import NOON, event, progress, seconds, training_job
from shipped import shipped_catalog, shipped_limits

JOB = Component(ComponentKind.JOB, "job-1", "node001")


def run(*arguments):
    app = typer.Typer()
    checkpoint_interval.register(app)
    return CliRunner().invoke(app, list(map(str, arguments)))


LLAMA = ("--save-seconds", 2, "--failures", 419, "--hours", 1296, "--restart-seconds", 225)


def test_answer_for_scripts_is_the_exact_interval_and_the_efficiency_of_each_method():
    found = json.loads(run(*LLAMA, "-o", "json").stdout)

    assert found["advice_seconds"] == pytest.approx(209.7, abs=0.1)
    assert [each["method"] for each in found["intervals"]] == ["young", "daly_first_order", "daly", "exact"]
    assert found["intervals"][-1]["efficiency"]["value"] == pytest.approx(0.9615, abs=2e-4)
    assert found["restart_seconds_for"]["0.95"] == pytest.approx(359.4, abs=0.1)


def test_band_is_that_of_the_counted_failures():
    found = json.loads(run(*LLAMA, "-o", "json").stdout)

    assert (found["mtbf_seconds"]["low"] / 3600, found["mtbf_seconds"]["high"] / 3600) == (
        pytest.approx(2.81, abs=0.01),
        pytest.approx(3.41, abs=0.01),
    )
    low, high = found["band_seconds"]
    assert low < found["advice_seconds"] < high


def test_page_begins_with_the_advice():
    page = run(*LLAMA).stdout.splitlines()

    assert page[0].startswith("Save every 3 m 30 s: 96.2% (95.9% to 96.4%) of the time is useful.")
    assert "2 h 48 m to 3 h 24 m" in " ".join(page)


def test_save_takes_as_long_as_storage_needs_for_its_bytes():
    found = json.loads(run("--bytes", 5.7e12, "--bandwidth", 2e12, "--mtbf-hours", 3, "-o", "json").stdout)

    assert found["save_seconds"] == pytest.approx(2.85)
    assert found["confidence"] is None


def test_target_that_no_restart_reaches_is_told():
    page = run("--save-seconds", 60, "--mtbf-hours", 3).stdout

    assert "95% useful time  no restart is fast enough" in page


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--mtbf-hours", 3), "--save-seconds, or both --bytes and --bandwidth"),
        (("--save-seconds", 2), "--mtbf-hours, or both --failures and --hours"),
        (("--save-seconds", 2, "--failures", 3), "--mtbf-hours, or both --failures and --hours"),
        (("--save-seconds", 2, "--failures", 0, "--hours", 10), "without a failure there is no rate"),
        (("--save-seconds", 0, "--mtbf-hours", 3), "must be positive"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_does_not_fit_together_is_a_mistake_of_usage(arguments, told):
    result = run(*arguments)

    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())


@pytest.fixture
def database(tmp_path):
    """A database in which a job saved four times, each stopping it for 2 s of 20, and crashed once."""

    def told(kind, at, attempt=1, **fields):
        return event(kind, JOB, NOON + seconds(at), job="job-1", attempt=attempt, **fields)

    def save(step, at):
        facts = {"path": f"/ckpt/step_{step}", "step": step, "complete": True, "size_bytes": 40 * 10**9}
        return told(kinds.CHECKPOINT_REPORTED, at, stall_seconds=2.0, save_seconds=20.0, **facts)

    url = f"sqlite:///{tmp_path / 'test.db'}"
    store = Store.open(url, create=True)
    events = [
        *training_job(at=NOON),
        *(progress("job-1", 1, step, NOON + seconds(10 * step)) for step in range(1, 361)),
        *(save(step, 10 * step) for step in (90, 180, 270, 360)),
        told(kinds.ATTEMPT_ENDED, 3605, exit_code=1),
        told(kinds.ATTEMPT_STARTED, 3700, attempt=2, resumed_step=360),
        *(progress("job-1", 2, step, NOON + seconds(3900 + 10 * (step - 361))) for step in range(361, 392)),
    ]
    store.record("node001", "test", events, {}, None, NOON)
    clock = ManualClock(NOON + timedelta(hours=2))
    responder = Responder(store, shipped_catalog().knowledge, shipped_limits(), clock, Metrics(), "a")
    responder.turn()
    responder.stop()
    store.close()
    return url


def test_job_brings_its_own_figures(database):
    found = json.loads(run("--job", "job-1", "--database", database, "-o", "json").stdout)

    assert found["measured"] == {
        "failures": 1,
        "hours": pytest.approx(7 / 6, rel=0.01),
        "stall_seconds": 2.0,
        "save_seconds": 20.0,
        "size_bytes": 4e10,
        "restart_seconds": 300.0,
        "interval_seconds": 900.0,
        "bandwidth": 2e9,
    }
    assert (found["save_seconds"], found["write_seconds"], found["restart_seconds"]) == (2.0, 20.0, 300.0)
    assert found["confidence"] == 0.95
    assert found["mtbf_seconds"]["low"] < found["mtbf_seconds"]["value"] < found["mtbf_seconds"]["high"]
    assert found["now"]["seconds"] == 900.0
    assert found["now"]["efficiency"]["value"] < found["intervals"][-1]["efficiency"]["value"]


def test_page_of_a_job_compares_with_what_it_does_now(database):
    page = " ".join(run("--job", "job-1", "--database", database).stdout.split())

    assert "It saves every 15 m 00 s now" in page
    assert "It takes 20 s until a checkpoint is whole." in page
    assert "It was stopped unexpectedly 1 time in 1.2 hours." in page
    assert "A checkpoint has 40 GB, and storage took in 2 GB/s." in page


def test_options_go_before_what_was_measured(database):
    given = ("--save-seconds", 30, "--mtbf-hours", 4, "--restart-seconds", 60, "--bandwidth", 1e9)
    found = json.loads(run("--job", "job-1", "--database", database, *given, "-o", "json").stdout)

    assert (found["save_seconds"], found["restart_seconds"], found["mtbf_seconds"]["value"]) == (30, 60, 4 * 3600)
    assert found["write_seconds"] == 40.0


def test_interval_is_never_shorter_than_a_save_takes(database):
    given = ("--mtbf-hours", 0.1, "--bandwidth", 1e8)
    found = json.loads(run("--job", "job-1", "--database", database, *given, "-o", "json").stdout)

    assert found["advice_seconds"] == found["write_seconds"] == 400.0


def test_job_that_never_said_how_long_a_save_stops_it_is_asked_to(tmp_path):
    url = f"sqlite:///{tmp_path / 'test.db'}"
    store = Store.open(url, create=True)
    store.record("node001", "test", training_job(at=NOON), {}, None, NOON)
    clock = ManualClock(NOON)
    responder = Responder(store, shipped_catalog().knowledge, shipped_limits(), clock, Metrics(), "a")
    responder.turn()
    responder.stop()
    store.close()

    refused = run("--job", "job-1", "--database", url)

    assert refused.exit_code == 2
    assert "let it report its saves" in " ".join(refused.output.replace("│", " ").split())
