"""What a trace is made from: a table of what fails how often, on which cluster, under which assumptions."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from clusterwatch.errors import ConfigError, Mistake
from clusterwatch.model import Cause
from simulators.cluster import ClusterSpec
from simulators.tables import Range, from_table
from simulators.trace.checks import NO_FAULTS, Problem, assumption_problems, job_problems
from simulators.trace.records import Assumption, Follows, JobPlan

_NOT_ASSUMED = "no such assumption: what has a table of its own in the spec is set there; the rest are"

Share = Annotated[float, Range(0.0, 1.0)]
Count = Annotated[int, Range(0, 10_000_000)]
Seconds = Annotated[float, Range(0.0, 366 * 86_400.0)]


@dataclass(frozen=True, slots=True)
class Category:
    """A row of somebody's failure statistics, and the causes behind it.

    Attributes:
        name: As the source calls it.
        causes: Share of each cause in it; they need not add up to 1.
        count: Faults of it over the days of the trace; or, where the spec has a total, its weight in it.
        why: Why these causes.
        from_memory: The figure was not found in the source again.
        kinds: Names of the kinds of fault it is limited to; all of its causes when empty.
    """

    name: str
    causes: Mapping[Cause, Share]
    count: Annotated[float, Range(0.0)] = 0.0
    source: str = ""
    why: str = ""
    from_memory: bool = False
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When parts break. Shape 1 is exponential, below 1 young parts break most.

    Attributes:
        oldest_days: Parts are up to so old at the start, any age as likely.
        young_share: Share of parts that were replaced in the last month.
    """

    shape: Annotated[float, Range(0.2, 10.0)] = 1.0
    oldest_days: Annotated[float, Range(0.0, 3_660.0)] = 365.0
    young_share: Share = 0.0


@dataclass(frozen=True, slots=True)
class Offending:
    """Which share of the nodes has which share of the faults, and whether a fault follows that very node."""

    nodes_share: Share = 0.0
    faults_share: Share = 0.0
    follows: Follows = Follows.SLOT


@dataclass(frozen=True, slots=True)
class Mending:
    """How long repairs take: half of them at most *median_hours*; sigma of the logarithm."""

    median_hours: Annotated[float, Range(0.0, 8_784.0)] = 12.0
    sigma: Annotated[float, Range(0.0, 5.0)] = 1.2


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a job is stopped on purpose: how often by comparison, and how many nodes are worked on; 0: the job itself."""

    weight: Annotated[float, Range(above=0.0)]
    nodes_total: Count = 0


@dataclass(frozen=True, slots=True)
class Planning:
    """Stops that somebody planned. *announced_share*: those of which the cluster was told before."""

    total: Count = 0
    announced_share: Share = 1.0
    reasons: Mapping[str, Reason] = field(default_factory=lambda: {"maintenance": Reason(1.0, 2)})


@dataclass(frozen=True, slots=True)
class Noising:
    """What looks like faults and is none.

    Attributes:
        share: Of all that happens, 0-1 (below 1).
        outside: Kinds that no training node shows, beside those that would end a process there.
        rack_kinds: Kinds that a whole rack of somebody else's nodes shows at once; reboots when empty.
        rack_reboots_total: How often that happens.
        rack_nodes_total: Nodes of such a rack.
    """

    share: Annotated[float, Range(0.0, 0.9999)] = 0.0
    outside: tuple[str, ...] = ()
    rack_kinds: tuple[str, ...] = ()
    rack_reboots_total: Count = 0
    rack_nodes_total: Annotated[int, Range(1, 10_000)] = 18


@dataclass(frozen=True, slots=True)
class Burst:
    """Faults of one cause in a short time.

    Attributes:
        at: Seconds after the start when it begins.
        over_seconds: How long it lasts; its faults come at equal distances.
        total: How many faults.
        kinds: Names of the kinds it is limited to; any kind of the cause when empty.
        racks_total: Neighbouring racks among which the faults go round; 0: one node has all of them.
        same_words: All of them say the same, as one bug does.
    """

    at: Seconds
    total: Annotated[int, Range(1, 100_000)]
    cause: Cause
    over_seconds: Seconds = 0.0
    kinds: tuple[str, ...] = ()
    racks_total: Count = 0
    same_words: bool = False
    follows: Follows = Follows.SLOT


@dataclass(frozen=True, slots=True)
class NoiseBurst:
    """The same noise many times. *nodes_total* nodes of others show it, or of the job where *in_job*."""

    at: Seconds
    count: Annotated[int, Range(1, 10_000_000)]
    over_seconds: Seconds = 0.0
    kinds: tuple[str, ...] = ()
    nodes_total: Annotated[int, Range(1, 1_000_000)] = 1
    in_job: bool = False


@dataclass(frozen=True, slots=True)
class TraceSpec:
    """Everything a trace is made from.

    Attributes:
        about: What it is for, in one line.
        faults_total: Faults over the days; 0: the counts of the categories say it.
    """

    name: str
    about: str
    days: Annotated[float, Range(above=0.0, most=3_660.0)]
    cluster: ClusterSpec
    jobs: tuple[JobPlan, ...]
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    faults_total: Count = 0
    category: tuple[Category, ...] = ()
    burst: tuple[Burst, ...] = ()
    arrivals: Arrivals = field(default_factory=Arrivals)
    offenders: Offending = field(default_factory=Offending)
    repairs: Mending = field(default_factory=Mending)
    planned: Planning = field(default_factory=Planning)
    noise: Noising = field(default_factory=Noising)
    noise_burst: tuple[NoiseBurst, ...] = ()
    assumptions: Mapping[str, Assumption] = field(default_factory=dict)


def builtin_names() -> list[str]:
    """Return the names of the traces that are shipped, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in _folder("builtin").iterdir() if _is_toml(file.name))


