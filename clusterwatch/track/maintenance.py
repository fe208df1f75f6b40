"""Announced work to maintenance windows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from clusterwatch.model import Event, MaintenanceWindow, kinds


def announced_windows(events: Iterable[Event]) -> tuple[MaintenanceWindow, ...]:
    """Return the windows that *events* announce or change; one that is called off ends when that was seen."""
    windows = {}
    for event in events:
        if event.kind == kinds.MAINTENANCE and (window := _window(event)) is not None:
            windows[window.id] = window
    return tuple(windows.values())


def _window(event: Event) -> MaintenanceWindow | None:
    """Return what *event* announces; None where it does not say when or where."""
    fields = {name: str(event.fields.get(name) or "") for name in ("name", "nodes", "starts_at", "ends_at")}
    try:
        starts_at, ends_at = (datetime.fromisoformat(fields[name]) for name in ("starts_at", "ends_at"))
    except ValueError:
        return None
    if event.fields.get("over"):
        ends_at = min(ends_at, event.happened_at)
        starts_at = min(starts_at, ends_at)
    nodes = tuple(name for name in fields["nodes"].split(",") if name)
    name = f"{event.source}/{fields['name']}"
    return MaintenanceWindow(name, nodes, starts_at, ends_at, fields["name"], event.source) if nodes else None
