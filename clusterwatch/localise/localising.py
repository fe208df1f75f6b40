"""Dumps of the ranks of a job to which of them hold up the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from clusterwatch.localise.frontier import stop_of
from clusterwatch.localise.groups import groups_in, ranks_expected
from clusterwatch.localise.origin import Origin, origin_of
from clusterwatch.localise.problems import Problem, Stop
from clusterwatch.localise.result import Culprit, CulpritKind, Localisation, Place, Status
from clusterwatch.localise.transfers import transfer_stops
from clusterwatch.localise.wording import nothing_found, told
from clusterwatch.model.collectives import Dump

STRAGGLES_BELOW_SECONDS = 10.0
"""A rank that others have waited for less than this long may be late and no more."""

_STATUS = {
    Problem.MISMATCH: Status.MISMATCH,
    Problem.HELD_UP: Status.STALLED,
    Problem.NOBODY_TOLD: Status.STALLED,
    Problem.NO_DUMP: Status.INCOMPLETE,
}


def localised(
    dumps: Iterable[Dump],
    places: Mapping[int, Place] | None = None,
    ended: Collection[int] = (),
    taken_at_ns: int = 0,
) -> Localisation:
    """Return which ranks hold up the job that *dumps* are of, in whatever order they come.

    Args:
        dumps: One a rank; of two of the same rank the newer counts.
        places: Where ranks run, as far as that is known.
        ended: Ranks whose process is known to have ended.
        taken_at_ns: When the dumps were taken, in nanoseconds since 1970 of the clocks that they were made with;
            0 if unknown. Only a wait that was young then may be a straggler's.
    """
    by_rank = {dump.rank: dump for dump in sorted(dumps, key=lambda each: (each.rank, each.newest_ns))}
    read = list(by_rank.values())
    present = frozenset[int]().union(*(dump.ranks for dump in read if not dump.is_empty))
    missing = tuple(sorted(ranks_expected(read) - present))
    gone = frozenset(ended)
    groups = (stop_of(group, present, gone) for group in groups_in(read))
    stops = [stop for stop in groups if stop is not None]
    stops.extend(transfer_stops(read, present, gone))
    origin = origin_of(stops)
    if origin is None:
        return _at_rest(present, missing)
    return _held_up(origin, stops, places or {}, missing, taken_at_ns)


def _at_rest(present: frozenset[int], missing: tuple[int, ...]) -> Localisation:
    status = Status.OK if present and not missing else Status.INCOMPLETE
    return Localisation(status, "", None, "", (), 0, missing, nothing_found(len(present), missing))


def _held_up(
    origin: Origin, stops: Iterable[Stop], places: Mapping[int, Place], missing: tuple[int, ...], taken_at_ns: int
) -> Localisation:
    stop = origin.stop
    culprits = tuple(
        Culprit(rank, each.kind, each.why, round(each.confidence, 2), places.get(rank))
        for rank, each in sorted(origin.suspicions.items(), key=lambda item: (-item[1].confidence, item[0]))
    )
    waiting = frozenset[int]().union(*(each.waiting for each in stops)) - origin.suspicions.keys()
    status = _status(stop, culprits, taken_at_ns)
    words = told(status, origin, culprits, len(waiting), missing)
    return Localisation(
        *(status, stop.group, stop.sequence, stop.operation, culprits, len(waiting), missing),
        explanation=words,
        stuck_together=() if culprits else tuple(sorted(stop.waiting)),
    )


def _status(stop: Stop, culprits: tuple[Culprit, ...], taken_at_ns: int) -> Status:
    waited = (taken_at_ns - stop.since_ns) / 1e9 if taken_at_ns and stop.since_ns else STRAGGLES_BELOW_SECONDS
    if stop.problem is Problem.HELD_UP and waited < STRAGGLES_BELOW_SECONDS:
        return Status.STRAGGLER
    if culprits and all(each.kind is CulpritKind.DIED for each in culprits):
        return Status.STALLED
    return _STATUS[stop.problem]
