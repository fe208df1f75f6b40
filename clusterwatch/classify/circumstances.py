"""What is known beside an incident's own evidence, and what that says about its cause.

1. Where work was announced, what stops is no fault.
2. What strikes several nodes at once under one switch, rack or power domain sits there.
3. A component that was to blame before is so again more likely than one that never was.
4. Work on a node that was not announced and that takes the node from a running job is no planned stop of the job.
5. What the same GPU tells of itself at two stops, or again after a restart, sits there, the more where the steps
   differ, because the data are the same then; and so does what comes back until a node is left out.
6. What tells of itself when the job becomes slow is what the others wait for.
7. Where adapters, disks and GPUs of one node go together, what they hang on went.
8. What a process says that is the first of its job to end is why it ended, and no other process took it along.
9. What stops a job within hours after its loss went wrong is likelier a part that computes wrongly, the more where
   a test of its GPUs fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clusterwatch.classify.passing import passed
from clusterwatch.model import (
    HARDWARE_CAUSES,
    Cause,
    Component,
    ComponentKind,
    Evidence,
    History,
    Knowledge,
    Placement,
    Role,
    Topology,
    Trust,
    node_component,
)

FEWEST_NODES = 3
"""From how many nodes on a place they share is suspected; two may be chance."""

MOST_APART = timedelta(minutes=2)
_PLANNED_WEIGHT = 8.0
_PER_TIME_BLAMED, _MOST_FOR_HISTORY = 0.7, 1.5

_NETWORK = {Cause.NETWORK_SWITCH_CABLE: 2.5}
_POWER = {Cause.POWER_SUPPLY: 2.0, Cause.HOST_MAINTENANCE: 1.0, Cause.SERVER_CHASSIS: 0.5, Cause.FAULTY_GPU: -1.5}
_SILENT = {**_POWER, Cause.NETWORK_SWITCH_CABLE: 0.8}
_SHARED_CAUSE: Mapping[Cause | None, Mapping[Cause, float]] = {
    Cause.NETWORK_SWITCH_CABLE: _NETWORK,
    Cause.NIC: _NETWORK,
    Cause.GPU_NVLINK: _NETWORK,
    Cause.POWER_SUPPLY: _POWER,
    Cause.SERVER_CHASSIS: _POWER,
    Cause.HOST_MAINTENANCE: _POWER,
    Cause.FAULTY_GPU: _POWER,
    Cause.IO_EXPANSION_BOARD: _POWER,
    Cause.UNKNOWN: _SILENT,
}
"""What a cause on each of several neighbours says about what they share."""

_TAKEN_FROM_A_JOB = (
    "slurm.lost_a_node",
    "slurm.node_failure",
    "slurm.requeued",
    "nccl.connection_closed",
    "nccl.remote_error",
    "nccl.ib_completion_error",
    "gloo.connection_closed",
)
"""What is said where a node went while its job was at work: by the scheduler, or by the ranks on other nodes."""

_UNANNOUNCED_WEIGHT = 3.5
_WRONG = {Cause.SILENT_DATA_CORRUPTION: 2.5, Cause.SOFTWARE_BUG: 1.0}
_WRONG_AND_TESTED = {Cause.SILENT_DATA_CORRUPTION: 4.0, Cause.FAULTY_GPU: -1.5}
_TESTS = ("slurm.node.drain_gpu", "node.check_failed", "scan.computation_failed", "scan.dcgm.failed")
"""What says that a GPU did not pass a test. One that computed for an hour before that is not broken as a whole."""
_ON_A_BOARD = frozenset({ComponentKind.GPU, ComponentKind.NIC, ComponentKind.DISK})
_BEHIND_A_BOARD = {Cause.IO_EXPANSION_BOARD: 2.5, Cause.FAULTY_GPU: -1.5, Cause.NIC: -1.5, Cause.SSD: -1.5}
"""What goes with others of another kind within a minute did hardly break by itself."""

_ENDED = "process.exit."
_LAST_WORDS: Mapping[str, Mapping[Cause, float]] = {"torch.store_lost": {Cause.DEPENDENCY: 3.2}}
"""What it says that the first process to end had said something which another one that ends makes all others say."""

AGAIN_WITHIN = timedelta(minutes=5)
"""What comes again comes this near to both stops."""

NEAR_STEPS = 1
"""Stops this near to each other may be at the same step: the last one before the stop may not have been told."""

SLOWED_WITHIN = timedelta(minutes=1)
_SLOWED_WEIGHT = 1.5
_AGAIN_WEIGHT = 2.0
_CURED_WEIGHT = 3.5
"""Of a mistake in a program nine in ten come back on other nodes; of a broken part none."""

_SWITCHES = ("switch", "leaf", "tor", "spine", "rail", "net")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known beside the evidence.

    Attributes:
        watched: Names of the collectors that work on the incident's nodes: what they did not see is absent.
        placements: Where the ranks of its jobs run, to name nodes and GPUs of suspect ranks.
        outlived_at: Until when the interrupted jobs still made steps: what they lived on after did not stop them.
        planned: Nodes on which work was announced for the time of the incident.
        topology: Who is near whom.
        history: Of ended incidents.
        stops: When the attempts that the incident ended made their last steps.
        stop_steps: The last steps of those attempts, by when they made them.
        slowed: Since when those of them were slow that were.
        went_wrong: When the loss went wrong of those that trained on for a while after it.
        restarted_at: Since when a job that the incident had stopped runs again; None while it stands.
        cured_without: Nodes without which a job goes on that had not gone on with them more than once.
        murmurs: How often in a day each kind of evidence comes of late and nothing follows.
        uncounted: For how many nodes that count is missing still, because it has only just begun.
        nodes_total: On how many nodes the jobs run that were counted.
    """

    watched: frozenset[str] = frozenset()
    placements: tuple[Placement, ...] = ()
    outlived_at: datetime | None = None
    planned: frozenset[str] = frozenset()
    topology: Topology = field(default_factory=Topology)
    history: History = field(default_factory=History)
    stops: tuple[datetime, ...] = ()
    stop_steps: Mapping[datetime, int] = field(default_factory=dict)
    slowed: tuple[datetime, ...] = ()
    went_wrong: tuple[datetime, ...] = ()
    restarted_at: datetime | None = None
    cured_without: frozenset[str] = frozenset()
    murmurs: Mapping[str, float] = field(default_factory=dict)
    uncounted: float = 0.0
    nodes_total: int = 1


