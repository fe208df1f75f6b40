"""The 54 days over and over: other seeds, worse signals, other operators, other policies, other costs of a checkpoint.

Prints the rows of docs/measured/replay.md. SOAK_DAYS takes fewer days of the long trace.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from clusterwatch import config
from clusterwatch.app.replay import Asked, Replayed, replay
from simulators.trace.files import write_file
from simulators.trace.generating import generate
from simulators.trace.specs import builtin_spec

DAYS = float(os.environ.get("SOAK_DAYS", "54"))
TRACE = "llama3-54d"
SEEDS = range(1, 12)
OTHERS = ("byterobust-dense", "byterobust-moe", "byterobust-fleet", "rsc1", "acme", "crusoe", "c4")
SCENARIOS = (
    "reboots-look-like-faults",
    "switch-storm",
    "lemon-nodes",
    "crash-loop",
    "silent-corruption",
    "event-storm",
)
WORSE = {"signal_loss doubled": {"signal_loss": 0.04}, "clock skew of 30 s": {"clock_skew_seconds": 30.0}}
POLICIES = ("nothing", "requeue", "llama3", "default", "oracle")


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory):
    """Return the replay of a built-in trace, the long one over as many days as asked for."""
    folder = tmp_path_factory.mktemp("traces")

    def run(name: str, seed: int = 1, policy: str = "default", **assume: float) -> Replayed:
        spec = builtin_spec(name)
        path = folder / f"{name}-{seed}.jsonl"
        if not path.exists():
            days = DAYS if name == TRACE else spec.days
            write_file(replace(generate(spec, seed, days=days), name=name), path)
        return replay(Asked(str(path), policy, options=assume), config.load(None, {}))

    return run


COLUMNS = ("what", "unexpected", "repeats", "right", "macro-F1", "unseen", "culprit", "healthy drained", "manual")
HEADING = f"| {' | '.join(COLUMNS)} | ETTR | without planned |\n|---{'|---:' * 10}|"


def row(what: str, told: Replayed) -> str:
    """Return the figures as a row of the table."""
    made, done, goodput = told.classification, told.automation, told.goodput
    shares = (made.accuracy, made.macro_f1, made.unseen_wording_accuracy, made.culprit_node_accuracy)
    figures = [told.interruptions["unexpected"], told.interruptions["repeats"]]
    figures += ["-" if share is None else f"{share:.3f}" for share in shares]
    figures += [done.healthy_nodes_drained, done.manual_interventions]
    figures += ["-" if share is None else f"{share:.4f}" for share in (goodput.ettr, goodput.ettr_unplanned)]
    return f"| {what} | {' | '.join(map(str, figures))} |"


def test_other_seeds_and_worse_signals(traced) -> None:
    print(f"\n{HEADING}")
    told = {seed: traced(TRACE, seed) for seed in SEEDS}
    for seed, each in told.items():
        print(row(f"seed {seed}", each))
    for what, assume in WORSE.items():
        print(row(what, traced(TRACE, **assume)))
    assert all(each.automation.healthy_nodes_drained == 0 for each in told.values())


def test_other_operators_and_scenarios(traced) -> None:
    print(f"\n{HEADING}")
    for name in (*OTHERS, *SCENARIOS):
        print(row(name, traced(name)))


def test_policies_side_by_side(traced) -> None:
    print(f"\n{HEADING}")
    told = {policy: traced(TRACE, policy=policy) for policy in POLICIES}
    for policy, each in told.items():
        print(row(policy, each))
    assert told["default"].goodput.ettr > told["llama3"].goodput.ettr


def test_costs_of_a_checkpoint(traced) -> None:
    print("\n| blocking save s | load 30 s | load 60 s | load 120 s | load 240 s |\n|---:|---:|---:|---:|---:|")
    for save in (0.5, 1.0, 2.0, 5.0, 10.0):
        told = [traced(TRACE, blocking_save_seconds=save, load_seconds=load) for load in (30.0, 60.0, 120.0, 240.0)]
        print(f"| {save:g} | {' | '.join(f'{each.goodput.ettr:.4f}' for each in told)} |")
