"""What must not change a diagnosis does not: harmless lines, order, repeats, prefixes; what it rests on does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import all_cases
from clusterwatch.app.offline import diagnose_text
from clusterwatch.classify import Circumstances, diagnose
from clusterwatch.classify.scoring import Case
from clusterwatch.correlate import Limits, add_events
from clusterwatch.model import Cause, Component, ComponentKind, Diagnosis, Severity, Topology, Trust
from clusterwatch.testing import NOON, event, seconds
from offenders import assert_none
from shipped import shipped_log_catalog

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
CATALOG = shipped_log_catalog()
CASES = all_cases()

HARMLESS = (
    "node001:4711:4790 [3] NCCL INFO Channel 05/0 : 3[3] -> 4[4] via P2P/CUMEM/read",
    "node001:4711:4790 [3] NCCL INFO Connected all rings",
    " iteration     1200/  500000 | consumed samples:      1228800 | lm loss: 2.310922E+00 | grad norm: 0.412 |",
    "[2026-01-20 11:58:03][rank0] step: 120  loss: 2.3071  memory: 41.20GiB(52.1%)  tps: 7,310",
    "Jan 20 11:58:04 node001 systemd[1]: Started Session 4121 of User trainer.",
    "[ 1201.224411] usb 1-1.2: new high-speed USB device number 5 using xhci_hcd",
    "/opt/venv/lib/python3.11/site-packages/torch/nn/modules/module.py:1501: FutureWarning: this will change",
    "{'loss': 2.1184, 'grad_norm': 0.8812, 'learning_rate': 4.98e-05, 'epoch': 0.03}",
    "",
)

STYLES = {
    "syslog": "Jan 20 11:58:04 node001 app[4711]: {}",
    "iso": "2026-01-20T11:58:04.123456Z {}",
    "date and milliseconds": "2026-01-20 11:58:04,123 {}",
    "kubectl --timestamps": "2026-01-20T11:58:04.123456789Z {}",
    "kubectl --prefix": "[pod/train-worker-0/pytorch] {}",
    "container runtime": "2026-01-20T11:58:04.123456789Z stderr F {}",
    "windows line end": "{}\r",
    "colours": "\x1b[31m{}\x1b[0m",
}


def diagnosed(text: str) -> Diagnosis | None:
    return next(iter(diagnose_text(text, CATALOG, NOW)), None)


def cause_of(text: str) -> Cause:
    found = diagnosed(text)
    return found.cause if found else Cause.BENIGN


@given(st.sampled_from(CASES), st.lists(st.tuples(st.sampled_from(HARMLESS), st.booleans()), max_size=8))
def test_harmless_lines_around_a_failure_change_nothing(case: Case, lines: list[tuple[str, bool]]):
    before = "\n".join(line for line, is_before in lines if is_before)
    after = "\n".join(line for line, is_before in lines if not is_before)

    assert cause_of(f"{before}\n{case.text}\n{after}") is cause_of(case.text)


@pytest.mark.parametrize("line", HARMLESS)
def test_no_failure_is_changed_by_any_harmless_line(line: str):
    told = [(case.id, cause_of(case.text), cause_of(f"{line}\n{case.text}\n{line}")) for case in CASES]

    assert_none([f"{name}: {alone}, then {beside}" for name, alone, beside in told if beside is not alone])


@pytest.fixture(scope="module")
def causes() -> dict[str, Cause]:
    """What each example of a rule that reads the lines of all sources says by itself."""
    return {line: cause_of(line) for rule in CATALOG.rules if not rule.collectors for line in rule.match}


@pytest.mark.parametrize("style", STYLES)
def test_line_means_the_same_whatever_carries_it(causes: dict[str, Cause], style: str):
    assert_none([line for line, cause in causes.items() if cause_of(STYLES[style].format(line)) is not cause])


def test_line_of_a_container_runtime_as_json_means_the_same(causes: dict[str, Cause]):
    assert_none([line for line, cause in causes.items() if cause_of(_container_record(line)) is not cause])


def _container_record(line: str) -> str:
    return json.dumps({"log": f"{line}\n", "stream": "stderr", "time": "2026-01-20T11:58:04.123456789Z"})


@given(st.sampled_from(CASES), st.integers(2, 40))
def test_text_that_is_there_many_times_means_the_same(case: Case, times: int):
    assert cause_of("\n".join([case.text] * times)) is cause_of(case.text)


def test_without_the_line_that_decides_nothing_else_becomes_certain():
    assert_none([case.id for case in CASES if _is_sure_of_another_cause_without_its_deciding_line(case)])


def _is_sure_of_another_cause_without_its_deciding_line(case: Case) -> bool:
    before = diagnosed(case.text)
    if before is None or not before.evidence or before.confidence < 0.5:
        return False
    deciding = before.evidence[0].text
    rest = "\n".join(line for line in case.text.split("\n") if deciding not in line and line.strip() not in deciding)

    after = diagnosed(rest)

    is_another = after is not None and not case.accepts(after.cause) and not after.is_undetermined
    return is_another and after.confidence >= 0.8


RANKS = 256
GPU = Component(ComponentKind.GPU, "0000:3b:00", "node007")


@given(st.randoms(use_true_random=False), st.floats(-30, 30))
def test_one_broken_gpu_explains_all_ranks_that_wait_for_it_in_any_order(random: Random, skew: float):
    events = _a_lost_gpu_and_what_follows(random, skew)
    random.shuffle(events)

    grouped = add_events({}, events, CATALOG.knowledge, {}, Topology(), Limits(opens_at=Severity.WARNING), NOW)

    (incident,) = grouped.incidents.values()
    diagnosis = diagnose(incident, CATALOG.knowledge, Circumstances(), 1, NOW)
    assert diagnosis.cause is Cause.FAULTY_GPU
    assert diagnosis.suspects[0].component == GPU


def _a_lost_gpu_and_what_follows(random: Random, skew: float) -> list:
    """Return Xid 79 on one node whose clock is *skew* seconds off, and the timeouts of all ranks of its job."""
    lost = event("gpu.xid.79", GPU, NOON + seconds(skew), trust=Trust.NODE, job="job-1")
    return [lost, *(_timeout(rank, random) for rank in range(RANKS))]


def _timeout(rank: int, random: Random):
    where = Component(ComponentKind.RANK, str(rank), f"node{rank // 8:03d}")
    at = NOON + timedelta(seconds=random.uniform(1, 25))
    return event("nccl.watchdog_timeout", where, at, job="job-1", attempt=1, rank=rank, trust=Trust.USER)