@dataclass(frozen=True, slots=True)
class Remark:
    """One circumstance that speaks: in words, in nats for each cause, and whom it points to."""

    words: str
    weights: Mapping[Cause, float]
    suspects: tuple[Component, ...] = ()


def remarks(evidence: Iterable[Evidence], knowledge: Knowledge, known: Circumstances) -> tuple[Remark, ...]:
    """Return what the circumstances say about an incident with this *evidence*."""
    evidence = tuple(evidence)
    telling = [each for each in evidence if knowledge[each.kind].role in (Role.FAULT, Role.SUSPECT)]
    faults = [each for each in telling if knowledge[each.kind].role is Role.FAULT]
    own = [each for each in faults if each.trust is Trust.NODE]
    of_nodes = [each for each in telling if each.trust is Trust.NODE or knowledge[each.kind].role is Role.FAULT]
    return (
        *_planned(telling, known),
        *_unannounced(telling, evidence, knowledge, known),
        *_shared(of_nodes, knowledge, known),
        *_behind_one_board(own, knowledge),
        *_repeated(telling, known),
        *_slowed(telling, evidence, knowledge, known),
        *_went_wrong(telling, known),
        *_again(telling, knowledge, known),
        *_cured(telling, knowledge, known),
        *_last_words(evidence),
    )


def _unannounced(
    telling: Iterable[Evidence], evidence: Iterable[Evidence], knowledge: Knowledge, known: Circumstances
) -> Iterator[Remark]:
    worked_on = {
        each.component.node for each in telling if knowledge[each.kind].weights.get(Cause.PLANNED_MAINTENANCE, 0.0) >= 2
    }
    nodes = worked_on - known.planned - {""}
    if nodes and any(each.kind.startswith(_TAKEN_FROM_A_JOB) for each in evidence):
        words = f"A job was running on {_listed(nodes)} still, and no work was announced"
        yield Remark(words, {Cause.HOST_MAINTENANCE: _UNANNOUNCED_WEIGHT}, tuple(map(node_component, sorted(nodes))))


def _behind_one_board(faults: Iterable[Evidence], knowledge: Knowledge) -> Iterator[Remark]:
    gone: dict[str, set[ComponentKind]] = {}
    for each in faults:
        if knowledge[each.kind].weights.get(Cause.IO_EXPANSION_BOARD, 0.0) > 0 and each.component.kind in _ON_A_BOARD:
            gone.setdefault(each.component.node, set()).add(each.component.kind)
    for node in sorted(name for name, parts in gone.items() if len(parts) > 1):
        words = f"Several kinds of devices of {node} failed together"
        yield Remark(words, _BEHIND_A_BOARD, (node_component(node),))


