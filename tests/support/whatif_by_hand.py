"""One run of the what-if model, one interruption after the other, as plainly as it can be written.

The vectorised runs must give the same, number by number: every draw has a name, so both meet the same luck.
"""

from math import ceil, exp, floor, inf, log

import numpy as np

from clusterwatch.model import Cause
from simulators.whatif.answering import HARMS
from simulators.whatif.causes import Harm
from simulators.whatif.deciding import CAUSES, DEPTHS, Action, action_table
from simulators.whatif.draws import Purpose, normal, uniforms
from simulators.whatif.policies import Responder

STAGES = ("detect", "decide", "reschedule", "start", "restore")


def drawn(seed, purpose, run, fault, strike=0):
    return float(uniforms(seed, purpose, run, fault, strike)[0])


def chosen(chances, level):
    total = 0.0
    for name, chance in chances:
        total += chance
        if level <= total:
            return name
    return chances[-1][0]


def chance_of(chances, cause):
    return chances.get(cause, chances.get("all", 0.0))


class RunByHand:
    def __init__(self, scenario, policy, faults, seed, row):
        self.scenario, self.policy, self.seed, self.run = scenario, policy, seed, int(faults.runs[row])
        self.due = [(float(at), int(cause)) for at, cause in zip(faults.at[row], faults.cause[row], strict=True)]
        self.table = action_table(policy)
        self.interval = scenario.interval(policy.interval_seconds)
        self.now, self.debt, self.next = 0.0, 0.0, 0
        self.kept, self.strikes, self.fruitless = None, 0, 0
        self.standby = [0.0] * scenario.spares
        self.false_total, self.false_at = 0, self.false_gap(0)
        self.seconds = dict.fromkeys(
            ("productive", "checkpoint", "straggler", "recompute", "hang", "planned", *STAGES), 0.0
        )
        self.counts = dict.fromkeys(
            ("interruptions", "repeats", "planned", "manual", "false_restarts", "wrong_nodes", "cold_nodes"), 0
        )

    def false_gap(self, number):
        rate = self.policy.false_restarts_per_day / 86_400
        return -log(drawn(self.seed, Purpose.FALSE_GAP, self.run, number)) / rate if rate else inf

    def live(self):
        while not self.is_over:
            self.live_through_next()
        return self

    def live_through_next(self):
        again_at = self.now + self.scenario.again_seconds
        at, cause = self.due[self.next]
        at = again_at if at < self.now else at
        is_again = self.kept is not None and again_at <= at
        if is_again:
            at = again_at
        false_at = again_at if self.false_at < self.now else self.false_at
        if false_at < at:
            self.restart_for_nothing(false_at)
        elif is_again:
            self.be_struck(at, self.kept, self.due[self.kept][1], self.strikes + 1)
        elif cause == len(self.scenario.mix):
            self.stop_as_planned(at)
        else:
            self.be_struck(at, self.next, cause, 0)

    def train(self, at, slow_until=None):
        end = self.scenario.seconds
        stop = min(at if slow_until is None else slow_until, end)
        slower = 0.0 if slow_until is None else (stop - min(at, end)) * (1 - 1 / self.scenario.slowdown)
        trained = stop - self.now - slower
        cycle = self.interval + self.scenario.save_seconds
        # A save that ends when it is struck is done, whatever the last digit says.
        saves = floor(trained / cycle + 1e-9)
        unsaved = min(max(trained - saves * cycle, 0.0), self.interval)
        work = saves * self.interval + unsaved
        again = min(work, self.debt)
        fresh = work - again
        self.seconds["productive"] += fresh
        self.seconds["straggler"] += slower
        self.seconds["recompute"] += again
        self.seconds["checkpoint"] += trained - work
        self.debt = max(self.debt - saves * self.interval, unsaved)
        self.fruitless = self.fruitless + 1 if fresh < self.scenario.least_progress_seconds else 0
        self.now = stop
        return at < end

    def spend(self, reason, seconds):
        until = min(self.now + seconds, self.scenario.seconds)
        self.seconds[reason] += until - self.now
        self.now = until

    @property
    def is_over(self):
        return self.now >= self.scenario.seconds

    def restart(self, waited=0.0):
        self.spend("reschedule", waited)
        self.spend("start", self.scenario.start_seconds)
        self.spend("restore", self.scenario.load_seconds)

    def restart_for_nothing(self, at):
        if self.train(at):
            self.counts["false_restarts"] += 1
            self.false_total += 1
            self.false_at += self.false_gap(self.false_total)
            self.restart()

    def stop_as_planned(self, at):
        if self.train(at):
            self.counts["planned"] += 1
            self.next += 1
            self.debt = 0.0
            self.spend("planned", self.scenario.planned_seconds)

    def be_struck(self, at, fault, index, strike):
        behaviour = self.scenario.mix[index]

        def draw(purpose, number=strike):
            return drawn(self.seed, purpose, self.run, fault, number)

        harm = chosen([(harm, behaviour.harm.get(harm, 0.0)) for harm in HARMS], draw(Purpose.HARM, 0))
        stays = draw(Purpose.STAYS, 0) < behaviour.stays.get(harm, 0.0)
        detect = max(0.0, self.policy.detects(harm).seconds(draw(Purpose.DETECT)) + self.scenario.detect_change_seconds)
        if not self.train(at, at + self.scenario.slow_seconds if harm is Harm.SLOW else None):
            return
        self.counts["interruptions"] += 1
        self.counts["repeats"] += strike > 0
        self.next += strike == 0
        self.spend({Harm.HANG: "hang", Harm.CORRUPT: "recompute"}.get(harm, "detect"), detect)
        named = self.named(behaviour, draw(Purpose.NAMED))
        action = self.action(self.diagnosed(behaviour.cause, draw(Purpose.DIAGNOSED)), named, strike)
        self.spend("decide", self.policy.decides(harm).seconds(draw(Purpose.DECIDE)))
        if action != Action.PERSON:
            self.roll_back(detect)
        elif not self.is_over:
            self.counts["manual"] += 1
            self.spend("decide", self.policy.person.seconds(draw(Purpose.PERSON)))
        if not self.is_over:
            self.carry_out(action, named, stays, fault, strike)

    def carry_out(self, action, named, stays, fault, strike):
        by_person = action == Action.PERSON
        excludes = action == Action.EXCLUDE and named is not None
        if self.policy.responder is Responder.ORACLE:
            excludes = excludes and stays
        self.counts["wrong_nodes"] += excludes and named == "other"
        waits = 0.0
        if excludes or (by_person and stays):
            waits = self.replace_node(drawn(self.seed, Purpose.REPAIR, self.run, fault, strike))
        is_found = by_person or (excludes and named == "struck")
        if strike > 0:
            self.strikes += 1
            self.kept = None if is_found else self.kept
        elif stays and not is_found and self.kept is None:
            self.kept, self.strikes = fault, 0
        if by_person:
            self.kept = None
        self.restart(waits)

    def replace_node(self, level):
        # A level is turned into a normal variable as the vectorised runs do it: that has tests of its own.
        spread = self.scenario.repair_spread * float(normal(np.array([level]))[0])
        repaired_at = self.now + self.scenario.repair_hours * 3600 * exp(spread)
        free = sorted(at for at in self.standby if at <= self.now)
        if free:
            self.standby.remove(free[0])
        else:
            self.counts["cold_nodes"] += 1
        self.standby.append(repaired_at)
        return self.scenario.standby_seconds if free else self.scenario.cold_seconds

    def named(self, behaviour, level):
        right = chance_of(self.policy.right, behaviour.cause) if behaviour.has_part else 0.0
        wrong = chance_of(self.policy.wrong, behaviour.cause)
        return "struck" if level < right else "other" if level < right + wrong else None

    def diagnosed(self, cause, level):
        told = self.policy.diagnosed.get(cause, self.policy.diagnosed.get("all"))
        chances = {Cause(cause if name == "same" else name): chance for name, chance in told.items()}
        chances[Cause.UNKNOWN] = chances.get(Cause.UNKNOWN, 0.0) + max(0.0, 1.0 - sum(chances.values()))
        return chosen([(each, chances.get(each, 0.0)) for each in CAUSES], level)

    def action(self, cause, named, strike):
        depth = self.fruitless if self.policy.responder is Responder.PIPELINE else strike
        place = CAUSES.index(cause), int(named is not None), int(strike > 0), min(depth, DEPTHS - 1)
        self.back_seconds = self.table.back_seconds[place]
        return self.table.what[place]

    def roll_back(self, detect):
        if self.back_seconds:
            saves = ceil((self.back_seconds - detect - self.debt) / (self.interval + self.scenario.save_seconds) - 1e-9)
            self.debt = min(self.debt + max(saves, 0) * self.interval, self.seconds["productive"])
