"""How many faults of which cause, to each fault with its time, its part and everyone it strikes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from clusterwatch.model import ComponentKind
from simulators.faults import Law, Lives, Offenders, Placer, Repairs, Struck, failures, scale_for
from simulators.faults.draws import by_share, one_of, seed_from
from simulators.fleet_wording import FaultKind, Harm
from simulators.schedule import seeded
from simulators.trace.counting import Expected, Kinds, expected, shares_of
from simulators.trace.records import Fault, Follows
from simulators.trace.specs import Burst, TraceSpec

_DAY = 86_400.0
_YOUNG_SECONDS = 30 * _DAY

# Programs do not age, and neither do services.
_AGELESS = frozenset({ComponentKind.JOB, ComponentKind.SERVICE, ComponentKind.RANK, ComponentKind.PROCESS})


@dataclass(frozen=True, slots=True)
class Ground:
    """What faults are drawn on: the spec, the kinds, the nodes and the names of the random draws."""

    spec: TraceSpec
    kinds: Kinds
    seed: int
    span: float
    nodes: tuple[str, ...]
    placer: Placer

    def rng(self, *names: object) -> Random:
        """Return a generator of its own for what *names* name."""
        return seeded(self.spec.name, self.seed, *names)

    @property
    def repairs(self) -> Repairs:
        """How long repairs take."""
        return Repairs(self.spec.repairs.median_hours * 3_600.0, self.spec.repairs.sigma)

    @property
    def reboots(self) -> Repairs:
        """How long nodes are away that only reboot."""
        assumed = self.spec.assumptions.get("reboot_seconds")
        return Repairs.of_reboots() if assumed is None else Repairs.of_reboots(assumed.value)

    @property
    def offenders(self) -> Offenders:
        """Who breaks how often: the same nodes for every cause."""
        made = self.spec.offenders
        return Offenders.among(self.nodes, made.nodes_share, made.faults_share, self.rng("lemons"))


def faults_on(ground: Ground, days: float, *, stochastic: bool) -> tuple[Fault, ...]:
    """Return all faults in the order of time; *stochastic*: how many there are is drawn too."""
    draw = _drawn if stochastic else _counted
    offenders = ground.offenders
    found = [fault for each in expected(ground.spec, days) for fault in draw(ground, offenders, each)]
    found += [fault for number, burst in enumerate(ground.spec.burst) for fault in _burst(ground, burst, number)]
    return _numbered(fault for fault in found if fault.at <= ground.span)


def _counted(ground: Ground, offenders: Offenders, each: Expected) -> Iterator[Fault]:
    """Yield exactly as many faults as are counted, at times that fit the law."""
    rng = ground.rng("faults", each.category.name, each.cause)
    shares = shares_of(ground.kinds, each.cause, each.category.kinds) if each.count else {}
    for _ in range(each.count):
        kind = ground.kinds[by_share(shares, rng)]
        law = Law(1.0, _shape(ground, kind))
        at = law.within(_age(ground.spec, rng), ground.span, rng)
        node = offenders.one(rng)
        struck = ground.placer.struck(kind, node, rng.random())
        yield _fault(ground, kind, struck, at, offenders, rng)


def _drawn(ground: Ground, offenders: Offenders, each: Expected) -> Iterator[Fault]:
    """Yield the faults of every part's own life, as many as there are."""
    shares = shares_of(ground.kinds, each.cause, each.category.kinds) if each.mean else {}
    for name, share in shares.items():
        if share:
            mean = each.mean * share / sum(shares.values())
            yield from _lived(
                ground, offenders, ground.kinds[name], mean, ground.rng("lives", each.category.name, name)
            )


