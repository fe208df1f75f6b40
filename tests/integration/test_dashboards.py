"""The SQL of the boards, run on a real PostgreSQL as Grafana would send it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from clusterwatch.model import (
    Cause,
    Changes,
    Component,
    ComponentKind,
    Diagnosis,
    Edge,
    Evidence,
    Incident,
    IncidentState,
    Interruption,
    Job,
    JobState,
    Node,
    NodeState,
    Severity,
    Suspect,
    Trust,
)
from clusterwatch.store import Cursor, Store
from dashboards import overview

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
DAY = (NOON - timedelta(hours=12), NOON + timedelta(hours=12))
BOARD = overview.board()
GPU = Component(ComponentKind.GPU, "3", "node001")
NODE = Component(ComponentKind.NODE, "node002", "node002")


def expanded(query: str, jobs: list[str], span: tuple[datetime, datetime] = DAY) -> str:
    """Return *query* as Grafana sends it: macros and variables replaced.

    Source: https://grafana.com/docs/grafana/latest/datasources/postgres/ (macros) and
    https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/ (formats).
    """
    start, end = (f"'{at:%Y-%m-%dT%H:%M:%SZ}'" for at in span)
    quoted = ",".join("'" + job.replace("'", "''") + "'" for job in jobs)
    query = re.sub(r"\$__timeFilter\(([^()]*)\)", rf"\1 BETWEEN {start} AND {end}", query)
    query = query.replace("$__timeFrom()", start).replace("$__timeTo()", end)
    query = query.replace("$__interval", "'1m'").replace("${job:sqlstring}", quoted)
    assert "$" not in query, "a macro that the test does not know"
    return query


def panel_sql(title: str) -> str:
    (target,) = next(panel for panel in BOARD["panels"] if panel["title"] == title)["targets"]
    return str(target["rawSql"])


def incident(name: str, state: IncidentState, jobs: tuple[str, ...], at: datetime = NOON, **changed: Any) -> Incident:
    seen = Evidence("gpu.xid.79", GPU, Severity.FATAL, Trust.NODE, at, at, 1, ())
    return Incident(name, state, at, at, at, (seen,), jobs, ("node001",), **changed)


def diagnosis(name: str, revision: int, cause: Cause, suspect: Component) -> Diagnosis:
    return Diagnosis(name, revision, cause, 0.75, (), (Suspect(suspect, 1.0),), (), (), "", "", NOON)


def stop(name: str, job: str, incident_id: str | None, *, planned: bool = False, over: bool = True) -> Interruption:
    edges = {Edge.LAST_STEP: NOON} | ({Edge.FIRST_NEW_STEP: NOON + timedelta(minutes=9)} if over else {})
    return Interruption(name, job, 1, incident_id, planned, 7, edges)


SEED = Changes(
    jobs=(
        Job("job-1", "llama", JobState.INTERRUPTED, NOON, NOON),
        Job("job-2", "o'vision", JobState.TRAINING, NOON - timedelta(hours=1), NOON),
    ),
    nodes=(
        Node("node001", NodeState.DRAINED, NOON, reason="GPU fell off the bus"),
        Node("node002", NodeState.SUSPECT, NOON),
        Node("node003", NodeState.IN_SERVICE, NOON),
    ),
    incidents=(
        incident("inc-1", IncidentState.ACTING, ("job-1",)),
        incident("inc-2", IncidentState.OPEN, (), NOON - timedelta(hours=1)),
        incident("inc-3", IncidentState.CLOSED, ("job-2",), closed_at=NOON),
        incident("inc-4", IncidentState.MERGED, ("job-2",), merged_into="inc-1"),
    ),
    diagnoses=(
        diagnosis("inc-1", 1, Cause.UNKNOWN, GPU),
        diagnosis("inc-1", 2, Cause.FAULTY_GPU, GPU),
        diagnosis("inc-3", 1, Cause.NIC, NODE),
    ),
    interruptions=(
        stop("int-1", "job-1", "inc-1", over=False),
        stop("int-2", "job-2", "inc-4"),
        stop("int-3", "job-2", "inc-3", planned=True),
        stop("int-4", "job-2", None),
    ),
)


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    store = Store.open(postgres_url)
    lease = store.acquire("test", 60)
    assert lease is not None
    store.commit_turn(lease, SEED, Cursor(), NOON)
    with psycopg.connect(postgres_url, row_factory=dict_row) as opened:
        yield opened
    store.close()


def rows(connection: psycopg.Connection[dict[str, Any]], query: str) -> list[dict[str, Any]]:
    return connection.execute(query.encode()).fetchall()


def test_open_incidents_show_their_latest_cause_and_first_suspect(connection):
    found = rows(connection, expanded(panel_sql("Open incidents in detail"), ["job-1", "job-2", ""]))

    ages = [row.pop("Age") for row in found]
    assert found == [
        {
            "Cause": "faulty_gpu",
            "Confidence": 0.75,
            "Suspect": "gpu 3 on node001",
            "Jobs": "job-1",
            "State": "acting",
            "Incident": "inc-1",
        },
        {
            "Cause": "not diagnosed yet",
            "Confidence": None,
            "Suspect": "",
            "Jobs": None,
            "State": "open",
            "Incident": "inc-2",
        },
    ]
    assert all(isinstance(age, float) and age > 0 for age in ages)


@pytest.mark.parametrize(("chosen", "shown"), [(["job-1"], ["inc-1"]), ([""], ["inc-2"]), (["job-2"], [])])
def test_open_incidents_are_those_of_the_chosen_jobs(connection, chosen: list[str], shown: list[str]):
    found = rows(connection, expanded(panel_sql("Open incidents in detail"), chosen))

    assert [row["Incident"] for row in found] == shown


def test_interruptions_are_counted_by_the_cause_of_the_incident_that_absorbed_theirs(connection):
    found = rows(connection, expanded(panel_sql("Interruptions by cause"), ["job-1", "job-2", ""]))

    assert {row["Cause"]: (row["Unexpected"], row["Planned"]) for row in found} == {
        "faulty_gpu": (2, 0),
        "nic": (0, 1),
        "unknown": (1, 0),
    }
    assert found[0]["Cause"] == "faulty_gpu"


def test_interruptions_outside_the_time_shown_are_not_counted(connection):
    later = (NOON + timedelta(hours=1), NOON + timedelta(hours=2))

    assert rows(connection, expanded(panel_sql("Interruptions by cause"), ["job-1", "job-2"], later)) == []


def test_nodes_that_are_not_in_service_are_listed_with_the_reason(connection):
    found = rows(connection, expanded(panel_sql("Nodes out of service or suspect"), []))

    assert [(row["Node"], row["State"], row["Why"]) for row in found] == [
        ("node001", "drained", "GPU fell off the bus"),
        ("node002", "suspect", ""),
    ]


def test_interruptions_are_marked_as_spans_and_open_ones_reach_to_now(connection):
    (query,) = [each["target"]["rawSql"] for each in BOARD["annotations"]["list"]]

    found = rows(connection, expanded(query, ["job-1", "job-2", ""]))

    texts = {row["text"]: (row["time"], row["timeend"], row["tags"]) for row in found}
    assert texts["job-2: nic"] == (NOON, NOON + timedelta(minutes=9), "planned")
    assert texts["job-1: faulty_gpu"][0] == NOON
    assert texts["job-1: faulty_gpu"][1] > NOON + timedelta(minutes=9)


def test_jobs_can_be_chosen_by_name_and_none_is_a_choice(connection):
    (variable,) = [each for each in BOARD["templating"]["list"] if each["name"] == "job"]

    found = rows(connection, expanded(variable["query"], []))

    assert [(row["__text"], row["__value"]) for row in found] == [
        ("llama (job-1)", "job-1"),
        ("o'vision (job-2)", "job-2"),
        ("no job", ""),
    ]


def test_every_sql_of_the_board_is_run_here():
    queried = {
        panel["title"]
        for panel in BOARD["panels"]
        for target in panel["targets"]
        if target["datasource"]["uid"] == "${sql}"
    }

    assert queried == {"Open incidents in detail", "Interruptions by cause", "Nodes out of service or suspect"}
