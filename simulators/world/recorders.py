"""A job that hangs to what the flight recorders of its ranks hold.

Every rank waits in the newest call of the group of all ranks, but for those that were struck: `Stands` says where they
stand. A node's ranks answer together or not at all. What holds the same is one dump with all its ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from clusterwatch.model.collectives import Call, CallState, Dump, GroupTrace, Recorded
from simulators.fleet_wording import Stands
from simulators.schedule import seeded

_KEPT = 4
_FIRST_SEQUENCE, _SEQUENCES = 1_000, 90_000
_REDUCED = Call("_reduce_scatter_base", (544_997_376,), (68_124_672,), ("BFloat16",), ("BFloat16",))
_OTHERS = (
    Call("_reduce_scatter_base", (544_997_376,), (68_124_672,), ("Float",), ("Float",)),
    Call("_reduce_scatter_base", (544_997_888,), (68_124_736,), ("BFloat16",), ("BFloat16",)),
    Call("_allgather_base", (68_124_672,), (544_997_376,), ("BFloat16",), ("BFloat16",)),
    Call("broadcast", (1,), (1,), ("Long",), ("Long",)),
)
_MOST = 0.8
"""Share of the ranks that are behind where most of them are: assumption."""


@dataclass(frozen=True, slots=True)
class Hung:
    """A job that hangs: how the struck ranks stand, on which slots of the job, and the numbers of the strike."""

    stands: Stands
    slots: tuple[int, ...]
    gpu: int
    seed: int


def dumps_of(hung: Hung, nodes_total: int, gpus_per_node: int, loss: float) -> tuple[Dump, ...]:
    """Return the dumps of a job of so many nodes, folded; *loss* is the share of nodes that give none."""
    rng = seeded(hung.seed, "recorders")
    sequence = _FIRST_SEQUENCE + int(rng.random() * _SEQUENCES)
    everybody = tuple(range(nodes_total * gpus_per_node))
    lost = {slot for slot in range(nodes_total) if rng.random() < loss}
    struck = [
        slot * gpus_per_node + gpu
        for slot in hung.slots
        for gpu in (range(gpus_per_node) if hung.stands in _WHOLE_NODES else (hung.gpu,))
    ]
    if hung.stands is Stands.MANY:
        struck = [rank for rank in everybody if rng.random() < _MOST]
    other = _OTHERS[int(rng.random() * len(_OTHERS))]
    traces = _STRUCK[hung.stands](everybody, sequence, tuple(struck), other)
    usual = (_world(everybody, sequence, _REDUCED, CallState.STARTED),)
    heard = [rank for rank in everybody if rank // gpus_per_node not in lost]
    odd = frozenset(struck)
    waiting = _dump([rank for rank in heard if rank not in odd], usual)
    return tuple(filter(None, (waiting, _dump([rank for rank in heard if rank in odd], traces))))


_WHOLE_NODES = frozenset({Stands.TOGETHER, Stands.MUTE})

_Traces = tuple[GroupTrace, ...]


def _dump(ranks: Sequence[int], traces: _Traces | None) -> Dump | None:
    if not ranks or traces is None:
        return None
    return Dump(ranks[0], traces, newest_ns=1, alike=tuple(ranks[1:]))


def _world(everybody: Sequence[int], last: int, call: Call, state: CallState) -> GroupTrace:
    done = Recorded((_REDUCED,), CallState.COMPLETED, is_retired=True)
    calls = (*[done] * _KEPT, Recorded((call,), state, state is CallState.COMPLETED))
    return GroupTrace("0", "default_pg", tuple(everybody), last - _KEPT, calls, since_ns=1)


def _as_others(everybody: Sequence[int], sequence: int, struck: Sequence[int], other: Call) -> _Traces | None:
    return (_world(everybody, sequence, _REDUCED, CallState.STARTED),)


def _in_another(everybody: Sequence[int], sequence: int, struck: Sequence[int], other: Call) -> _Traces | None:
    return (_world(everybody, sequence, other, CallState.STARTED),)


def _not_begun(everybody: Sequence[int], sequence: int, struck: Sequence[int], other: Call) -> _Traces | None:
    return (_world(everybody, sequence, _REDUCED, CallState.SCHEDULED),)


def _one_behind(everybody: Sequence[int], sequence: int, struck: Sequence[int], other: Call) -> _Traces | None:
    return (_world(everybody, sequence - 1, _REDUCED, CallState.COMPLETED),)


def _among_themselves(everybody: Sequence[int], sequence: int, struck: Sequence[int], other: Call) -> _Traces | None:
    begun = Recorded((_REDUCED,), CallState.STARTED)
    own = GroupTrace("1", "tensor_parallel", tuple(struck), sequence, (begun,), since_ns=1)
    return (own, _world(everybody, sequence - 1, _REDUCED, CallState.COMPLETED))


def _nothing(everybody: Sequence[int], sequence: int, struck: Sequence[int], other: Call) -> _Traces | None:
    return None


_STRUCK: Mapping[Stands, Callable[[Sequence[int], int, Sequence[int], Call], _Traces | None]] = {
    Stands.ALIKE: _as_others,
    Stands.MISMATCHED: _in_another,
    Stands.DEVICE: _not_begun,
    Stands.ABSENT: _one_behind,
    Stands.TOGETHER: _among_themselves,
    Stands.MUTE: _nothing,
    Stands.MANY: _one_behind,
}
