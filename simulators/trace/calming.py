"""What happens that is nobody's fault: stops that somebody planned, and noise that needs nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from clusterwatch.model import Cause, ComponentKind
from simulators.faults.draws import by_share, one_of, poisson, seed_from, some_of
from simulators.fleet_wording import FaultKind, Harm
from simulators.trace.counting import shares_of
from simulators.trace.records import Noise, PlannedStop
from simulators.trace.specs import NoiseBurst
from simulators.trace.striking import Ground

_OF_PROGRAMS = frozenset({ComponentKind.JOB, ComponentKind.RANK, ComponentKind.PROCESS})
_OUTSIDE = ("xid", "user", "foreign", "reboot", "scheduler")


def planned_on(ground: Ground, days: float, stop_seconds: float, *, stochastic: bool) -> tuple[PlannedStop, ...]:
    """Return the planned stops in the order of time, each *stop_seconds* long."""
    planning, rng = ground.spec.planned, ground.rng("planned")
    mean = planning.total * days / ground.spec.days
    total = poisson(mean, rng) if stochastic else round(mean)
    # Exactly the share that is announced, in an order of its own.
    announced = set(some_of(range(total), round(total * planning.announced_share), rng))
    stops = [_planned(ground, number in announced, stop_seconds, rng) for number in range(total)]
    return tuple(
        replace(stop, id=f"p{number:04d}") for number, stop in enumerate(sorted(stops, key=lambda each: each.at), 1)
    )


def _planned(ground: Ground, announced: bool, stop_seconds: float, rng: Random) -> PlannedStop:
    reasons = ground.spec.planned.reasons
    reason = by_share({name: each.weight for name, each in reasons.items()}, rng)
    nodes_total = min(reasons[reason].nodes_total, len(ground.nodes))
    begin = int(rng.random() * (len(ground.nodes) - nodes_total + 1))
    at = round(rng.random() * ground.span, 3)
    nodes = ground.nodes[begin : begin + nodes_total]
    return PlannedStop(at, "", announced, nodes, stop_seconds, reason, seed_from(rng))


def noise_on(ground: Ground, others_total: int, days: float, *, stochastic: bool) -> tuple[Noise, ...]:
    """Return the noise in the order of time, so much that beside *others_total* other records it has its share."""
    noising, rng = ground.spec.noise, ground.rng("noise")
    mean = others_total * noising.share / (1.0 - noising.share)
    total = poisson(mean, rng) if stochastic else round(mean)
    found = list(_scattered(ground, total, rng)) if total else []
    found += _rack_reboots(ground, round(noising.rack_reboots_total * days / ground.spec.days))
    found += [each for number, burst in enumerate(ground.spec.noise_burst) for each in _burst(ground, burst, number)]
    ordered = sorted((each for each in found if each.at <= ground.span), key=lambda each: each.at)
    return tuple(replace(noise, id=f"n{number:06d}") for number, noise in enumerate(ordered, 1))


def _scattered(ground: Ground, total: int, rng: Random) -> Iterator[Noise]:
    outside = ground.spec.noise.outside
    homes = {name: _homes(ground, name in outside, kind) for name, kind in ground.kinds.items()}
    shares = shares_of(ground.kinds, Cause.BENIGN)
    # Without nodes outside the jobs nobody can show what a training node cannot.
    usable = {name: share for name, share in shares.items() if homes[name]}
    for _ in range(total):
        kind = by_share(usable, rng)
        yield _noise(ground, kind, (one_of(homes[kind], rng),), rng.random() * ground.span, rng)


def _homes(ground: Ground, is_outside: bool, kind: FaultKind) -> Sequence[str]:
    """Return the nodes on which noise of *kind* is seen: those with a job for what jobs print; those without for
    reboots and for errors of programs of which a training job would not have survived the like."""
    cluster = ground.spec.cluster
    if kind.component in _OF_PROGRAMS:
        return ground.nodes
    if is_outside or kind.harm is not Harm.NONE or any(word in kind.name for word in _OUTSIDE):
        return (*cluster.spares, *cluster.others)
    return cluster.nodes


def _rack_reboots(ground: Ground, total: int) -> Iterator[Noise]:
    noising, others, rng = ground.spec.noise, ground.spec.cluster.others, ground.rng("rack reboots")
    size = min(noising.rack_nodes_total, len(others))
    for _ in range(total if size else 0):
        begin = int(rng.random() * (len(others) // size)) * size
        kind = by_share(shares_of(ground.kinds, Cause.BENIGN, noising.rack_kinds or _reboots(ground)), rng)
        yield _noise(ground, kind, others[begin : begin + size], rng.random() * ground.span, rng)


def _reboots(ground: Ground) -> tuple[str, ...]:
    return tuple(name for name, kind in ground.kinds.items() if kind.cause is Cause.BENIGN and "reboot" in name)


def _burst(ground: Ground, burst: NoiseBurst, number: int) -> Iterator[Noise]:
    cluster, rng = ground.spec.cluster, ground.rng("noise burst", number)
    choices = cluster.training_nodes if burst.in_job else (*cluster.spares, *cluster.others)
    kind = by_share(shares_of(ground.kinds, Cause.BENIGN, burst.kinds), rng)
    nodes = tuple(some_of(choices or cluster.nodes, burst.nodes_total, rng))
    yield replace(_noise(ground, kind, nodes, burst.at, rng), count=burst.count, over_seconds=burst.over_seconds)


def _noise(ground: Ground, kind: str, nodes: Sequence[str], at: float, rng: Random) -> Noise:
    struck = ground.placer.struck(ground.kinds[kind], nodes[0], rng.random())
    return Noise(round(at, 3), "", kind, tuple(nodes), struck.component, seed_from(rng))
