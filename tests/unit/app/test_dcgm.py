"""What DCGM's quick diagnostics say, as versions 3 and 4 print it.

Shapes of the reports: NVIDIA's own tests and issues, https://github.com/NVIDIA/DCGM (issue 139 for version 3), and the
release notes for what version 4 changed, https://docs.nvidia.com/datacenter/dcgm/latest/release-notes/changelog.html .
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clusterwatch.app.dcgm import CHECKED, FAILED, WARNING, diagnosed, findings_in, report_in
from clusterwatch.seams import Site

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SITE = Site("node001", "boot-1")


def version_3(*results: dict[str, Any], name: str = "Inforom") -> str:
    passed = {"name": "Denylist", "results": [{"gpu_ids": "0,1", "status": "PASS"}]}
    tests = [passed, None, {"name": name, "results": list(results)}, None]
    return json.dumps(
        {"DCGM GPU Diagnostic": {"test_categories": [{"category": "Deployment", "tests": tests}], "version": "3.3.5"}}
    )


def version_4(*results: dict[str, Any]) -> str:
    tests = [{"name": "software", "results": list(results), "test_summary": {"status": results[0]["status"]}}]
    categories = [{"category": "Deployment", "tests": tests}]
    return json.dumps({"DCGM Diagnostic": {"test_categories": categories}, "metadata": {"version": "4.2.3"}})


def entity(status: str, number: int = 0, **warning: object) -> dict[str, Any]:
    told = {"entity_group": "GPU", "entity_group_id": 1, "entity_id": number, "status": status}
    return {**told, "warnings": [warning]} if warning else told


def found(text: str) -> list[tuple[str, str]]:
    report = report_in(text)
    assert report is not None
    return [(subject, words) for subject, words, _ in findings_in(report)]


def test_report_in_which_all_passed_is_one_finding():
    assert found(version_3({"gpu_ids": "0,1", "status": "PASS"})) == [(CHECKED, "2 of DCGM's tests passed")]
    assert found(version_4(entity("Pass"), entity("Pass", 1))) == [(CHECKED, "2 of DCGM's tests passed")]


def test_skipped_test_is_no_finding():
    assert found(version_4(entity("Pass"), entity("Skip", 1))) == [(CHECKED, "1 of DCGM's tests passed")]


def test_diagnostics_that_skipped_everything_say_nothing(tmp_path: Path):
    program = dcgmi(tmp_path, f"cat <<'END'\n{version_4(entity('Skip'))}\nEND")

    collected = diagnosed(SITE, NOON, 20, command=program)

    assert (collected.readings, collected.condition) == ((), "DCGM skipped every test")


def test_failed_test_is_told_with_its_gpu_and_reason():
    text = version_4(
        entity("Pass"),
        entity("Fail", 5, warning="Row remap failure on GPU 5", error_id=82, error_category=2, error_severity=2),
    )

    assert found(text) == [(FAILED, "software (GPU 5): Row remap failure on GPU 5")]


def test_failure_of_a_setting_is_only_a_warning():
    text = version_4(entity("Fail", 0, warning="Persistence mode for GPU 0 is disabled", error_id=29, error_severity=5))

    assert found(text) == [(WARNING, "software (GPU 0): Persistence mode for GPU 0 is disabled")]


def test_reasons_of_version_3_may_be_plain_text():
    failed = {"gpu_ids": "3", "status": "FAIL", "warnings": ["Inforom is corrupt"]}

    assert found(version_3(failed)) == [(FAILED, "Inforom (GPU 3): Inforom is corrupt")]


def test_failure_without_a_reason_is_a_failure():
    assert found(version_4(entity("Fail", 2))) == [(FAILED, "software (GPU 2): fail, without a reason")]


@pytest.mark.parametrize(
    "text", ["", "Error: unable to connect", "{}", '{"DCGM Diagnostic": {"version": "4.2.3"}}', "{"]
)
def test_what_holds_no_report_gives_none(text: str):
    assert report_in(text) is None


def test_machine_without_dcgm_is_a_stated_condition(tmp_path: Path):
    assert diagnosed(SITE, NOON, 5, command=str(tmp_path / "dcgmi")).condition == "no dcgmi here"
    assert diagnosed(SITE, NOON, 5, command="").condition == "no dcgmi here"


def dcgmi(folder: Path, script: str) -> str:
    program = folder / "dcgmi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_program_is_asked_for_its_quick_level_and_its_report_is_read_among_other_lines(tmp_path: Path):
    report = version_4(entity("Fail", 1, warning="broken", error_severity=2))
    program = dcgmi(
        tmp_path, f"echo \"$@\" > {tmp_path}/asked\necho 'WARNING: hello'\ncat <<'END'\n{report}\nEND\nexit 226"
    )

    collected = diagnosed(SITE, NOON, 20, command=program)

    assert (tmp_path / "asked").read_text() == "diag -r 1 -j\n"
    assert [(each.subject, each.fields) for each in collected.readings] == [(FAILED, {"dcgm_gpu": "1"})]


def test_host_engine_that_does_not_run_is_a_condition_with_its_words(tmp_path: Path):
    program = dcgmi(
        tmp_path, "echo 'Error: unable to establish a connection to the specified host: localhost' >&2; exit 1"
    )

    collected = diagnosed(SITE, NOON, 20, command=program)

    assert "unable to establish a connection" in collected.condition
    assert collected.readings == ()


def test_dcgm_that_hangs_is_a_warning_at_its_deadline(tmp_path: Path):
    program = dcgmi(tmp_path, "exec sleep 60")

    (reading,) = diagnosed(SITE, NOON, 0.2, command=program).readings

    assert (reading.subject, "timed out" in reading.text) == (WARNING, True)


def test_lists_may_be_missing_or_have_holes():
    results = [None, {"gpu_ids": "0", "status": "FAIL", "warnings": None}]
    tests = [None, {"name": "Memory", "results": results}, {"name": "PCIe", "results": None}]
    report = {"test_categories": [None, {"tests": None}, {"tests": tests}]}

    assert [words for _, words, _ in findings_in(report)] == ["Memory (GPU 0): fail, without a reason"]
    assert list(findings_in({"test_categories": None})) == []
