"""A pytest plugin: replays of failure traces as a fixture, and scenario files as tests.

    def test_policy(replay):
        result = replay("llama3-54d", policy="my.toml")
        assert result.goodput.ettr > 0.95

A file NAME.scenario.toml is a test too: `trace`, optionally `policy`, `mode`, `seed`, an `[assume]` table, and an
`[expect]` table of figures of the summary, by their dotted names, each a value or {at_least = ..., at_most = ...}.
A trace or policy file is looked for beside it first.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest

if TYPE_CHECKING:
    from clusterwatch.app.replay import Replayed

ENDING = ".scenario.toml"

_KINDS: Mapping[str, tuple[type, str]] = {
    "trace": (str, "the name of a trace or a trace file"),
    "policy": (str, "the name of a policy or a policy file"),
    "mode": (str, "one of observe, suggest, auto"),
    "seed": (int, "a whole number"),
    "assume": (dict, "numbers by the name of an assumption"),
    "expect": (dict, 'figures such as "goodput.ettr" = { at_least = 0.9 }'),
}
_MODES = ("observe", "suggest", "auto")
_REQUIRED = ("trace", "expect")
_BOUNDS: Mapping[str, Callable[[float, float], bool]] = {
    "at_least": lambda value, bound: value >= bound,
    "at_most": lambda value, bound: value <= bound,
    "equals": lambda value, bound: value == bound,
}


@pytest.fixture(scope="session")
def replay() -> Callable[..., Replayed]:
    """Replay a trace: `replay(trace, policy="default", mode="auto", seed=None, **assumptions)`.

    The result has `goodput`, `classification`, `automation`, `interruptions` and `latency_seconds`, as the summary of
    `clusterwatch replay -o json` names them. The same call gives the same result, which is made once.
    """
    made: dict[object, Replayed] = {}

    def run(
        trace: str, policy: str = "default", mode: str = "auto", seed: int | None = None, **assume: float
    ) -> Replayed:
        key = (trace, policy, mode, seed, tuple(sorted(assume.items())))
        if key not in made:
            made[key] = _replayed(trace, policy, mode, seed, assume)
        return made[key]

    return run


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take scenario files for tests."""
    return ScenarioFile.from_parent(parent, path=file_path) if file_path.name.endswith(ENDING) else None


class ScenarioError(Exception):
    """A figure is not what the scenario expects, or the scenario is wrong; the message says which and how."""


class ScenarioFile(pytest.File):
    """A scenario file: one test."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield its test."""
        name = self.path.name.removesuffix(ENDING)
        yield ScenarioItem.from_parent(self, name=name)


class ScenarioItem(pytest.Item):
    """The test of one scenario file."""

    def runtest(self) -> None:
        """Replay, and compare every figure."""
        scenario = tomllib.loads(self.path.read_text(encoding="utf-8"))
        mistakes = list(scenario_mistakes(scenario))
        if mistakes:
            raise ScenarioError("\n".join(mistakes))
        trace, policy = self._found(scenario["trace"]), self._found(scenario.get("policy", "default"))
        mode, seed, assume = scenario.get("mode", "auto"), scenario.get("seed"), scenario.get("assume", {})
        replayed = _replayed(trace, policy, mode, seed, assume)
        summary = replayed.as_json()
        failed = list(unmet(summary, scenario["expect"]))
        if failed:
            raise ScenarioError("\n".join(failed))

    def _found(self, name: str) -> str:
        """Return *name*, or the path of the file of that name beside the scenario."""
        beside = self.path.parent / name
        return str(beside) if beside.is_file() else name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what a person reads when it fails."""
        from clusterwatch.errors import ClusterWatchError

        if isinstance(excinfo.value, ScenarioError | ClusterWatchError | tomllib.TOMLDecodeError):
            return f"{self.path}:\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where it stands and what it is called."""
        return self.path, None, f"scenario {self.name}"


def _replayed(trace: str, policy: str, mode: str, seed: int | None, assume: Mapping[str, float]) -> Replayed:
    # Nothing heavy is imported in test runs that replay nothing.
    from clusterwatch import config
    from clusterwatch.app.replay import Asked, replay
    from clusterwatch.errors import ConfigError, Mistake
    from clusterwatch.model import Mode

    if mode not in _MODES:
        raise ConfigError("replay", [Mistake("mode", f"{mode!r}, expected {_KINDS['mode'][1]}")])
    return replay(Asked(trace, policy, Mode(mode), seed=seed, options=dict(assume)), config.load(None, {}))


def scenario_mistakes(scenario: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a scenario, whatever its trace."""
    for key in sorted(scenario.keys() - _KINDS):
        yield f"{key}: unknown, expected one of {', '.join(sorted(_KINDS))}"
    yield from (f"{key}: missing, expected {_KINDS[key][1]}" for key in _REQUIRED if not scenario.get(key))
    for key in _KINDS.keys() & scenario.keys():
        if not _fits(key, scenario[key]):
            yield f"{key}: {scenario[key]!r}, expected {_KINDS[key][1]}"


def _fits(key: str, value: object) -> bool:
    kind, _ = _KINDS[key]
    if key == "mode":
        return value in _MODES
    if key == "assume" and isinstance(value, dict):
        return all(map(_is_number, value.values()))
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def unmet(summary: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    """Yield the figures of *summary* that are not as *expected*."""
    for name, bounds in _flat(expected):
        value = _figure(summary, name)
        if not _is_number(value):
            yield f"{name}: there is no such figure in the summary"
            continue
        for how, bound in (bounds if isinstance(bounds, dict) else {"equals": bounds}).items():
            if how not in _BOUNDS:
                yield f"{name}: {how!r} is unknown, expected one of {', '.join(_BOUNDS)}"
            elif not _is_number(bound):
                yield f"{name}: {bound!r} is no number that a figure could be compared with"
            elif not _BOUNDS[how](value, bound):
                yield f"{name}: {value:g}, expected {how.replace('_', ' ')} {bound:g}"


def _flat(expected: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield figures by dotted name, however the tables are nested."""
    for key, value in expected.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and not value.keys() & _BOUNDS.keys():
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _figure(summary: Mapping[str, Any], name: str) -> object:
    found: object = summary
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
