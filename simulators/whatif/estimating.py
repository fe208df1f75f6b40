"""Runs until the answer is known well enough: the estimator behind `clusterwatch simulate`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from clusterwatch.errors import ConfigError, Mistake
from clusterwatch.goodput import Reason
from clusterwatch.seams import Answer, Estimate, Estimated, Question
from simulators.whatif.arrivals import Faults, faults
from simulators.whatif.changing import changed, parsed, settings_of
from simulators.whatif.deciding import Actions, action_table, built_in_rules
from simulators.whatif.draws import Floats, Whole
from simulators.whatif.measured import OWN, figures_of, measured_toml
from simulators.whatif.policies import Policy, Responder, built_in_policies, built_in_texts, policies_of
from simulators.whatif.runs import COUNTS, REASONS, Outcome, outcome_of
from simulators.whatif.scenario import HOUR, Scenario

_SURE = 1.959964
"""Standard errors on either side of a mean that hold it with a confidence of 95 %."""

_FIRST_RUNS, _MOST_RUNS_AT_ONCE = 64, 1024
_FAULTS_AT_ONCE = 600_000
"""Bounds the memory: runs made at once times the faults of a run."""

_SHARE_OF_DIFFERENCE = 0.02
"""A difference of many points need not be known to a hundredth of a point."""

_EXTRA_CAUSES = ("planned_maintenance", "false_restart")
_ARRIVAL_SETTINGS = ("days", "nodes", "failures_per_second", "arrivals", "shape", "ages", "planned_per_day")


@dataclass(slots=True, eq=False)
class _Case:
    """A policy in a scenario, and what was seen of it so far."""

    label: str
    title: str
    scenario: Scenario
    policy: Policy
    actions: Actions
    ettr: list[Floats] = field(default_factory=list)
    seconds: dict[Reason, float] = field(default_factory=lambda: dict.fromkeys(REASONS, 0.0))
    causes: Floats | float = 0.0
    counts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0.0))
    runs: int = 0

    def take(self, outcome: Outcome) -> None:
        """Add what became of more runs."""
        productive = outcome.seconds[Reason.PRODUCTIVE]
        self.ettr.append(productive / self.scenario.seconds)
        self.runs += len(productive)
        for reason, seconds in outcome.seconds.items():
            self.seconds[reason] += float(seconds.sum())
        self.causes = self.causes + outcome.lost_by_cause.sum(axis=0)
        for name, count in outcome.counts.items():
            self.counts[name] += float(count.sum())

    @property
    def ratios(self) -> Floats:
        """The effective training time ratio of each run."""
        return np.concatenate(self.ettr)

    @property
    def all_gpu_hours(self) -> float:
        """What the job holds over the whole time."""
        return self.scenario.seconds / HOUR * self.scenario.gpus

    @property
    def idle_gpu_hours(self) -> float:
        """What stands by over the whole time."""
        return self.scenario.seconds / HOUR * self.scenario.spares * self.scenario.gpus_per_node


class WhatIf:
    """Estimates by simulating runs; meets `clusterwatch.seams.Estimator`."""

    name = "what_if"

    def settings(self) -> Mapping[str, str]:
        """Return every setting with its default."""
        return {name: "" if value is None else str(value) for name, value in settings_of(Scenario()).items()}

    def estimate(self, question: Question, on_runs: Callable[[int, float], None]) -> Answer:
        """Return the answer to *question*.

        Raises:
            ConfigError: The question names what does not exist, or a figure is out of range.
        """
        scenario = changed(Scenario(), question.settings, "settings")
        policies = _policies(question)
        tables = {policy.name: action_table(policy, question.rules_text) for policy in policies}
        alone = [_Case(each.name, each.title, scenario, each, tables[each.name]) for each in policies]
        what_if = [_changed(text, alone[0]) for text in question.changes]
        cases = [*alone, *what_if]
        _run(cases, question, on_runs)
        estimates = [_estimate(case, cases[0]) for case in cases]
        notes = _notes(policies, cases, question)
        return Answer(
            settings_of(scenario),
            question.seed,
            tuple(estimates[: len(alone)]),
            tuple(estimates[len(alone) :]),
            notes,
        )


def _policies(question: Question) -> list[Policy]:
    try:
        policies = _told(question)
    except ValueError as error:
        raise ConfigError("policies", [Mistake("file", str(error))]) from error
    usual = OWN if OWN in policies else next(iter(policies))
    wanted = question.policies or (usual, *(name for name in policies if name != usual))
    unknown = [
        Mistake(name, f"no such policy; there are {', '.join(policies)}") for name in wanted if name not in policies
    ]
    unknown += [
        Mistake(f"{each.name}.rules", f"no rules of this name; there are {', '.join(built_in_rules())}")
        for each in policies.values()
        if each.responder is Responder.PIPELINE and each.rules not in built_in_rules()
    ]
    if unknown:
        raise ConfigError("policies", unknown)
    return [policies[name] for name in wanted]


def _told(question: Question) -> dict[str, Policy]:
    if not question.policies_text and not question.measured_text:
        return built_in_policies()
    policies, measured = built_in_texts()
    told = policies_of(question.policies_text or policies, _figures(question.measured_text) or measured)
    if not told:
        raise ValueError("tells no policy")
    strange = tomllib.loads(_figures(question.measured_text)).keys() - told.keys()
    if strange:
        raise ValueError(f"{', '.join(sorted(strange))} was measured and is no policy; there are {', '.join(told)}")
    return told


def _figures(measured: str) -> str:
    """Return *measured* as TOML, where it is what a replay printed as JSON, too."""
    if not measured.lstrip().startswith("{"):
        return measured
    return measured_toml({OWN: figures_of(json.loads(measured))})


def _changed(text: str, base: _Case) -> _Case:
    scenario = changed(base.scenario, parsed(text), f'"{text}"')
    return _Case(text, f"{base.title}, {text}", scenario, base.policy, base.actions)


def _run(cases: Sequence[_Case], question: Question, on_runs: Callable[[int, float], None]) -> None:
    """Make runs, the same for every case, until each difference to the first is known well enough."""
    base, made, size, is_open = cases[0], 0, _FIRST_RUNS, True
    while is_open and made < question.max_runs:
        size = max(1, min(size, _at_once(cases), question.max_runs - made))
        runs = np.arange(made, made + size)
        due: dict[tuple[object, ...], Faults] = {}
        for case in cases:
            case.take(_outcome(case, runs, question.seed, due))
        made, size = made + size, min(2 * size, _MOST_RUNS_AT_ONCE)
        is_open = any(_open(case, base) > _wanted(case, base, question) for case in cases)
        on_runs(made, 100.0 * max(_open(case, base) for case in cases))


def _at_once(cases: Sequence[_Case]) -> int:
    most = max(case.scenario.failures_per_second * case.scenario.seconds for case in cases)
    return max(8, int(_FAULTS_AT_ONCE / (most + 100.0)))


def _outcome(case: _Case, runs: Whole, seed: int, due: dict[tuple[object, ...], Faults]) -> Outcome:
    # All scenarios here hold the same mix of causes.
    key = tuple(getattr(case.scenario, name) for name in _ARRIVAL_SETTINGS)
    if key not in due:
        due[key] = faults(case.scenario, seed, runs)
    return outcome_of(case.scenario, case.policy, due[key], seed, case.actions)


def _differences(case: _Case, base: _Case) -> Floats:
    ratios = case.ratios
    return ratios if case is base else ratios - base.ratios


def _open(case: _Case, base: _Case) -> float:
    """Return how far the mean may be off, as a share."""
    differences = _differences(case, base)
    if len(differences) < _FIRST_RUNS:
        return float("inf")
    return _SURE * float(differences.std(ddof=1)) / sqrt(len(differences))


def _wanted(case: _Case, base: _Case, question: Question) -> float:
    wanted = question.precision / 100.0
    if case is base:
        return wanted
    return max(wanted, _SHARE_OF_DIFFERENCE * abs(float(_differences(case, base).mean())))


def _estimate(case: _Case, base: _Case) -> Estimate:
    hours = case.all_gpu_hours / case.scenario.seconds / case.runs
    ratios, planned = case.ratios, case.seconds[Reason.PLANNED] / case.runs
    ettr = _estimated(ratios, 1.0)
    names = (*(each.cause.value for each in case.scenario.mix), *_EXTRA_CAUSES)
    return Estimate(
        label=case.label,
        policy=case.policy.name,
        title=case.title,
        runs=case.runs,
        interval_seconds=case.scenario.interval(case.policy.interval_seconds),
        ettr=ettr,
        ettr_unplanned=ettr.mean * case.scenario.seconds / max(case.scenario.seconds - planned, 1e-9),
        quantiles={f"p{level:02d}": float(np.percentile(ratios, level)) for level in (5, 50, 95)},
        points=None if case is base else _estimated(_differences(case, base), 100.0),
        gpu_hours=_gpu_hours(case, base),
        idle_gpu_hours=case.idle_gpu_hours,
        counts={name: count / case.runs for name, count in case.counts.items()},
        lost_gpu_hours_by_reason={
            str(reason): hours * case.seconds[reason] for reason in REASONS if reason is not Reason.PRODUCTIVE
        },
        lost_gpu_hours_by_cause=dict(zip(names, (hours * np.atleast_1d(case.causes)).tolist(), strict=True)),
    )


def _gpu_hours(case: _Case, base: _Case) -> Estimated | None:
    if case is base:
        return None
    mine, theirs = case.ratios, base.ratios
    return _estimated(mine * case.all_gpu_hours - theirs * base.all_gpu_hours, 1.0)


def _estimated(values: Floats, unit: float) -> Estimated:
    mean = float(values.mean())
    off = _SURE * float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else float("inf")
    return Estimated(unit * mean, unit * (mean - off), unit * (mean + off))


def _notes(policies: Sequence[Policy], cases: Sequence[_Case], question: Question) -> tuple[str, ...]:
    assumed = [each.name for each in policies if each.responder is Responder.PIPELINE and not each.is_measured]
    notes = []
    if assumed:
        notes.append(f"How fast and how right {', '.join(assumed)} answers is assumed: no replay measured it yet.")
    vague = [case.label for case in cases if _open(case, cases[0]) > _wanted(case, cases[0], question)]
    if vague:
        runs = f"{question.max_runs:,} runs were not enough"
        notes.append(f"{runs} to know {', '.join(vague)} within {question.precision:g} points.")
    return tuple(notes)
