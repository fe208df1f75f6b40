from datetime import UTC, datetime

import pytest

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.model import Component, ComponentKind, Event, Reading, Scalar, Severity

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event_of(catalog: Catalog, subject: str, fields: dict[str, Scalar], job: str | None = "job1") -> Event:
    reading = Reading(
        source="process",
        node="node001",
        position="1",
        observed_at=NOON,
        subject=subject,
        text="said",
        fields=fields,
        job=job,
    )
    (event,) = notice(ObserverState(), [reading], catalog, NOON)[1]
    return event


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"exit_code": 0}, "process.exit.ok"),
        ({"exit_code": 1}, "process.exit.error"),
        ({"exit_code": 255}, "process.exit.error"),
        ({"exit_code": -9}, "process.exit.sigkill"),
        ({"exit_code": 137}, "process.exit.sigkill"),
        ({"exit_code": -15}, "process.exit.sigterm"),
        ({"exit_code": 143}, "process.exit.sigterm"),
        ({"exit_code": -2}, "process.exit.sigint"),
        ({"exit_code": -11}, "process.exit.sigsegv"),
        ({"exit_code": -6}, "process.exit.sigabrt"),
        ({"exit_code": -7}, "process.exit.sigbus"),
        ({"exit_code": -31}, "process.exit.signal"),
        ({"signal": "SIGKILL"}, "process.exit.sigkill"),
        ({"signal": 11, "exit_code": None}, "process.exit.sigsegv"),
        ({}, "process.exit.error"),
    ],
)
def test_exit_is_named_after_how_it_came(catalog: Catalog, fields: dict[str, Scalar], kind: str) -> None:
    event = event_of(catalog, "process.exit", fields)

    assert (event.kind, event.fields) == (kind, fields)


@pytest.mark.parametrize(
    ("subject", "fields", "component"),
    [
        ("job.started", {"name": "llm"}, Component(ComponentKind.JOB, "job1")),
        ("attempt.ended", {"exit_code": 1}, Component(ComponentKind.JOB, "job1")),
        ("checkpoint.saved", {"step": 5}, Component(ComponentKind.JOB, "job1")),
        ("rank.placed", {"rank": 2, "pid": 7}, Component(ComponentKind.RANK, "2", "node001")),
        ("process.stopped", {"rank": 2}, Component(ComponentKind.RANK, "2", "node001")),
        ("process.exit", {"exit_code": -9}, Component(ComponentKind.JOB, "job1")),
        ("collector.failed", {"collector": "nvml"}, Component(ComponentKind.SERVICE, "nvml", "node001")),
        ("host.rebooted", {}, Component(ComponentKind.NODE, "node001", "node001")),
        ("gpu.xid", {"xid": 79, "pci": "0000:3b:00.0"}, Component(ComponentKind.GPU, "0000:3b:00", "node001")),
        ("gpu.xid", {"xid": 79}, Component(ComponentKind.NODE, "node001", "node001")),
        ("scan.wrong_answer", {"pci": "0000:3b:00.0"}, Component(ComponentKind.GPU, "0000:3b:00", "node001")),
        ("scan.failed", {}, Component(ComponentKind.NODE, "node001", "node001")),
        ("kernel_log.lost", {"lost": 12}, Component(ComponentKind.NODE, "node001", "node001")),
        ("job_log.skipped", {"path": "/a.log", "bytes": 9}, Component(ComponentKind.NODE, "node001", "node001")),
    ],
)
def test_state_happened_to_what_it_speaks_about(
    catalog: Catalog, subject: str, fields: dict[str, Scalar], component: Component
) -> None:
    assert event_of(catalog, subject, fields).component == component


def test_xid_that_nvml_reports_is_of_the_kind_that_the_kernel_log_gives(catalog: Catalog) -> None:
    event = event_of(catalog, "gpu.xid", {"xid": 79, "pci": "0000:3b:00.0"})

    assert (event.kind, event.severity) == ("gpu.xid.79", Severity.FATAL)


def test_process_without_a_job_stands_for_itself(catalog: Catalog) -> None:
    event = event_of(catalog, "process.exit", {"pid": 77, "exit_code": 1}, job=None)

    assert event.component == Component(ComponentKind.PROCESS, "77", "node001")


def test_rank_in_the_fields_becomes_the_event_s_rank(catalog: Catalog) -> None:
    assert event_of(catalog, "process.gone", {"rank": 3}).rank == 3


def test_severity_is_what_the_catalogue_says(catalog: Catalog) -> None:
    assert event_of(catalog, "process.exit", {"exit_code": -9}).severity is Severity.ERROR
    assert event_of(catalog, "process.exit", {"exit_code": 0}).severity is Severity.INFO
    assert event_of(catalog, "unheard.of", {}).severity is Severity.INFO


def test_driver_that_does_not_answer_is_told_apart_from_one_that_refuses(catalog):
    silent = event_of(catalog, "collector.failed", {"collector": "nvml", "error": "no answer", "silent": True})
    refused = event_of(catalog, "collector.failed", {"collector": "nvml", "error": "Unknown Error", "silent": False})

    assert silent.kind == "collector.failed.silent.nvml"
    assert refused.kind == "collector.failed"
    assert catalog.knowledge["collector.failed.silent.bmc"].weights == {}
