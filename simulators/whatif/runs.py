"""Many runs of one job under one policy, all at once: a loop over interruptions, each row of the arrays a run.

The rules, for each run:

1. The job trains; after each interval of useful time it saves, which stops it for a while. A save that is struck counts
   for nothing.
2. What comes next is a fault or planned stop that is due, a part that was kept and strikes again, or a restart without
   a reason. What was due while the job was down, and what was kept, strikes a while after it trains again.
3. A fault stops the job until it is noticed and decided on. A slow part lets it train on for a while, slower; a
   corrupting one lets it train on in vain until it is noticed.
4. What is then done is read off the policy's table: restart in place, restart without the node that is named, or ask
   a person, who always finds the part.
5. A node that is left out is replaced by one that stands by, or by a cold one when none does. It stands by itself once
   it is repaired. An oracle leaves no node out whose part does not stay broken.
6. The job starts, loads its last checkpoint, or an older one where the decision goes back, and does again what it
   had done since. Older ones are as far apart as saves are.
7. A planned stop saves first. Time beyond the end is cut off, and what would be done there is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clusterwatch.goodput import Reason
from simulators.whatif.answering import NOBODY, OTHER, STRUCK, Answering, Answers, Faulty, Nature
from simulators.whatif.arrivals import Faults
from simulators.whatif.causes import Harm
from simulators.whatif.deciding import DEPTHS, Action, Actions, action_table
from simulators.whatif.draws import Floats, Purpose, Whole, exponential, uniforms
from simulators.whatif.policies import Policy, Responder
from simulators.whatif.scenario import DAY, Scenario

REASONS = (
    Reason.PRODUCTIVE,
    Reason.CHECKPOINT,
    Reason.STRAGGLER,
    Reason.RECOMPUTE,
    Reason.DETECT,
    Reason.HANG,
    Reason.DECIDE,
    Reason.RESCHEDULE,
    Reason.START,
    Reason.RESTORE,
    Reason.PLANNED,
)
COUNTS = ("interruptions", "repeats", "planned", "manual", "false_restarts", "wrong_nodes", "cold_nodes")

_HANG, _SLOW, _CORRUPT = (list(Harm).index(harm) for harm in (Harm.HANG, Harm.SLOW, Harm.CORRUPT))
_TIE = 1e-9
"""A save that ends when a fault strikes is done, however the sums of the two times were rounded."""

_ROOM = 16
"""Places for nodes that were left out while none stood by; more are made when they are taken."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of each run.

    Attributes:
        seconds: By reason; together they are the elapsed time.
        lost_by_cause: (runs, causes) seconds lost to each cause of the mix, then to planned stops and to restarts
            without a reason; saves belong to none.
        counts: By name of COUNTS.
    """

    seconds: dict[Reason, Floats]
    lost_by_cause: Floats
    counts: dict[str, Whole]


def outcome_of(
    scenario: Scenario, policy: Policy, faults: Faults, seed: int, actions: Actions | None = None
) -> Outcome:
    """Return what becomes of the runs that *faults* strike, under *policy*."""
    runs = _Runs(scenario, policy, faults, seed, action_table(policy) if actions is None else actions)
    while runs.live.any():
        runs.go_on()
    return Outcome(runs.seconds, runs.lost, runs.counts)


@dataclass(slots=True)
class _Strike:
    """What comes next in each run: when, which fault, the how many-th time, and how it is answered."""

    at: Floats
    is_again: Flags
    is_false: Flags
    is_planned: Flags
    fault: Whole
    number: Whole
    faulty: Faulty
    answers: Answers
    place: tuple[Whole, Whole, Whole, Whole] | tuple[()] = ()


class _Runs:
    """The state of all runs; every array has one row for each."""

    def __init__(self, scenario: Scenario, policy: Policy, faults: Faults, seed: int, actions: Actions) -> None:
        self.scenario, self.policy, self.seed, self.actions = scenario, policy, seed, actions
        self.runs, count = faults.runs, len(faults.runs)
        self.rows = np.arange(count)
        self.planned, self.false = len(scenario.mix), len(scenario.mix) + 1
        self._nature, self._answering = Nature(scenario.mix, seed), Answering(scenario, policy, seed)
        self._prepare(faults)
        self.interval = scenario.interval(policy.interval_seconds)
        self.live = np.full(count, scenario.seconds > 0)
        self.trains_at, self.debt = np.zeros(count), np.zeros(count)
        self.debt_cause = np.zeros(count, dtype=np.int64)
        self.next, self.kept = np.zeros(count, dtype=np.int64), np.full(count, -1, dtype=np.int64)
        self.strikes, self.fruitless = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        self.free_at = np.full((count, scenario.spares + _ROOM), np.inf)
        self.free_at[:, : scenario.spares] = 0.0
        self.false_total = np.zeros(count, dtype=np.int64)
        self.false_at = self._false_gap(self.rows)
        self.seconds = {reason: np.zeros(count) for reason in REASONS}
        self.lost = np.zeros((count, len(scenario.mix) + 2))
        self.counts = {name: np.zeros(count, dtype=np.int64) for name in COUNTS}

    def _prepare(self, faults: Faults) -> None:
        """Draw at once what each fault is like and how its first strike is answered; repeats are drawn as they come."""
        run, number = self.runs[:, None], np.arange(faults.at.shape[1])[None, :]
        faulty = self._nature.of(run, number, faults.cause)
        answers = self._answering.to(faulty, run, number, 0)
        self._width = faults.at.shape[1]
        self._at = faults.at.ravel()
        self._faulty = Faulty(faulty.cause.ravel(), faulty.harm.ravel(), faulty.stays.ravel())
        self._answers = Answers(*(getattr(answers, name).ravel() for name in Answers.__slots__))

    def go_on(self) -> None:
        """Live through the next interruption of every run."""
        strike = self._next_strike()
        stopped_at = self._train(strike)
        self.live &= strike.at < self.scenario.seconds
        self._recover(strike, stopped_at)
        self._move_on(strike)

    def _next_strike(self) -> _Strike:
        again_at = self.trains_at + self.scenario.again_seconds
        due = self._at[self.rows * self._width + self.next]
        due = np.where(due < self.trains_at, again_at, due)
        repeat = np.where(self.kept >= 0, again_at, np.inf)
        is_again = repeat <= due
        at = np.where(is_again, repeat, due)
        false_at = np.where(self.false_at < self.trains_at, again_at, self.false_at)
        is_false = false_at < at
        is_again &= ~is_false
        fault = np.where(is_again, self.kept, self.next)
        number = np.where(is_again, self.strikes + 1, 0)
        flat = self.rows * self._width + fault
        faulty = Faulty(*(getattr(self._faulty, name)[flat] for name in Faulty.__slots__))
        answers = Answers(*(getattr(self._answers, name)[flat] for name in Answers.__slots__))
        self._answer_repeats(np.flatnonzero(is_again & self.live), faulty, answers, fault, number)
        is_planned = (faulty.cause == self.planned) & ~is_false
        return _Strike(np.where(is_false, false_at, at), is_again, is_false, is_planned, fault, number, faulty, answers)

    def _answer_repeats(self, rows: Whole, faulty: Faulty, answers: Answers, fault: Whole, number: Whole) -> None:
        if not len(rows):
            return
        ours = Faulty(*(getattr(faulty, name)[rows] for name in Faulty.__slots__))
        fresh = self._answering.to(ours, self.runs[rows], fault[rows], number[rows])
        for name in Answers.__slots__:
            getattr(answers, name)[rows] = getattr(fresh, name)

    def _train(self, strike: _Strike) -> Floats:
        """Train up to the strike, or to when a slow part stops the job, and return when training stops."""
        end, interval, save = self.scenario.seconds, self.interval, self.scenario.save_seconds
        is_slow = (strike.faulty.harm == _SLOW) & ~strike.is_false & ~strike.is_planned
        struck_at = np.minimum(strike.at, end)
        stops_at = np.minimum(np.where(is_slow, strike.at + self.scenario.slow_seconds, strike.at), end)
        slower = np.where(is_slow, (stops_at - struck_at) * (1.0 - 1.0 / self.scenario.slowdown), 0.0)
        # What is left is as much work as in that time at full speed.
        trained = stops_at - self.trains_at - slower
        saves = np.floor(trained / (interval + save) + _TIE)
        rest = np.maximum(trained - saves * (interval + save), 0.0)
        unsaved = np.minimum(rest, interval)
        work = saves * interval + unsaved
        again = np.minimum(work, self.debt)
        fresh = work - again
        self._book(Reason.PRODUCTIVE, fresh)
        self._book(Reason.STRAGGLER, slower)
        self._book(Reason.RECOMPUTE, again)
        self._book(Reason.CHECKPOINT, trained - work)
        self.lost[self.rows, self.debt_cause] += again
        self._blame(strike, slower)
        self.debt = np.where(strike.is_planned, 0.0, np.maximum(self.debt - saves * interval, unsaved))
        is_fruitless = fresh < self.scenario.least_progress_seconds
        self.fruitless = np.where(is_fruitless, self.fruitless + 1, 0)
        return stops_at

    def _recover(self, strike: _Strike, stopped_at: Floats) -> None:
        """Let every run that was stopped go through its stages; what lies beyond the end is cut off."""
        answers, harm = strike.answers, strike.faulty.harm
        is_fault = ~strike.is_planned & ~strike.is_false
        action = self._action(strike, is_fault)
        at_fault = is_fault.astype(np.float64)
        detect = answers.detect * at_fault
        decide = answers.decide * at_fault
        decide += self._person(strike, action, stopped_at + detect + decide)
        node = self._replace(strike, action, stopped_at + detect + decide)
        self._roll_back(strike, action, is_fault, detect)
        bounds = self._bounds(
            stopped_at,
            np.where(strike.is_planned, self.scenario.planned_seconds, 0.0),
            detect,
            decide,
            node,
            np.where(strike.is_planned, 0.0, self.scenario.start_seconds),
            np.where(strike.is_planned, 0.0, self.scenario.load_seconds),
        )
        planned, noticed, *rest = np.diff(bounds, axis=0)
        self._book(Reason.PLANNED, planned)
        for reason, ours in (
            (Reason.HANG, harm == _HANG),
            (Reason.RECOMPUTE, harm == _CORRUPT),
            (Reason.DETECT, (harm != _HANG) & (harm != _CORRUPT)),
        ):
            self._book(reason, np.where(ours, noticed, 0.0))
        for reason, spent in zip((Reason.DECIDE, Reason.RESCHEDULE, Reason.START, Reason.RESTORE), rest, strict=True):
            self._book(reason, spent)
        self._blame(strike, bounds[-1] - stopped_at)
        self.trains_at = bounds[-1]

    def _bounds(self, stopped_at: Floats, *stages: Floats) -> Floats:
        """Return (stages + 1, runs) of the times between which the stages lie, none beyond the end."""
        lengths = np.stack([stopped_at, *(np.where(self.live, stage, 0.0) for stage in stages)])
        bounds: Floats = np.minimum(np.cumsum(lengths, axis=0), self.scenario.seconds)
        return bounds

    def _action(self, strike: _Strike, is_fault: Flags) -> Whole:
        depth = self.fruitless if self.policy.responder is Responder.PIPELINE else strike.number
        strike.place = (
            strike.answers.diagnosed,
            (strike.answers.named != NOBODY).astype(np.int64),
            strike.is_again.astype(np.int64),
            np.minimum(depth, DEPTHS - 1),
        )
        return np.where(is_fault, self.actions.what[strike.place], Action.RESTART)

    def _roll_back(self, strike: _Strike, action: Whole, is_fault: Flags, detect: Floats) -> None:
        """Where the decision distrusts the newest checkpoints, let the work since an older one be done again."""
        back = np.where(is_fault & self.live & (action != Action.PERSON), self.actions.back_seconds[strike.place], 0.0)
        saves = np.ceil((back - detect - self.debt) / (self.interval + self.scenario.save_seconds) - _TIE)
        further = self.debt + np.maximum(saves, 0.0) * self.interval
        self.debt = np.where(back > 0.0, np.minimum(further, self.seconds[Reason.PRODUCTIVE]), self.debt)

    def _person(self, strike: _Strike, action: Whole, at: Floats) -> Floats:
        seconds = np.zeros(len(self.rows))
        asked = np.flatnonzero((action == Action.PERSON) & self.live & (at < self.scenario.seconds))
        if len(asked):
            seconds[asked] = self._answering.person(self.runs[asked], strike.fault[asked], strike.number[asked])
        self.counts["manual"][asked] += 1
        return seconds

    def _replace(self, strike: _Strike, action: Whole, at: Floats) -> Floats:
        """Leave nodes out, keep or forget the broken part, and return how long each run waits for another node."""
        scenario, named, stays = self.scenario, strike.answers.named, strike.faulty.stays & ~strike.is_false
        by_person = action == Action.PERSON
        is_sure = self.policy.responder is Responder.ORACLE
        excludes = (action == Action.EXCLUDE) & (named != NOBODY) & (stays if is_sure else True)
        is_found = by_person | (excludes & (named == STRUCK))
        in_time = self.live & (at < scenario.seconds)
        self.counts["wrong_nodes"] += excludes & (named == OTHER) & in_time
        seconds = np.zeros(len(self.rows))
        rows = np.flatnonzero((excludes | (by_person & stays)) & in_time)
        if len(rows):
            is_warm = self._take(rows, at[rows], strike.answers.repair[rows])
            seconds[rows] = np.where(is_warm, scenario.standby_seconds, scenario.cold_seconds)
            self.counts["cold_nodes"][rows] += ~is_warm
        is_new = stays & ~strike.is_again & ~is_found & (self.kept < 0) & self.live
        is_gone = self.live & ((strike.is_again & is_found) | by_person)
        self.strikes = np.where(is_new, 0, self.strikes + (strike.is_again & self.live))
        self.kept = np.where(is_new, strike.fault, np.where(is_gone, -1, self.kept))
        return seconds

    def _take(self, rows: Whole, at: Floats, repair: Floats) -> Flags:
        """Take a node that stands by in each of *rows*, where one does; what is left out stands by when repaired."""
        if np.isfinite(self.free_at[rows].max(axis=1)).any():
            self.free_at = np.hstack((self.free_at, np.full((len(self.rows), _ROOM), np.inf)))
        free_at = self.free_at[rows]
        soonest = np.argmin(free_at, axis=1)
        is_warm: Flags = free_at[np.arange(len(rows)), soonest] <= at
        # The repaired node takes the place of the one that stood by; where none did, it comes on top.
        place = np.where(is_warm, soonest, np.argmax(free_at, axis=1))
        self.free_at[rows, place] = at + repair
        return is_warm

    def _move_on(self, strike: _Strike) -> None:
        is_due = self.live & ~strike.is_again & ~strike.is_false
        self.next += is_due
        self.debt_cause = np.where(self.live, self._blamed(strike), self.debt_cause)
        self.counts["interruptions"] += self.live & ~strike.is_planned & ~strike.is_false
        self.counts["repeats"] += self.live & strike.is_again
        self.counts["planned"] += self.live & strike.is_planned
        self.counts["false_restarts"] += self.live & strike.is_false
        rows = np.flatnonzero(self.live & strike.is_false)
        if len(rows):
            self.false_total[rows] += 1
            self.false_at[rows] += self._false_gap(rows)

    def _false_gap(self, rows: Whole) -> Floats:
        rate = self.policy.false_restarts_per_day / DAY
        if rate <= 0.0:
            return np.full(len(rows), np.inf)
        levels = uniforms(self.seed, Purpose.FALSE_GAP, self.runs[rows], self.false_total[rows])
        return exponential(levels) / rate

    def _book(self, reason: Reason, seconds: Floats) -> None:
        self.seconds[reason] += seconds

    def _blame(self, strike: _Strike, seconds: Floats) -> None:
        self.lost[self.rows, self._blamed(strike)] += seconds

    def _blamed(self, strike: _Strike) -> Whole:
        return np.where(strike.is_false, self.false, strike.faulty.cause)
