"""NVIDIA's own diagnostics to readings: `dcgmi diag` at its quick level, of DCGM 3 and 4.

Its JSON differs between the versions: https://docs.nvidia.com/datacenter/dcgm/latest/user-guide/dcgm-diagnostics.html .
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from clusterwatch.app.verdicts import Verdict, readings_of
from clusterwatch.model import Collected, Scalar
from clusterwatch.reading.text import printable
from clusterwatch.seams import Site

NAME = "dcgm"
"""Name of the check, and source of its readings."""

CHECKED, FAILED, WARNING = "scan.checked", "scan.dcgm.failed", "scan.dcgm.warning"
"""Subjects of the readings."""

# dcgmErrorSeverity of dcgm_errors.h: to be watched, and a setting that somebody may correct. Neither is a fault.
_MILD = frozenset({1, 5})

_REPORTS = ("DCGM Diagnostic", "DCGM GPU Diagnostic")
_STATES = {"fail": FAILED, "warn": WARNING}


def diagnosed(site: Site, now: datetime, seconds: float, *, command: str) -> Collected:
    """Return what `dcgmi diag -r 1 -j` finds within *seconds*; a condition where DCGM is not here or cannot run."""
    program = shutil.which(command) if command else None
    if program is None:
        return Collected(condition="no dcgmi here")
    try:
        done = subprocess.run(
            (program, "diag", "-r", "1", "-j"),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Collected(readings_of(NAME, site, now, [(WARNING, f"dcgmi gave no answer: {error}", {})]))
    report = report_in(done.stdout)
    if report is None:
        # Without its host engine dcgmi says so in plain words; that says nothing about the GPUs.
        words = " ".join((done.stdout + done.stderr).split()) or f"exit code {done.returncode}"
        return Collected(condition=printable(f"dcgmi could not run its diagnostics: {words}", 300))
    findings = list(findings_in(report))
    return Collected(readings_of(NAME, site, now, findings), condition="" if findings else "DCGM skipped every test")


def report_in(text: str) -> Mapping[str, Any] | None:
    """Return the report in what dcgmi printed, which may stand among other lines; None when there is none."""
    try:
        document = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except ValueError:
        return None
    reports = (document.get(name) for name in _REPORTS)
    return next((report for report in reports if isinstance(report, dict) and "test_categories" in report), None)


def findings_in(report: Mapping[str, Any]) -> Iterator[Verdict]:
    """Yield what did not pass, test by test; one finding that all is well when all that ran has passed."""
    tests = list(_tests(report))
    found = [finding for test in tests for finding in _of_test(test)]
    passed = sum(_status(result) == "pass" for test in tests for result in _results(test))
    if not found and passed:
        yield CHECKED, f"{passed} of DCGM's tests passed", {}
    yield from found


def _tests(report: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    # Lists of DCGM 3 have nulls between their entries.
    for category in filter(None, report["test_categories"] or ()):
        yield from filter(None, category.get("tests") or ())


def _results(test: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    results = [result for result in test.get("results") or () if result]
    return results or ([test["test_summary"]] if test.get("test_summary") else [])


def _of_test(test: Mapping[str, Any]) -> Iterator[Verdict]:
    for result in _results(test):
        subject = _STATES.get(_status(result))
        if subject is None:
            continue
        warnings = [_warning(each) for each in result.get("warnings") or () if each]
        severities = {severity for _, severity in warnings}
        is_mild = bool(severities) and severities <= _MILD
        said = "; ".join(text for text, _ in warnings) or f"{_status(result)}, without a reason"
        where = _where(result)
        text = printable(f"{test.get('name')}{where}: {said}", 400)
        yield WARNING if is_mild else subject, text, _dcgm_id(result)


def _warning(warning: object) -> tuple[str, int | None]:
    """Return text and severity; DCGM 3 may give the text alone."""
    if not isinstance(warning, dict):
        return str(warning), None
    severity = warning.get("error_severity")
    return str(warning.get("warning", "")), int(severity) if isinstance(severity, int | str) and str(
        severity
    ).isdigit() else None


def _status(result: Mapping[str, Any]) -> str:
    return str(result.get("status", "")).lower()


def _where(result: Mapping[str, Any]) -> str:
    if result.get("entity_group"):
        return f" ({result['entity_group']} {result.get('entity_id')})"
    gpus = result.get("gpu_ids", result.get("gpu_id"))
    return f" (GPU {gpus})" if gpus not in (None, "") else ""


def _dcgm_id(result: Mapping[str, Any]) -> Mapping[str, Scalar]:
    """DCGM's numbers are its own: they are shown, and name no component."""
    number = result.get("entity_id", result.get("gpu_ids", result.get("gpu_id")))
    return {} if number is None else {"dcgm_gpu": str(number)}
