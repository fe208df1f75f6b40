"""What a scan's checks say together: for people, for a monitoring system, as an event."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clusterwatch.app.scan_report import (
    Check,
    Report,
    State,
    checks_of,
    exit_code,
    nagios,
    reading_of,
    report_of,
    unknown,
)
from clusterwatch.model import Cause, Component, ComponentKind, Event, Knowledge, Role, Severity, Signal, node_component

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GPU_3 = Component(ComponentKind.GPU, "0000:3b:00", "node001")
KNOWLEDGE = Knowledge(
    [
        Signal("gpu.lost", "a GPU is gone", Severity.FATAL, Role.FAULT, {Cause.FAULTY_GPU: 4.0}, action="Reboot it."),
        Signal("gpu.xid.13", "a program erred", Severity.ERROR, Role.SUSPECT, {Cause.SOFTWARE_BUG: 2.0}),
        Signal("gpu.remap.pending", "a row waits", Severity.WARNING, Role.SUSPECT, {Cause.GPU_HBM: 2.0}),
        Signal("gpu.identity", "its name", Severity.INFO, Role.CONTEXT),
    ]
)
OK, WARNING, FAILED, NOT_HERE = (Check(state.value, state, f"it is {state.value}") for state in State)


def event(kind: str, component: Component = GPU_3, text: str = "", count: int = 1) -> Event:
    return Event(
        id=kind,
        kind=kind,
        component=component,
        happened_at=NOON,
        observed_at=NOON,
        source="nvml",
        severity=KNOWLEDGE[kind].severity,
        text=text,
        count=count,
    )


def report(*checks: Check) -> Report:
    return report_of("node001", NOON, 3.21, checks)


@pytest.mark.parametrize(
    ("checks", "state", "exit_status", "code"),
    [
        ((OK, NOT_HERE), State.OK, 0, 0),
        ((OK, WARNING, NOT_HERE), State.WARNING, 0, 1),
        ((OK, WARNING, FAILED), State.FAILED, 10, 2),
        ((NOT_HERE,), State.NOT_HERE, 0, 3),
        ((), State.NOT_HERE, 0, 3),
    ],
)
def test_node_is_judged_by_its_worst_check(checks: tuple[Check, ...], state: State, exit_status: int, code: int):
    found = report(*checks)

    assert (found.state, exit_code(found), nagios(found, 60)[0]) == (state, exit_status, code)
    assert (found.kind, reading_of(found, "boot-1").subject) == (f"scan.{state.value}",) * 2


def test_line_for_a_monitoring_system_names_the_gravest_first_and_has_performance_data():
    found = report(OK, WARNING, Check("nvml", State.FAILED, "GPU 3 |\nis lost"), NOT_HERE)

    assert nagios(found, 60)[1] == (
        "SCAN CRITICAL - nvml: GPU 3 / is lost; warning: it is warning"
        " | ok=1 warning=1;0 failed=1;;0 not_here=1 seconds=3.2s;;60"
    )


def test_each_thing_that_failed_stands_below_that_line():
    lost = Check("nvml", State.FAILED, "GPU 3 is lost", "", "gpu.lost", "gpu 0000:3b:00 on node001")
    stuck = Check("processors", State.FAILED, "1 processor", "", "scan.processor_stuck")
    hot = Check("nvml", State.WARNING, "GPU 4 is hot", "", "gpu.too_hot", "gpu 0000:4b:00 on node001")

    assert nagios(report(lost, stuck, hot, lost), 60)[1].splitlines()[1:] == [
        "found: gpu.lost gpu 0000:3b:00",
        "found: scan.processor_stuck",
    ]


def test_line_of_a_node_that_is_well_says_what_was_looked_at():
    assert nagios(report(OK, OK, NOT_HERE), 60)[1].startswith("SCAN OK - 2 checks ok, 1 not here | ok=2 ")


def test_scan_that_cannot_begin_is_unknown():
    assert unknown("file:\n wrong | key") == (3, "SCAN UNKNOWN - file: wrong / key")


def test_event_tells_how_many_checks_there_were_and_which_failed():
    reading = reading_of(report(OK, FAILED), "boot-1")

    assert reading.fields == {"ok": 1, "warning": 0, "failed": 1, "not_here": 0, "failed_checks": "failed"}
    assert (reading.node, reading.boot_id, reading.text) == ("node001", "boot-1", "failed: it is failed")


def test_fault_fails_its_check_and_says_what_to_do():
    (check,) = checks_of("nvml", [event("gpu.lost", text="GPU 3 is lost")], KNOWLEDGE, "")

    assert check == Check("nvml", State.FAILED, "GPU 3 is lost", "Reboot it.", "gpu.lost", "gpu 0000:3b:00 on node001")


def test_what_a_program_did_to_itself_does_not_fail_the_node():
    (check,) = checks_of("kernel_log", [event("gpu.xid.13")], KNOWLEDGE, "")

    assert (check.state, check.what) == (State.WARNING, "a program erred")


def test_same_finding_again_is_counted_and_the_gravest_stands_first():
    events = [event("gpu.remap.pending"), event("gpu.lost"), event("gpu.lost", count=4), event("gpu.identity")]

    checks = checks_of("nvml", events, KNOWLEDGE, "")

    assert [(check.kind, check.count) for check in checks] == [("gpu.lost", 5), ("gpu.remap.pending", 1)]


def test_events_that_mean_nothing_leave_the_check_well():
    node = node_component("node001")

    assert checks_of("nvml", [event("gpu.identity", node)], KNOWLEDGE, "8 GPUs") == [Check("nvml", State.OK, "8 GPUs")]


def test_line_for_a_monitoring_system_holds_no_escapes():
    hostile = Check("bmc", State.FAILED, "\x1b]0;title\x07\x1b[31mno LAN\x9b")

    assert nagios(report(hostile), 60)[1].startswith("SCAN CRITICAL - bmc: no LAN | ")
    assert unknown("\x1b[31mno LAN") == (3, "SCAN UNKNOWN - no LAN")
