import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clusterwatch import __version__, metrics
from clusterwatch.metrics import Metrics
from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    Decision,
    Event,
    Interruption,
    Job,
    JobState,
    Mode,
    NodeState,
    Severity,
    Step,
    StepKind,
    StepState,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LLM = Job("llm", "llm", JobState.TRAINING, NOON, NOON, last_step=7, last_step_at=NOON)
NAMES = {value for value in vars(metrics).values() if isinstance(value, str) and value.startswith("clusterwatch_")}


def samples(page: Metrics) -> dict[tuple[str, ...], float]:
    """Return each sample by its name and its labels' values, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.text().decode())
        for sample in family.samples
    }


def used() -> Metrics:
    """Return metrics in which everything has happened once."""
    page = Metrics()
    page.collected("nvml", 0.25, readings=3, at=NOON)
    page.collector_failed("host", 5.0)
    page.events_recorded([xid(count=4)])
    page.incidents_opened([Cause.FAULTY_GPU])
    page.interruption_began(Interruption("i", "llm", 1, "inc", planned=False, highest_step=7), Cause.FAULTY_GPU)
    page.decisions_made([Decision("d", "inc", 1, "llm", Mode.AUTO, "because", NOON)])
    page.step_changed(Step("d-1", "d", 1, StepKind.REQUEUE, "local_process", "llm", {}, NOON, StepState.DONE))
    page.show_incidents([Cause.FAULTY_GPU])
    page.show_nodes([NodeState.DRAINED, NodeState.IN_SERVICE])
    page.show_jobs([LLM])
    page.show_account("llm", 0.9, {"detect": 4.0})
    page.turn_taken(0.02, lag_seconds=0.5)
    page.leads(True)
    page.timer_missed()
    page.timer_failed("prune")
    return page


def xid(count: int) -> Event:
    return Event(
        id="e",
        kind="gpu.xid.79",
        component=Component(ComponentKind.GPU, "0", "node001"),
        happened_at=NOON,
        observed_at=NOON,
        source="kernel_log",
        severity=Severity.FATAL,
        count=count,
    )


@pytest.mark.parametrize(
    ("sample", "value"),
    [
        (("clusterwatch_collector_seconds", "nvml"), 0.25),
        (("clusterwatch_collector_last_success_timestamp_seconds", "nvml"), NOON.timestamp()),
        (("clusterwatch_collector_failures_total", "nvml"), 0),
        (("clusterwatch_collector_failures_total", "host"), 1),
        (("clusterwatch_readings_total", "nvml"), 3),
        (("clusterwatch_events_total", "gpu", "fatal"), 4),
        (("clusterwatch_incidents_open", "faulty_gpu"), 1),
        (("clusterwatch_incidents_open", "nic"), 0),
        (("clusterwatch_incidents_total", "faulty_gpu"), 1),
        (("clusterwatch_interruptions_total", "faulty_gpu", "false"), 1),
        (("clusterwatch_decisions_total", "auto"), 1),
        (("clusterwatch_steps_total", "requeue", "done"), 1),
        (("clusterwatch_jobs", "training"), 1),
        (("clusterwatch_job_step", "llm"), 7),
        (("clusterwatch_job_last_step_timestamp_seconds", "llm"), NOON.timestamp()),
        (("clusterwatch_job_ettr_ratio", "llm"), 0.9),
        (("clusterwatch_job_lost_seconds", "llm", "detect"), 4.0),
        (("clusterwatch_nodes", "drained"), 1),
        (("clusterwatch_nodes", "silent"), 0),
        (("clusterwatch_responder_is_leader",), 1),
        (("clusterwatch_turn_seconds_count",), 1),
        (("clusterwatch_inbox_lag_seconds",), 0.5),
        (("clusterwatch_timer_missed_total",), 1),
        (("clusterwatch_timer_errors_total", "prune"), 1),
        (("clusterwatch_build_info", __version__), 1),
    ],
)
def test_what_happened_is_exported(sample, value):
    assert samples(used())[sample] == value


def test_every_name_of_the_module_is_exported_with_help_and_nothing_else():
    page = used().text().decode()

    exported = {line.split()[2] for line in page.splitlines() if line.startswith("# HELP")}
    assert {name for name in exported if not name.endswith("_created")} == NAMES


def test_job_that_ended_is_forgotten():
    page = used()

    page.show_jobs([replace(LLM, state=JobState.COMPLETED)])

    assert [labels for labels in samples(page) if "llm" in labels] == []
    assert samples(page)[("clusterwatch_jobs", "completed")] == 1


def test_states_are_exported_before_anything_happened():
    assert samples(Metrics())[("clusterwatch_jobs", "training")] == 0


def test_two_processes_worth_of_metrics_do_not_meet():
    first, second = Metrics(), Metrics()

    first.timer_missed()

    assert samples(second)[("clusterwatch_timer_missed_total",)] == 0


@pytest.mark.integration
def test_prometheus_own_check_finds_nothing_to_say():
    promtool = shutil.which("promtool")
    assert promtool, 'promtool is missing: run "make test-packages"'

    checked = subprocess.run([promtool, "check", "metrics"], input=used().text(), capture_output=True, timeout=60)

    assert (checked.returncode, checked.stderr.decode()) == (0, "")