def _last_words(evidence: Sequence[Evidence]) -> Iterator[Remark]:
    first = first_to_end(evidence)
    for each in evidence if first is not None else ():
        weights = _LAST_WORDS.get(each.kind)
        # What an agent prints is of its job: there it is the order that tells.
        is_its_own = first is not None and each.component.node in ("", first.component.node)
        if weights and first is not None and is_its_own and each.first_at <= first.first_at:
            yield Remark("No process of the job had ended before it was told", weights)
            return


def first_to_end(evidence: Iterable[Evidence]) -> Evidence | None:
    """Return what tells of the first process that ended; None where none did, or only others say so."""
    ended = (each for each in evidence if each.kind.startswith(_ENDED) and each.trust is Trust.NODE)
    return min(ended, key=lambda each: each.first_at, default=None)


def _planned(telling: Iterable[Evidence], known: Circumstances) -> Iterator[Remark]:
    nodes = {each.component.node for each in telling} - {""}
    if nodes and nodes <= known.planned:
        yield Remark(f"Work was announced on {_listed(nodes)}", {Cause.PLANNED_MAINTENANCE: _PLANNED_WEIGHT})


def _shared(telling: Iterable[Evidence], knowledge: Knowledge, known: Circumstances) -> Iterator[Remark]:
    """Yield what it says that nodes which share a place say the same of themselves at once: of the most nodes."""
    by_cause: dict[Cause | None, dict[str, Evidence]] = {}
    for each in sorted(telling, key=lambda one: one.first_at) if known.topology.neighbourhoods else ():
        if each.component.node:
            by_cause.setdefault(knowledge[each.kind].leading_cause, {}).setdefault(each.component.node, each)
    for cause, by_node in sorted(by_cause.items(), key=lambda pair: -len(pair[1])):
        times = [each.first_at for each in by_node.values()]
        weights = _SHARED_CAUSE.get(cause) if len(by_node) >= FEWEST_NODES else None
        place = _common_place(by_node, known.topology) if weights else ""
        if place and weights and max(times) - min(times) <= MOST_APART:
            words = f"{len(by_node)} nodes that share {place} failed within {(max(times) - min(times)).seconds} s"
            yield Remark(words, weights, (_place_component(place),))
            return


def _common_place(nodes: Iterable[str], topology: Topology) -> str:
    """Return the smallest neighbourhood that holds all *nodes*; "" when none does."""
    common = frozenset.intersection(*(topology.near(node) for node in nodes))
    members = Counter(place for places in topology.neighbourhoods.values() for place in places if place in common)
    return min(members, key=lambda place: (members[place], place), default="")


def _place_component(place: str) -> Component:
    is_switch = place.lower().startswith(_SWITCHES)
    return Component(ComponentKind.SWITCH if is_switch else ComponentKind.RACK, place)


def _repeated(telling: Iterable[Evidence], known: Circumstances) -> Iterator[Remark]:
    struck = {component for each in telling for component in (each.component, node_component(each.component.node))}
    for component in sorted(struck & known.history.blamed.keys()):
        times = known.history.blamed[component]
        cause, count = max(times.items(), key=lambda pair: (pair[1], pair[0]))
        words = f"{component} was to blame for {cause.value} {count} time{'s' if count > 1 else ''} before"
        yield Remark(words, {cause: min(_PER_TIME_BLAMED * count, _MOST_FOR_HISTORY)}, (component,))


def comes_again(evidence: Iterable[Evidence], stops: Sequence[datetime]) -> bool:
    """Say whether *evidence* of one part stands at two of the *stops*: of all parts of a fleet, hardly by chance."""
    times = {at for each in evidence if each.component.node for at in (each.first_at, each.last_at)}
    nearest = ((at, min(stops, key=lambda stop: abs(at - stop))) for at in times if stops)
    return len({stop for at, stop in nearest if abs(at - stop) <= AGAIN_WITHIN}) > 1


