"""For every test: how hypothesis searches, and that continuous integration lets nothing be skipped."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

IS_CI = os.environ.get("CI", "").lower() == "true"

# Pages are drawn as for a pipe. GNU readline, which pytest imports, puts the size of a terminal into the environment of
# the process, and the workers of a parallel run inherit what the process itself never sees in os.environ.
for variable in ("COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE"):
    os.environ.pop(variable, None)

# Whoever starts the tests with nohup, or in the background of a script, has them ignore these; commands inherit that.
for number, disposition in (
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGINT, signal.default_int_handler),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, disposition)

# A deadline measures how busy the machine is, not the code.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if IS_CI else "local")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo a command's set-up of logging, which would write to the captured stream of a test that has ended."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Turn the skip of an integration test into a failure where CI=true."""
    report = yield
    if IS_CI and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("integration"):
        report.outcome = "failed"
        report.longrepr = f"an integration test must not be skipped with CI=true: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Turn the skip of a whole module of integration tests into a failure where CI=true."""
    report = yield
    if IS_CI and report.skipped and "integration" in collector.path.parts:
        report.outcome = "failed"
        report.longrepr = f"integration tests must not be skipped with CI=true: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
