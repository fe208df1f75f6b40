"""A report of reliability from a store."""

from datetime import timedelta

import pytest

from clusterwatch.app.weekly import latest_present, report_between
from clusterwatch.errors import ClusterWatchError
from clusterwatch.goodput import Reason
from clusterwatch.model import (
    Changes,
    Decision,
    Incident,
    IncidentState,
    Job,
    JobState,
    Mode,
    Step,
    StepKind,
    StepState,
)
from clusterwatch.store import Store
from clusterwatch.testing import NOON, seconds

DAY = timedelta(days=1)
JOB = Job("job-1", "llama", JobState.STARTING, NOON, NOON + DAY, gpus=8, nodes=("node001",), simulated=True)


@pytest.fixture
def store(tmp_path):
    opened = Store.open(f"sqlite:///{tmp_path / 'clusterwatch.db'}", create=True)
    yield opened
    opened.close()


def write(store, changes):
    _, cursor = store.world(NOON)
    store.commit_turn(store.acquire("test", 60), changes, cursor, NOON)


def failed_check(number):
    name = f"dec-{number}"
    step = Step(f"{name}.1", name, 1, StepKind.CHECK, "site", "node001", {}, NOON + DAY, StepState.FAILED, NOON, "ecc")
    return Decision(name, "inc-000000000001", 1, None, Mode.AUTO, "check", NOON + seconds(number), (step,))


def test_cluster_of_simulated_jobs_ends_where_they_do(store):
    write(store, Changes(jobs=(JOB,)))

    assert latest_present(store.read, NOON + 300 * DAY) == NOON + DAY


def test_job_that_only_waited_was_never_productive(store):
    write(store, Changes(jobs=(JOB,)))

    report = report_between(store.read, NOON - 6 * DAY, NOON + DAY)

    assert report.gpu_hours == {Reason.QUEUE: 24 * 8}
    assert (report.ettr, report.reliability.unexpected, report.offenders) == (0.0, 0, ())


def test_check_that_fails_every_hour_is_asked_about_once(store):
    opened = Incident("inc-000000000001", IncidentState.CLOSED, NOON, NOON, NOON, ())
    write(store, Changes(jobs=(JOB,), incidents=(opened,), decisions=tuple(map(failed_check, range(3)))))

    report = report_between(store.read, NOON - DAY, NOON + DAY)

    assert report.questions == ("inc-000000000001: check of node001 is failed, 3 times by now: ecc",)


def test_time_without_jobs_is_no_report(store):
    with pytest.raises(ClusterWatchError, match="no job lived"):
        report_between(store.read, NOON, NOON + DAY)