def _lived(ground: Ground, offenders: Offenders, kind: FaultKind, mean: float, rng: Random) -> Iterator[Fault]:
    parts_per_node, shape = ground.placer.parts_per_node(kind.component), _shape(ground, kind)
    lives = Lives([_age(ground.spec, rng) for _ in range(len(ground.nodes) * parts_per_node)])
    scale = scale_for(mean, map(partial(lives.age, now=0.0), range(len(lives))), ground.span, shape)
    laws = {hazard: Law(scale * hazard ** (-1.0 / shape), shape) for hazard in _hazards(offenders)}

    def law_of(part: int) -> Law:
        return laws[offenders.hazard_of(ground.nodes[part // parts_per_node])]

    for at, part, _ in failures(lives, law_of, ground.span, partial(ground.repairs.seconds, rng), rng):
        place = (part % parts_per_node + 0.5) / parts_per_node
        struck = ground.placer.struck(kind, ground.nodes[part // parts_per_node], place)
        yield _fault(ground, kind, struck, at, offenders, rng)


def _hazards(offenders: Offenders) -> set[float]:
    return {offenders.hazard_of(node) for node in (*offenders.lemons[:1], "")}


def _burst(ground: Ground, burst: Burst, number: int) -> Iterator[Fault]:
    rng = ground.rng("burst", number)
    shares = shares_of(ground.kinds, burst.cause, burst.kinds)
    nodes = _burst_nodes(ground, burst, rng)
    first: Fault | None = None
    for turn in range(burst.total):
        at, node = burst.at + turn * burst.over_seconds / burst.total, nodes[turn % len(nodes)]
        if first is not None and burst.same_words:
            yield replace(first, at=round(at, 3))
            continue
        kind = ground.kinds[by_share(shares, rng)]
        struck = ground.placer.struck(kind, node, rng.random())
        first = replace(_fault(ground, kind, struck, at, Offenders(()), rng), follows=burst.follows)
        yield first


def _burst_nodes(ground: Ground, burst: Burst, rng: Random) -> Sequence[str]:
    """Return the nodes that the faults of *burst* go round: one, or the first of each of some neighbouring racks."""
    if not burst.racks_total:
        return [one_of(ground.nodes, rng)]
    tor_of = ground.spec.cluster.tor_of
    firsts = list({tor_of(node): node for node in reversed(ground.nodes)}.values())[::-1]
    begin = int(rng.random() * max(1, len(firsts) - burst.racks_total))
    return firsts[begin : begin + burst.racks_total]


def _fault(ground: Ground, kind: FaultKind, struck: Struck, at: float, offenders: Offenders, rng: Random) -> Fault:
    return Fault(
        at=round(at, 3),
        id="",
        cause=kind.cause,
        kind=kind.name,
        component=struck.component,
        nodes=struck.nodes,
        repair_seconds=away_seconds(kind, ground.repairs, ground.reboots, rng),
        seed=seed_from(rng),
        follows=ground.spec.offenders.follows if struck.nodes[0] in offenders.lemons else Follows.SLOT,
    )


def away_seconds(kind: FaultKind, repairs: Repairs, reboots: Repairs, rng: Random) -> float:
    """Return how long a part is away that a fault of *kind* broke: mended, rebooted, or 0 where nothing is wrong."""
    if kind.stays:
        return repairs.seconds(rng)
    return reboots.seconds(rng) if kind.harm is Harm.NODE_DOWN else 0.0


def _shape(ground: Ground, kind: FaultKind) -> float:
    return 1.0 if kind.component in _AGELESS else ground.spec.arrivals.shape


def _age(spec: TraceSpec, rng: Random) -> float:
    """Return the age of a part at the start, in seconds. Never 0, where the hazard of a young part has no end."""
    is_young = rng.random() < spec.arrivals.young_share
    oldest = _YOUNG_SECONDS if is_young else spec.arrivals.oldest_days * _DAY
    return 1.0 + rng.random() * oldest


def _numbered(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    # Of two at the same time, the order in which they were drawn decides: sorted() keeps it.
    ordered = sorted(faults, key=lambda fault: fault.at)
    return tuple(replace(fault, id=f"f{number:04d}") for number, fault in enumerate(ordered, 1))
