"""Unfinished sends and receives to who waits for whom."""

from __future__ import annotations

from collections.abc import Iterable

from clusterwatch.localise.problems import Problem, Stop, Suspicion
from clusterwatch.localise.result import CulpritKind
from clusterwatch.model.collectives import Dump, Transfer

SURE_OF_THE_OTHER_END, SURE_OF_EITHER_END, SURE_OF_NO_DUMP, SURE_OF_A_DEAD_ONE = 0.8, 0.5, 0.5, 0.8

_Ends = dict[bool, Transfer]


def transfer_stops(dumps: Iterable[Dump], present: frozenset[int], ended: frozenset[int]) -> Iterable[Stop]:
    """Return every pair of ranks of which one waits for a send or receive of the other; *present* left a dump."""
    oldest: dict[tuple[str, int, int], _Ends] = {}
    for dump in dumps:
        for transfer in dump.transfers:
            ends = oldest.setdefault((transfer.group, transfer.source, transfer.target), {})
            ends.setdefault(transfer.is_send, transfer)
    for ends in oldest.values():
        yield _both_ends(ends) if len(ends) == 2 else _one_end(next(iter(ends.values())), present, ended)


def _one_end(transfer: Transfer, present: frozenset[int], ended: frozenset[int]) -> Stop:
    here, there = _here_and_there(transfer)
    partner = f"never called {'recv' if transfer.is_send else 'send'}"
    if there in present:
        return _stop(transfer, Problem.HELD_UP, Suspicion(CulpritKind.ABSENT, partner, SURE_OF_THE_OTHER_END))
    gone = Suspicion(CulpritKind.DIED, f"ended, and rank {here} waits for it", SURE_OF_A_DEAD_ONE)
    mute = Suspicion(CulpritKind.NO_DUMP, f"left no dump, and rank {here} waits for it", SURE_OF_NO_DUMP)
    return _stop(transfer, Problem.NO_DUMP, gone if there in ended else mute)


def _here_and_there(transfer: Transfer) -> tuple[int, int]:
    ends = transfer.source, transfer.target
    return ends if transfer.is_send else ends[::-1]


def _stop(transfer: Transfer, problem: Problem, suspicion: Suspicion) -> Stop:
    here, there = _here_and_there(transfer)
    return Stop(
        *(problem, transfer.group, transfer.sequence, _name(transfer)),
        waiting=frozenset({here}),
        suspicions={there: suspicion},
        since_ns=transfer.since_ns,
        size=2,
    )


def _both_ends(ends: _Ends) -> Stop:
    sent, received = ends[True], ends[False]
    both = frozenset({sent.source, sent.target})
    since = min(sent.since_ns, received.since_ns)
    if sent.elements == received.elements:
        place = (sent.group, sent.sequence, _name(sent))
        return Stop(Problem.NOBODY_TOLD, *place, waiting=both, since_ns=since, size=2)
    why = f"{sent.elements} elements are sent and {received.elements} received"
    suspicion = Suspicion(CulpritKind.MISMATCHED, why, SURE_OF_EITHER_END)
    suspicions = dict.fromkeys(sorted(both), suspicion)
    return Stop(Problem.MISMATCH, sent.group, sent.sequence, _name(sent), both, suspicions, since, size=2)


def _name(transfer: Transfer) -> str:
    return f"{'send' if transfer.is_send else 'recv'} {transfer.source}->{transfer.target}"
