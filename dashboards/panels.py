"""Titles, queries and units to Grafana's classic dashboard JSON.

1. Classic JSON, because every Grafana from 10 on loads it from a file and through the API.
2. No id, a fixed uid: the same board whether it is provisioned, pushed or imported by hand.
3. Data sources are variables: a board knows no installation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SCHEMA_VERSION = 41
FOLDER_UID = "clusterwatch"
TAG = "clusterwatch"

PROMETHEUS: Json = {"type": "prometheus", "uid": "${datasource}"}
SQL: Json = {"type": "grafana-postgresql-datasource", "uid": "${sql}"}

_COLUMNS = 24
_GREEN_UNTIL_ONE = [{"color": "green", "value": None}, {"color": "orange", "value": 1}]
_PLAIN = [{"color": "text", "value": None}]


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel: its data source and what Grafana sends to it."""

    source: Json
    body: Json


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel before it has a place.

    Attributes:
        kind: Grafana's name of the visualisation, such as "stat".
        description: What a person should know to read it; shown at the panel's "i".
        unit: Grafana's id of the unit, such as "s" or "percentunit".
        column_units: Units of single columns of a table, by the column's name.
    """

    kind: str
    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    width: int
    height: int
    options: Json = field(default_factory=dict)
    defaults: Json = field(default_factory=dict)
    column_units: Mapping[str, str] = field(default_factory=dict)


def promql(expression: str, legend: str = "", *, now_only: bool = False) -> Query:
    """Return a query of Prometheus over the time shown, or at its end only."""
    body = {
        "editorMode": "code",
        "expr": expression,
        "instant": now_only,
        "legendFormat": legend or "__auto",
        "range": not now_only,
    }
    return Query(PROMETHEUS, body)


def sql(query: str) -> Query:
    """Return a query of PostgreSQL whose rows are shown as they are."""
    return Query(SQL, {"editorMode": "code", "format": "table", "rawQuery": True, "rawSql": query.strip()})


def stat(title: str, description: str, query: Query, unit: str = "short", *, worry: bool = False) -> Panel:
    """Return one large number; with *worry* it changes its colour from 1 on."""
    thresholds = {"mode": "absolute", "steps": _GREEN_UNTIL_ONE if worry else _PLAIN}
    options = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    }
    return Panel("stat", title, description, unit, [query], 6, 4, options, {"thresholds": thresholds})


def over_time(title: str, description: str, query: Query, unit: str, *, bars: bool = False) -> Panel:
    """Return lines over time, or stacked bars."""
    drawn = {"drawStyle": "bars" if bars else "line", "fillOpacity": 60 if bars else 10, "showPoints": "never"}
    stacked = {"stacking": {"mode": "normal" if bars else "none", "group": "A"}}
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    defaults = {"custom": drawn | stacked, "min": 0}
    return Panel("timeseries", title, description, unit, [query], 12, 8, options, defaults)


def table(title: str, description: str, query: Query, column_units: Mapping[str, str]) -> Panel:
    """Return rows under headings; a column that is not in *column_units* is plain."""
    options = {"cellHeight": "sm", "showHeader": True, "footer": {"show": False}}
    return Panel("table", title, description, "none", [query], 24, 8, options, {}, column_units)


def bars(title: str, description: str, query: Query, unit: str, category: str) -> Panel:
    """Return a bar chart of rows: one bar, stacked of the number columns, for each value of the column *category*."""
    options = {
        "barWidth": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "orientation": "horizontal",
        "showValue": "auto",
        "stacking": "normal",
        "xField": category,
    }
    return Panel("barchart", title, description, unit, [query], 12, 9, options, {"min": 0})


def gauges(title: str, description: str, query: Query, unit: str) -> Panel:
    """Return one bar for each series, with its last value."""
    options = {
        "displayMode": "basic",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "valueMode": "text",
    }
    defaults = {"min": 0, "thresholds": {"mode": "absolute", "steps": _PLAIN}}
    return Panel("bargauge", title, description, unit, [query], 12, 9, options, defaults)


def board(
    uid: str,
    title: str,
    description: str,
    panels: Iterable[Panel],
    variables: Sequence[Json],
    annotations: Sequence[Json] = (),
) -> Json:
    """Return a board with *panels* placed from left to right and from top to bottom, in the order given."""
    return {
        "annotations": {"list": list(annotations)},
        "description": description,
        "editable": False,
        "graphTooltip": 1,
        "links": [],
        "panels": _placed(panels),
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": [TAG],
        "templating": {"list": list(variables)},
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "utc",
        "title": title,
        "uid": uid,
    }


def source_variable(name: str, label: str, plugin: str) -> Json:
    """Return the choice of a data source of kind *plugin*."""
    return {"hide": 0, "label": label, "name": name, "query": plugin, "refresh": 1, "type": "datasource"}


def rows_variable(name: str, label: str, query: str) -> Json:
    """Return a choice of several, or all, of the rows of *query* (columns `__text` and `__value`)."""
    everything = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return {
        "current": everything,
        "datasource": SQL,
        "hide": 0,
        "includeAll": True,
        "label": label,
        "multi": True,
        "name": name,
        "query": query.strip(),
        "refresh": 2,
        "sort": 0,
        "type": "query",
    }


def annotation(name: str, query: str, colour: str) -> Json:
    """Return spans marked in every panel over time: rows with `time`, `timeend`, `text` and `tags`."""
    return {
        "datasource": SQL,
        "enable": True,
        "iconColor": colour,
        "name": name,
        "target": sql(query).body | {"refId": "Anno"},
    }


def any_of(values: Iterable[str]) -> str:
    """Return a regular expression that matches each of *values*, for a label of Prometheus."""
    return "|".join(str(value) for value in values)


def _placed(panels: Iterable[Panel]) -> list[Json]:
    placed: list[Json] = []
    x = y = row_height = 0
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > _COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        placed.append(_panel_json(panel, number, {"h": panel.height, "w": panel.width, "x": x, "y": y}))
        x, row_height = x + panel.width, max(row_height, panel.height)
    return placed


def _panel_json(panel: Panel, number: int, place: Json) -> Json:
    return {
        "datasource": panel.queries[0].source,
        "description": panel.description,
        "fieldConfig": {"defaults": {"unit": panel.unit, **panel.defaults}, "overrides": _overrides(panel)},
        "gridPos": place,
        "id": number,
        "options": panel.options,
        "targets": [
            {"datasource": query.source, "refId": chr(ord("A") + index), **query.body}
            for index, query in enumerate(panel.queries)
        ],
        "title": panel.title,
        "type": panel.kind,
    }


def _overrides(panel: Panel) -> list[Json]:
    return [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
        for name, unit in panel.column_units.items()
    ]
