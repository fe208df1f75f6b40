"""Entry points to collectors, simulators and boards; one that fails is a value and stops no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from clusterwatch.errors import PluginError
from clusterwatch.seams import Collector

COLLECTORS = "clusterwatch.collectors"
SIMULATORS = "clusterwatch.simulators"
DASHBOARDS = "clusterwatch.dashboards"
TRACES = "clusterwatch.traces"


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin that is installed. *load* imports it and may raise anything."""

    name: str
    load: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plugin that was imported: its name and the object that its entry point names."""

    name: str
    target: Any


class DuplicateError(ValueError):
    """Two installed packages give a plugin of the same name."""


def find(group: str, points: Iterable[EntryPoint] | None = None) -> list[Found]:
    """Return the plugins of *group* among *points* (all installed ones), sorted by name, duplicates included."""
    own = entry_points(group=group) if points is None else [point for point in points if point.group == group]
    # One distribution seen twice on the path gives equal entry points: that is one plugin.
    distinct = {(point.name, point.value): point for point in own}
    return [Found(name, distinct[name, value].load) for name, value in sorted(distinct)]


def load_all(group: str, points: Iterable[EntryPoint] | None = None) -> tuple[list[Loaded], list[PluginError]]:
    """Return the plugins of *group* that could be imported, and an error for each that could not.

    Of several of one name none is used: which one would win depends on the order of installation.
    """
    found = find(group, points)
    times = Counter(plugin.name for plugin in found)
    loaded: list[Loaded] = []
    errors = [
        PluginError(name, DuplicateError(f"{count} packages install one of this name; uninstall all but one"))
        for name, count in times.items()
        if count > 1
    ]
    for plugin in (plugin for plugin in found if times[plugin.name] == 1):
        result = _attempted(plugin.name, plugin.load)
        if isinstance(result, PluginError):
            errors.append(result)
        else:
            loaded.append(Loaded(plugin.name, result))
    return loaded, errors


def collectors(
    disabled: Collection[str] = (), points: Iterable[EntryPoint] | None = None
) -> tuple[list[Collector], list[PluginError]]:
    """Return one instance of each collector that is not *disabled*, and an error for each that cannot be had."""
    wanted = entry_points(group=COLLECTORS) if points is None else points
    loaded, errors = load_all(COLLECTORS, [point for point in wanted if point.name not in disabled])
    built = [(plugin.name, _attempted(plugin.name, plugin.target)) for plugin in loaded]
    errors += [result for _, result in built if isinstance(result, PluginError)]
    return [result for _, result in built if not isinstance(result, PluginError)], errors


def unknown_names(named: Iterable[str], group: str = COLLECTORS) -> list[str]:
    """Return those of *named*, sorted, that no installed plugin of *group* has."""
    return sorted(set(named) - {plugin.name for plugin in find(group)})


def _attempted(name: str, make: Callable[[], Any]) -> Any:
    """Return what *make* gives, or the PluginError of what it raised."""
    try:
        return make()
    # A plugin is somebody else's code: whatever it raises must not stop its neighbours.
    except Exception as cause:
        error = PluginError(name, cause)
        error.__cause__ = cause
        return error