def builtin_spec(name: str) -> TraceSpec:
    """Return what the shipped trace *name* is made from.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in builtin_names():
        known = ", ".join(builtin_names())
        raise ConfigError(name, [Mistake("trace", f"no such built-in trace: choose one of {known}")])
    return spec_from(tomllib.loads((_folder("builtin") / f"{name}.toml").read_text(encoding="utf-8")), name)


def read_spec(path: Path) -> TraceSpec:
    """Return the spec that the TOML file *path* holds.

    Raises:
        ConfigError: The file cannot be read, or something in it is wrong: holds all mistakes.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise ConfigError(str(path), [Mistake("file", f"cannot be read: {cause}")]) from cause
    return spec_from(table, str(path))


def spec_from(table: Mapping[str, Any], origin: str) -> TraceSpec:
    """Return the spec that *table* describes, with the common assumptions where it makes none of its own.

    Its cluster is a table, or the name of a cluster that is shipped.

    Raises:
        ConfigError: Something in it is wrong: holds all mistakes.
    """
    full = {**table, "assumptions": {**common_assumptions(), **_table(table.get("assumptions"))}}
    if isinstance(table.get("cluster"), str):
        full["cluster"] = _shipped_cluster(table["cluster"], origin)
    spec = from_table(TraceSpec, full, origin)
    problems = [Mistake(place, words) for place, words in _problems(spec)]
    if problems:
        raise ConfigError(origin, problems)
    return spec


def _problems(spec: TraceSpec) -> Iterator[Problem]:
    yield from job_problems(spec.jobs, spec.cluster)
    yield from assumption_problems(spec.assumptions)
    for each in spec.category:
        if not sum(each.causes.values()):
            yield f"category.{each.name}", "has no causes: give each a share"
    causes = {cause for each in spec.category for cause in each.causes} | {each.cause for each in spec.burst}
    for cause in sorted(causes & NO_FAULTS):
        yield "category", f"{cause} is no fault: write it under planned or noise"
    for name in sorted(spec.assumptions.keys() - common_assumptions().keys()):
        yield f"assumptions.{name}", f"{_NOT_ASSUMED} {', '.join(sorted(common_assumptions()))}"
    if spec.faults_total and not sum(each.count for each in spec.category):
        yield "faults_total", "there is no category to share them"


@cache
def common_assumptions() -> Mapping[str, Any]:
    """Return the assumptions of every trace, as tables by name."""
    return tomllib.loads((_folder("") / "assumptions.toml").read_text(encoding="utf-8"))


def _shipped_cluster(name: str, origin: str) -> Mapping[str, Any]:
    file = resources.files("simulators") / "cluster" / f"{name}.toml"
    if not name.isidentifier() or not file.is_file():
        raise ConfigError(origin, [Mistake("cluster", f"no cluster {name[:60]!r} is shipped: write a table [cluster]")])
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _folder(name: str) -> Any:
    folder = resources.files("simulators") / "trace"
    return folder / name if name else folder


def _is_toml(name: str) -> bool:
    return name.endswith(".toml")


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
