"""A process group to where it stands still: the first call that not all of its ranks have finished."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from clusterwatch.localise.comparing import Demand, demand_of, in_words, name_of
from clusterwatch.localise.groups import Group, Standing
from clusterwatch.localise.problems import Problem, Stop, Suspicion
from clusterwatch.localise.result import CulpritKind
from clusterwatch.model.collectives import CallState, Recorded

# How sure it is; ours, by what else could make the dumps look so. Two camps of equal size: either may be at fault.
SURE_OF_THE_FEW, SURE_OF_HALF, SURE_OF_THE_MANY = 0.9, 0.5, 0.4
SURE_WITHOUT_STATES = 0.8
SURE_OF_A_DEVICE, SURE_OF_NO_DUMP, SURE_OF_A_DEAD_ONE = 0.7, 0.5, 0.8
# Of a rank whose dump holds no call of the group any more.
SURE_OF_A_SILENT_ONE = 0.5
WITH_DUMPS_MISSING = 0.8


def stop_of(group: Group, present: frozenset[int], ended: frozenset[int]) -> Stop | None:
    """Return where *group* stands still; None where nothing shows that it does.

    Args:
        present: Ranks with a dump that holds anything.
        ended: Ranks that are known to have ended.
    """
    members = frozenset(group.members) or frozenset(group.traced)
    missing = members - present
    silent = (members & present) - group.traced.keys()
    at = _frontier(group, bool(missing))
    if at is None:
        return None
    camps = _camps(group.standings.values(), at)
    if len(camps) > 1:
        return _mismatch(group, at, camps)
    late = [each for each in group.standings.values() if each.trace.last < at]
    if late or silent:
        return _absent(group, at, late, silent, bool(missing))
    devices = _devices(group, at)
    # What a dump shows goes before what a missing one may mean.
    return _without_dump(group, at, missing, ended) if missing and not devices.suspicions else devices


def _frontier(group: Group, has_missing: bool) -> int | None:
    standings = group.standings.values()
    if group.tells_states:
        at = min(each.finished for each in standings) + 1
        return at if any(each.trace.last >= at for each in standings) else None
    differing = _first_difference(standings)
    if differing is not None:
        return differing
    lasts = {each.trace.last for each in standings}
    if len(lasts) > 1:
        return min(lasts) + 1
    # Nothing tells a call in flight from a finished one but that it was retired, on all ranks or on none.
    newest = [each.trace.at(each.trace.last) for each in standings]
    return None if any(each is None or each.is_retired for each in newest) else lasts.pop()


def _first_difference(standings: Iterable[Standing]) -> int | None:
    demands: dict[int, Demand] = {}
    differing = set()
    for standing in standings:
        for place, recorded in enumerate(standing.trace.recorded):
            if recorded is None:
                continue
            demand, number = demand_of(recorded), standing.trace.first + place
            if demands.setdefault(number, demand) != demand:
                differing.add(number)
    return min(differing, default=None)


def _camps(standings: Iterable[Standing], at: int) -> dict[Demand, list[Standing]]:
    camps: defaultdict[Demand, list[Standing]] = defaultdict(list)
    for standing in standings:
        recorded = standing.trace.at(at)
        if recorded is not None:
            camps[demand_of(recorded)].append(standing)
    return camps


def _mismatch(group: Group, at: int, camps: Mapping[Demand, list[Standing]]) -> Stop:
    by_size = sorted(camps.values(), key=_count)
    usual = by_size[-1]
    # As many on the other side: nothing tells which of the two is wrong.
    wrong = by_size if _count(by_size[-2]) == _count(usual) else by_size[:-1]
    sure = SURE_OF_HALF if wrong is by_size else SURE_OF_THE_FEW
    suspicions = {
        rank: Suspicion(CulpritKind.MISMATCHED, _called(standing, at, usual, by_size, _line_of(group, rank)), sure)
        for camp in wrong
        for standing in camp
        for rank in standing.ranks
    }
    standings = [each for camp in by_size for each in camp]
    return _stop(Problem.MISMATCH, group, at, usual[0].trace.at(at), standings, suspicions)


def _called(standing: Standing, at: int, usual: list[Standing], by_size: list[list[Standing]], line: str) -> str:
    others = usual if standing not in usual else by_size[0]
    mine, theirs = standing.trace.at(at), others[0].trace.at(at)
    assert mine is not None and theirs is not None, "camps are made of what was recorded"
    place = f" at {line}" if line else ""
    return f"called {in_words(mine, theirs)}{place} where {_ranks(_count(others))} called {in_words(theirs, mine)}"


def _line_of(group: Group, rank: int) -> str:
    return group.traced[rank].where


def _absent(group: Group, at: int, late: list[Standing], silent: frozenset[int], has_missing: bool) -> Stop:
    arrived = [each for each in group.standings.values() if each.trace.last >= at]
    call = _call_at(arrived, at)
    absent = _count(late) + len(silent)
    share = SURE_OF_THE_FEW if absent * 2 <= absent + _count(arrived) else SURE_OF_THE_MANY
    sure = share * (WITH_DUMPS_MISSING if has_missing else 1.0)
    suspicions = {
        rank: _late(standing, call, min(sure, 1.0 if group.tells_states else SURE_WITHOUT_STATES))
        for standing in late
        for rank in standing.ranks
    }
    why = f"recorded no {_name(call)} of this group at all"
    suspicions |= {rank: Suspicion(CulpritKind.ABSENT, why, min(sure, SURE_OF_A_SILENT_ONE)) for rank in silent}
    return _stop(Problem.HELD_UP, group, at, call, arrived, suspicions)


def _late(standing: Standing, call: Recorded | None, sure: float) -> Suspicion:
    why = f"never called {_name(call)}: its last call was number {standing.trace.last}"
    if not standing.trace.tells_states:
        return Suspicion(CulpritKind.ABSENT, why, sure)
    return Suspicion(CulpritKind.HOST_STUCK, f"{why}, and all that it had asked for is done", sure)


def _without_dump(group: Group, at: int, missing: frozenset[int], ended: frozenset[int]) -> Stop:
    standings = list(group.standings.values())
    size = len(missing) + _count(standings)
    many = SURE_OF_THE_MANY if len(missing) * 2 > size else 1.0
    suspicions = {
        rank: Suspicion(kind, f"{did}, and all others of its group wait", min(many, sure))
        for ranks, kind, did, sure in (
            (missing & ended, CulpritKind.DIED, "ended", SURE_OF_A_DEAD_ONE),
            (missing - ended, CulpritKind.NO_DUMP, "left no dump", SURE_OF_NO_DUMP),
        )
        for rank in ranks
    }
    return _stop(Problem.NO_DUMP, group, at, _call_at(standings, at), standings, suspicions)


def _devices(group: Group, at: int) -> Stop:
    standings = list(group.standings.values())
    pending = [each for each in standings if each.finished < at or not each.trace.tells_states]
    finished = [each for each in standings if each not in pending]
    behind, why = pending, "has not finished it on its device, others have"
    if not finished:
        idle = [each for each in pending if _is_idle(each.trace.at(at))]
        behind, why = (idle, "its device has not begun it, others' have") if len(idle) < len(pending) else ([], "")
    told = _count(behind) * 2 <= _count(standings)
    suspicions = {
        rank: Suspicion(CulpritKind.DEVICE_STUCK, why, SURE_OF_A_DEVICE)
        for each in (behind if told else ())
        for rank in each.ranks
    }
    problem = Problem.HELD_UP if suspicions else Problem.NOBODY_TOLD
    return _stop(problem, group, at, _call_at(pending, at), pending, suspicions)


def _stop(
    problem: Problem,
    group: Group,
    at: int,
    call: Recorded | None,
    arrived: Iterable[Standing],
    suspicions: Mapping[int, Suspicion],
) -> Stop:
    waits = [each for each in arrived if each.finished < at or not each.trace.tells_states]
    return Stop(
        *(problem, group.title, at, _name(call)),
        waiting=frozenset(rank for each in waits for rank in each.ranks),
        suspicions=suspicions,
        since_ns=min((each.since_ns for each in waits), default=0),
        size=len(group.members) or len(group.traced),
    )


def _is_idle(recorded: Recorded | None) -> bool:
    return recorded is not None and recorded.state is CallState.SCHEDULED


def _call_at(standings: Iterable[Standing], at: int) -> Recorded | None:
    # A ring that has gone round holds nothing of it any more.
    return next((call for each in standings if (call := each.trace.at(at)) is not None), None)


def _name(call: Recorded | None) -> str:
    return name_of(call) if call is not None else "collective"


def _count(standings: Iterable[Standing]) -> int:
    return sum(len(each.ranks) for each in standings)


def _ranks(count: int) -> str:
    return "1 other rank" if count == 1 else f"{count} other ranks"
