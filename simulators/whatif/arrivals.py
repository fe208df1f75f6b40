"""When faults and planned stops come: the same for every policy."""

from __future__ import annotations

from dataclasses import dataclass
from math import gamma, sqrt

import numpy as np

from simulators.whatif.draws import Floats, Purpose, Whole, exponential, uniforms
from simulators.whatif.scenario import Ages, Arrivals, Scenario


@dataclass(frozen=True, slots=True)
class Faults:
    """(runs, faults) in the order of time, padded with faults that never come.

    Attributes:
        at: Seconds since the start; infinite for padding.
        cause: Index into the scenario's mix; its length for a planned stop.
    """

    runs: Whole
    at: Floats
    cause: Whole


def faults(scenario: Scenario, seed: int, runs: Whole) -> Faults:
    """Return everything that is due in *runs*, numbers of runs, within the scenario's time."""
    hardware = scenario.arrivals is Arrivals.WEIBULL and scenario.failures_per_second > 0
    shares = np.array([each.count for each in scenario.mix], dtype=np.float64)
    rates = scenario.failures_per_second * shares / max(float(shares.sum()), 1e-300)
    by_node = np.array([each.is_hardware and hardware for each in scenario.mix], dtype=bool)
    planned = scenario.planned_per_day / 86_400.0
    found = _constant(scenario, seed, runs, np.append(np.where(by_node, 0.0, rates), planned))
    if not by_node.any():
        return found
    return _merged(found, _of_nodes(scenario, seed, runs, np.where(by_node, rates, 0.0)))


def _constant(scenario: Scenario, seed: int, runs: Whole, rates: Floats) -> Faults:
    """Return what comes at constant *rates*, per second, by cause."""
    total = float(rates.sum())
    if total <= 0.0:
        return Faults(runs, np.full((len(runs), 1), np.inf), np.zeros((len(runs), 1), dtype=np.int64))
    expected = total * scenario.seconds
    count = int(expected + 6.0 * sqrt(expected) + 8.0)
    while True:
        numbers = np.arange(count)
        gaps = exponential(uniforms(seed, Purpose.GAP, runs[:, None], numbers))
        at = np.cumsum(gaps, axis=1) / total
        if bool((at[:, -1] > scenario.seconds).all()):
            break
        count *= 2
    cause = np.searchsorted(np.cumsum(rates) / total, uniforms(seed, Purpose.CAUSE, runs[:, None], numbers))
    return Faults(runs, np.where(at < scenario.seconds, at, np.inf), np.minimum(cause, len(rates) - 1))


def _of_nodes(scenario: Scenario, seed: int, runs: Whole, rates: Floats) -> Faults:
    """Return the failures of parts that age: each node has a clock that begins anew only when its part is replaced."""
    total = float(rates.sum())
    mean = scenario.nodes / total
    scale = mean / gamma(1.0 + 1.0 / scenario.shape)
    run = np.repeat(runs, scenario.nodes)
    row = np.repeat(np.arange(len(runs)), scenario.nodes)
    node = np.tile(np.arange(scenario.nodes), len(runs))
    at = _first(scenario, uniforms(seed, Purpose.FIRST_AGE, run, node), scale)
    rows, times = [], []
    renewal = 1
    while True:
        due = at < scenario.seconds
        row, run, node, at = row[due], run[due], node[due], at[due]
        if not len(at):
            break
        rows.append(row)
        times.append(at)
        again = exponential(uniforms(seed, Purpose.NEXT_AGE, run, node, renewal)) ** (1.0 / scenario.shape)
        at, renewal = at + scale * again, renewal + 1
    table = _table(len(runs), np.concatenate(rows), np.concatenate(times))
    drawn = uniforms(seed, Purpose.NODE_CAUSE, runs[:, None], np.arange(table.shape[1]))
    return Faults(runs, table, np.searchsorted(np.cumsum(rates) / total, drawn))


def _first(scenario: Scenario, levels: Floats, scale: float) -> Floats:
    """Return when each part fails first: from new, or as in a fleet that has run for long."""
    if scenario.ages is Ages.NEW:
        return scale * exponential(levels) ** (1.0 / scenario.shape)
    # What is left of the life of a part picked at any time has the density S(x)/mean: S is the share that lives longer.
    logarithms = np.linspace(-30.0, 8.0, 20_001)
    x = np.exp(logarithms)
    survivors = np.exp(-(x**scenario.shape))
    slices = np.diff(x) * (survivors[1:] + survivors[:-1]) / 2.0
    shares = np.concatenate(([x[0]], x[0] + np.cumsum(slices)))
    return scale * np.exp(np.interp(levels, shares / shares[-1], logarithms))


def _table(runs: int, rows: Whole, times: Floats) -> Floats:
    """Return *times* as (runs, times), each run's in order."""
    order = np.lexsort((times, rows))
    rows, times = rows[order], times[order]
    counts = np.bincount(rows, minlength=runs)
    column = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((runs, int(counts.max()) + 1), np.inf)
    table[rows, column] = times
    return table


def _merged(first: Faults, second: Faults) -> Faults:
    at = np.concatenate((first.at, second.at), axis=1)
    cause = np.concatenate((first.cause, second.cause), axis=1)
    order = np.argsort(at, axis=1, kind="stable")
    at, cause = np.take_along_axis(at, order, 1), np.take_along_axis(cause, order, 1)
    # One column of padding stays, so that every run can look beyond its last.
    width = int(np.isfinite(at).sum(axis=1).max()) + 1
    return Faults(first.runs, at[:, :width], cause[:, :width])
