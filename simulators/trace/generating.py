"""A spec and a seed to a schedule."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from simulators.cluster import named_numbers
from simulators.faults import Placer
from simulators.fleet_wording import fault_kinds
from simulators.trace.calming import noise_on, planned_on
from simulators.trace.counting import Kinds, slug
from simulators.trace.records import Assumption, Schedule
from simulators.trace.specs import Category, TraceSpec
from simulators.trace.striking import Ground, faults_on

_DEFAULT_STOP_SECONDS = 300.0


def generate(
    spec: TraceSpec, seed: int = 1, *, days: float | None = None, stochastic: bool = False, kinds: Kinds | None = None
) -> Schedule:
    """Return what *spec* gives: always the same for the same arguments.

    Args:
        seed: Chooses times, places, kinds and words.
        days: How long it lasts; as the spec says when not given. Counts are scaled with it.
        stochastic: How many faults there are is drawn too, part by part, each with an age of its own.
        kinds: Kinds of faults by name; those that are shipped when not given.

    Raises:
        ConfigError: Some cause has no kind of fault.
    """
    days = spec.days if days is None else days
    ground = _ground(spec, seed, days, fault_kinds() if kinds is None else kinds)
    stop = spec.assumptions.get("planned_stop_seconds")
    stop_seconds = stop.value if stop is not None else _DEFAULT_STOP_SECONDS
    faults = faults_on(ground, days, stochastic=stochastic)
    planned = planned_on(ground, days, stop_seconds, stochastic=stochastic)
    noise = noise_on(ground, len(faults) + len(planned), days, stochastic=stochastic)
    assumptions = assumed(spec)
    return Schedule(spec.name, seed, spec.start, days, spec.cluster, spec.jobs, assumptions, faults, planned, noise)


def assumed(spec: TraceSpec) -> dict[str, Assumption]:
    """Return every assumption that a trace of *spec* rests on, by name: those it states and those in its tables."""
    values = {name: float(value(spec)) for name, value in _DERIVED.items()} | named_numbers(spec.cluster)
    own = {name: _derived(name, value) for name, value in values.items()}
    counts = [pair for category in spec.category for pair in _of_category(category, spec)]
    return {**own, **dict(counts), **spec.assumptions}


def _ground(spec: TraceSpec, seed: int, days: float, kinds: Kinds) -> Ground:
    empty = Schedule(spec.name, seed, spec.start, days, spec.cluster, spec.jobs)
    job_of = {node: job.id for job in spec.jobs for node in empty.nodes_of(job)}
    placer = Placer(spec.cluster, lambda node: job_of.get(node, ""))
    return Ground(spec, kinds, seed, empty.seconds, tuple(job_of), placer)


_DERIVED: Mapping[str, Callable[[TraceSpec], float]] = {
    "arrival_shape": lambda spec: spec.arrivals.shape,
    "oldest_part_days": lambda spec: spec.arrivals.oldest_days,
    "young_parts_share": lambda spec: spec.arrivals.young_share,
    "lemon_nodes_share": lambda spec: spec.offenders.nodes_share,
    "lemon_faults_share": lambda spec: spec.offenders.faults_share,
    "repair_median_hours": lambda spec: spec.repairs.median_hours,
    "repair_sigma": lambda spec: spec.repairs.sigma,
    "planned_stops": lambda spec: spec.planned.total,
    "planned_announced_share": lambda spec: spec.planned.announced_share,
    "spares": lambda spec: spec.cluster.spares_total,
    "benign_share": lambda spec: spec.noise.share,
}


@cache
def _derived_texts() -> Mapping[str, Any]:
    file = resources.files("simulators") / "trace" / "derived.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _derived(name: str, value: float) -> Assumption:
    text = _derived_texts()[name]
    return Assumption(value, text["unit"], text["source"], value == text.get("published_value"))


def _of_category(category: Category, spec: TraceSpec) -> Iterator[tuple[str, Assumption]]:
    named = slug(category.name)
    unit = "weight" if spec.faults_total else f"faults in {spec.days:g} days"
    memory = "; from memory, not found there again" if category.from_memory else ""
    source = f"{category.source or 'assumption'}{memory}"
    yield f"count_{named}", Assumption(category.count, unit, source, bool(category.source) and not category.from_memory)
    for cause, share in category.causes.items():
        words = f"assumption: {category.why or 'the category is this cause'}"
        yield f"share_{cause}_of_{named}", Assumption(share, "share", words, published=False)
