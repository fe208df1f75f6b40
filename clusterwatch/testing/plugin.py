"""A pytest plugin: replays of failure traces as a fixture, and scenario files as tests.

    def test_policy(replay):
        result = replay("llama3-54d", policy="my.toml")
        assert result.goodput.ettr > 0.95

A file NAME.scenario.toml is a test too: `trace`, optionally `policy`, `mode`, `seed`, an `[assume]` table, and an
`[expect]` table of figures of the summary, by their dotted names, each a value or {at_least = ..., at_most = ...}.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from clusterwatch.app.replay import Replayed

ENDING = ".scenario.toml"

_KEYS = frozenset({"trace", "policy", "mode", "seed", "assume", "expect"})
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
        policy, mode = scenario.get("policy", "default"), scenario.get("mode", "auto")
        replayed = _replayed(scenario["trace"], policy, mode, scenario.get("seed"), scenario.get("assume", {}))
        summary = replayed.as_json()
        failed = list(unmet(summary, scenario["expect"]))
        if failed:
            raise ScenarioError("\n".join(failed))

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
    from clusterwatch.model import Mode

    return replay(Asked(trace, policy, Mode(mode), seed=seed, options=dict(assume)), config.load(None, {}))


def scenario_mistakes(scenario: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a scenario, whatever its trace."""
    for key in sorted(scenario.keys() - _KEYS):
        yield f"{key}: unknown, expected one of {', '.join(sorted(_KEYS))}"
    if not isinstance(scenario.get("trace"), str):
        yield "trace: missing, expected the name of a trace or a trace file"
    if not isinstance(scenario.get("expect"), dict) or not scenario["expect"]:
        yield 'expect: missing, expected figures such as "goodput.ettr" = { at_least = 0.9 }'


def unmet(summary: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    """Yield the figures of *summary* that are not as *expected*."""
    for name, bounds in _flat(expected):
        value = _figure(summary, name)
        if not isinstance(value, int | float):
            yield f"{name}: there is no such figure in the summary"
            continue
        for how, bound in (bounds if isinstance(bounds, dict) else {"equals": bounds}).items():
            if how not in _BOUNDS:
                yield f"{name}: {how!r} is unknown, expected one of {', '.join(_BOUNDS)}"
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
