"""The board as Grafana gets it: what every panel must have, and that its queries name what exists."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from clusterwatch.metrics import Metrics
from clusterwatch.model import Event, Interruption, Job, JobState, Severity, Step, StepKind, node_component
from clusterwatch.model.causes import Cause
from dashboards import overview

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
BOARD = overview.board()
PANELS = {panel["title"]: panel for panel in BOARD["panels"]}


def targets(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for title, panel in PANELS.items():
        yield from ((title, target) for target in panel["targets"] if target["datasource"]["type"] == source)


PROMQL = {title: target["expr"] for title, target in targets("prometheus")}


def with_values(expression: str) -> str:
    """Return what Grafana sends: its variables replaced."""
    return expression.replace("$__rate_interval", "1m").replace("$job", "(job-1|job-2)")


def test_board_is_the_same_file_wherever_it_is_loaded():
    assert BOARD["uid"] == "clusterwatch-overview"
    assert BOARD["tags"] == ["clusterwatch"]
    assert 39 <= BOARD["schemaVersion"] <= 42
    assert BOARD["editable"] is False
    assert "id" not in BOARD and "version" not in BOARD
    assert json.loads(json.dumps(BOARD)) == overview.board()


@pytest.mark.parametrize("title", PANELS)
def test_panel_can_be_read_without_asking_its_author(title: str):
    panel = PANELS[title]

    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]


def test_every_panel_has_a_title_of_its_own():
    assert len(PANELS) == len(BOARD["panels"])
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_panels_fill_the_width_and_never_overlap():
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (column, row)
            for column in range(place["x"], place["x"] + place["w"])
            for row in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert {column for column, _ in taken} == set(range(24))


def test_data_sources_are_variables():
    kinds = {variable["name"]: (variable["type"], variable["query"]) for variable in BOARD["templating"]["list"][:2]}
    used = {target["datasource"]["uid"] for panel in BOARD["panels"] for target in panel["targets"]}

    assert kinds == {"datasource": ("datasource", "prometheus"), "sql": ("datasource", "grafana-postgresql-datasource")}
    assert used == {"${datasource}", "${sql}"}


def test_variables_used_are_declared():
    declared = {variable["name"] for variable in BOARD["templating"]["list"]}
    used = re.findall(r"\$\{?(?!__)([a-z]\w*)", json.dumps(BOARD))

    assert set(used) == declared


@pytest.mark.parametrize("title", PROMQL)
def test_promql_is_valid_and_names_only_what_is_exported(title: str):
    expression = with_values(PROMQL[title])

    promql_parser.parse(expression)

    named = set(re.findall(r"clusterwatch_\w+", expression))
    assert named
    assert named <= exported()


@pytest.mark.parametrize("title", PROMQL)
def test_rates_are_taken_over_the_interval_that_fits_the_scrapes(title: str):
    assert set(re.findall(r"\[(.*?)\]", PROMQL[title])) <= {"$__rate_interval"}


@pytest.mark.parametrize("title", PROMQL)
def test_labels_in_a_legend_are_in_the_result(title: str):
    (target,) = PANELS[title]["targets"]

    for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
        assert re.search(rf"by \([\w, ]*\b{label}\b", target["expr"])


def exported() -> set[str]:
    """Return the names of the samples of a process in which everything has happened once."""
    page = Metrics()
    event = Event(
        id="0" * 32,
        kind="gpu.xid.79",
        component=node_component("n"),
        happened_at=NOON,
        observed_at=NOON,
        source="kernel_log",
        severity=Severity.FATAL,
    )
    page.collector_failed("nvml", 1.0)
    page.events_recorded([event])
    page.interruption_began(Interruption("i", "job-1", 1, "inc", False, 1), Cause.UNKNOWN)
    page.step_changed(Step("s", "d", 1, StepKind.ASK, "a", "t", {}, NOON))
    page.show_jobs([Job("job-1", "", JobState.TRAINING, NOON, NOON, last_step=1, last_step_at=NOON)])
    page.show_account("job-1", 0.9, {"detect": 1.0})
    families = text_string_to_metric_families(page.text().decode())
    return {sample.name for family in families for sample in family.samples}