def _slowed(
    telling: Iterable[Evidence], evidence: Iterable[Evidence], knowledge: Knowledge, known: Circumstances
) -> Iterator[Remark]:
    """Yield what parts say that told of themselves when the job became slow: all others wait for the slowest.

    What was over at once, as a link that flapped, keeps nobody waiting for long.
    """
    told: dict[Cause, list[Component]] = {}
    for each in telling:
        cause = knowledge[each.kind].leading_cause
        is_at_once = any(abs(each.first_at - at) <= SLOWED_WITHIN for at in known.slowed)
        is_telling = cause in HARDWARE_CAUSES and each.trust is Trust.NODE and is_at_once
        if is_telling and cause is not None and not passed(each, evidence, knowledge):
            told.setdefault(cause, []).append(each.component)
    for cause, parts in told.items():
        more = f" and {len(set(parts)) - 1} more" if len(set(parts)) > 1 else ""
        words = f"{parts[0]}{more} told of themselves when the job became slow"
        yield Remark(words, {cause: _SLOWED_WEIGHT}, tuple(dict.fromkeys(parts)))


def _went_wrong(telling: Iterable[Evidence], known: Circumstances) -> Iterator[Remark]:
    """Yield what it says that the loss of the job went wrong before: wrong numbers are what corrupt data looks like."""
    if not known.went_wrong:
        return
    tested = tuple(node_component(each.component.node) for each in telling if each.kind.startswith(_TESTS))
    words = f"The loss of the job had gone wrong at {max(known.went_wrong):%H:%M:%S} UTC"
    if tested:
        yield Remark(f"{words}, and a GPU failed a test since", _WRONG_AND_TESTED, tuple(dict.fromkeys(tested)))
    else:
        yield Remark(words, _WRONG)


def _again(telling: Iterable[Evidence], knowledge: Knowledge, known: Circumstances) -> Iterator[Remark]:
    """Yield what the same GPU says that told of itself at two stops, or again after the restart.

    A program's mistake seldom picks the same one of many, but for one that the data of a rank brings about: that comes
    again at the same step. So does the same rank on the same node only count where the steps differ.
    """
    of_part: dict[Component, list[Evidence]] = {}
    for each in telling:
        if each.component.kind in (ComponentKind.GPU, ComponentKind.RANK) and each.component.node:
            of_part.setdefault(each.component, []).append(each)
    for part, told in of_part.items():
        causes = _hardware_in(told, knowledge)
        elsewhere = _at_another_step(told, known)
        is_again = comes_again(told, known.stops) or _on_both_sides(told, known.restarted_at)
        if causes and is_again and (elsewhere or part.kind is ComponentKind.GPU):
            weights = dict.fromkeys(causes, _AGAIN_WEIGHT)
            if elsewhere:
                weights[Cause.SOFTWARE_BUG] = -_AGAIN_WEIGHT
            step = ", at another step" if elsewhere else ""
            words = f"{part} told of itself before{step}, when the job stopped the time before"
            yield Remark(words, weights, (part,))
            return


def _at_another_step(told: Iterable[Evidence], known: Circumstances) -> bool:
    """Say whether the stops at which a part told of itself came at different steps: the same data do not do that."""
    times = {at for each in told for at in (each.first_at, each.last_at)} if known.stop_steps else set()
    stops = {min(known.stop_steps, key=lambda stop: abs(at - stop)) for at in times}
    steps = [known.stop_steps[stop] for stop in stops]
    return len(steps) > 1 and max(steps) - min(steps) > NEAR_STEPS


def _on_both_sides(told: Iterable[Evidence], restarted_at: datetime | None) -> bool:
    """Say whether a part told of itself before the job was restarted, and again after that."""
    sides = {at >= restarted_at for each in told for at in (each.first_at, each.last_at)} if restarted_at else set()
    return len(sides) > 1


def _cured(telling: Iterable[Evidence], knowledge: Knowledge, known: Circumstances) -> Iterator[Remark]:
    """Yield what a job says that went on once a node was left out: what a program does it would do elsewhere too."""
    telling = tuple(telling)
    for node in sorted(known.cured_without):
        told = [each for each in telling if each.component.node == node]
        causes = _hardware_in(told, knowledge)
        if causes and comes_again(told, known.stops):
            words = f"It came back until {node} was left out"
            yield Remark(words, dict.fromkeys(causes, _CURED_WEIGHT), (node_component(node),))


def _hardware_in(told: Iterable[Evidence], knowledge: Knowledge) -> frozenset[Cause]:
    """Return the faults of hardware that *told* speaks for at all."""
    weights = (knowledge[each.kind].weights for each in told)
    return HARDWARE_CAUSES & {cause for each in weights for cause, weight in each.items() if weight > 0}


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(ordered[:3]) + more
