"""The catalogue that ships: every example is tried, every entry says where it comes from."""

from pathlib import Path
from time import perf_counter

import pytest

import clusterwatch.detect
from clusterwatch.detect import Hit, Rule, compile_catalog
from clusterwatch.detect.matcher import LONGEST_LINE, unbeaten
from clusterwatch.detect.refining import Refinement
from clusterwatch.detect.sightings import kind_from
from clusterwatch.model import UNLISTED, Cause, Role, Severity, Signal, kind_and_parents

TEXTS = {path.name: path.read_text() for path in (Path(clusterwatch.detect.__file__).parent / "catalog").glob("*.toml")}
CATALOG = compile_catalog(TEXTS)

MATCHING = [
    pytest.param(rule, line, id=f"{rule.name}-{n}") for rule in CATALOG.rules for n, line in enumerate(rule.match)
]
OTHERS = [
    pytest.param(rule, line, id=f"{rule.name}-{n}") for rule in CATALOG.rules for n, line in enumerate(rule.no_match)
]

REFINED = [
    pytest.param(refinement, line, id=f"{number}-{refinement.to}-{n}")
    for number, refinement in enumerate(CATALOG.refinements.all)
    for n, line in enumerate(refinement.match)
]

# Kinds that states and samples give, without a rule.
NOT_FROM_LINES = (
    "gpu.ecc",
    "gpu.remap",
    "gpu.thermal_slowdown",
    "gpu.hardware_slowdown",
    "gpu.power_brake",
    "gpu.nvlink",
    "gpu.xid",
    "gpu.sram",
    "gpu.retired_pages",
    "gpu.too_hot",
    "gpu.memory_too_hot",
    "gpu.fabric",
    "gpu.pcie",
    "gpu.reset_required",
    "gpu.recovery",
    "gpu.count",
    "scan",
    "fabric",
    "pcie",
    "edac",
    "mce",
    "bmc.sensor",
    "disk",
    "host",
    "collector",
    "process",
    "job",
    "attempt",
    "rank",
    "checkpoint",
    "action",
    "training",
    "torchelastic",
    "python.exception",
    "kernel_log",
    "job_log",
)


def rules_on(line: str) -> list[str]:
    return [hit.rule.name for hit in unbeaten(CATALOG.matcher.hits([line]).get(0, ()))]


def refinements_on(hit: Hit, line: str) -> list[Refinement]:
    """Return the refinements that *line* goes through after *hit*."""
    fields = hit.rule.fields(hit.match)
    kind, _ = CATALOG.refinements.refined(kind_from(hit.rule.kind, fields), fields, line)
    return [each for each in CATALOG.refinements.all if any(_covers(each.to, name) for name in kind_and_parents(kind))]


@pytest.mark.parametrize(("rule", "line"), MATCHING)
def test_rule_recognises_its_example(rule: Rule, line: str) -> None:
    assert rule.name in rules_on(line)


@pytest.mark.parametrize(("rule", "line"), OTHERS)
def test_rule_passes_over_what_only_looks_alike(rule: Rule, line: str) -> None:
    assert rule.name not in rules_on(line)


@pytest.mark.parametrize(("rule", "line"), MATCHING)
def test_example_holds_a_literal_of_its_rule(rule: Rule, line: str) -> None:
    assert any(literal in line for literal in rule.literals)


@pytest.mark.parametrize(("refinement", "line"), REFINED)
def test_refinement_makes_its_example_more_special(refinement: Refinement, line: str) -> None:
    assert any(refinement in refinements_on(hit, line) for hit in CATALOG.matcher.hits([line]).get(0, ()))


@pytest.mark.parametrize(
    "entry",
    [
        *(pytest.param(rule, id=f"rule-{rule.name}") for rule in CATALOG.rules),
        *(pytest.param(signal, id=signal.kind) for signal in CATALOG.knowledge),
        *(pytest.param(each, id=f"refine-{n}-{each.to}") for n, each in enumerate(CATALOG.refinements.all)),
    ],
)
def test_entry_says_where_it_comes_from(entry: Rule | Signal | Refinement) -> None:
    assert entry.sources
    assert all(source.startswith(("https://", "docs/")) for source in entry.sources)


@pytest.mark.parametrize("signal", list(CATALOG.knowledge), ids=lambda signal: signal.kind)
def test_signal_can_be_reached(signal: Signal) -> None:
    templates = [*(rule.kind for rule in CATALOG.rules), *(each.to for each in CATALOG.refinements.all)]
    from_rules = any(_covers(template, signal.kind) for template in templates)

    assert from_rules or signal.kind.startswith(NOT_FROM_LINES)


@pytest.mark.parametrize("signal", list(CATALOG.knowledge), ids=lambda signal: signal.kind)
def test_fault_speaks_for_a_cause_and_says_what_to_do(signal: Signal) -> None:
    if signal.role is Role.FAULT:
        assert signal.weights
        assert signal.severity >= Severity.WARNING
    if signal.role in {Role.FAULT, Role.SUSPECT} and signal.severity is Severity.FATAL:
        assert signal.action


@pytest.mark.parametrize("signal", list(CATALOG.knowledge), ids=lambda signal: signal.kind)
def test_signal_that_is_expected_is_known(signal: Signal) -> None:
    for expectation in signal.expects:
        assert CATALOG.knowledge[expectation.kind] is not UNLISTED


@pytest.mark.parametrize("rule", CATALOG.rules, ids=lambda rule: rule.name)
def test_no_pattern_runs_away_on_a_hostile_line(rule: Rule) -> None:
    example = rule.match[0]
    hostile = [
        example * 200,
        (example[: len(example) // 2] + " ") * 300,
        example[:-3] + "1" * 8000,
        f"{rule.literals[0]} 1 " * 400,
    ]

    begun = perf_counter()
    for line in hostile:
        rule.pattern.search(line[:LONGEST_LINE])

    assert perf_counter() - begun < 1.0


def test_xid_without_an_entry_means_what_any_xid_means() -> None:
    signal = CATALOG.knowledge["gpu.xid.999"]

    assert (signal.kind, signal.severity, signal.leading_cause) == ("gpu.xid", Severity.WARNING, Cause.UNKNOWN)


def test_program_errors_among_the_xids_do_not_blame_the_gpu_first() -> None:
    leading = {number: CATALOG.knowledge[f"gpu.xid.{number}"].leading_cause for number in (13, 31, 43, 45, 69, 137)}

    assert set(leading.values()) == {Cause.SOFTWARE_BUG}


def test_symptom_never_speaks_for_hardware_most() -> None:
    symptoms = [
        signal for signal in CATALOG.knowledge if signal.role is Role.SYMPTOM and signal.kind.startswith("nccl")
    ]

    assert all(signal.leading_cause in {Cause.NCCL_TIMEOUT_UNKNOWN, Cause.SOFTWARE_BUG} for signal in symptoms)


def strength(kind: str) -> float:
    """Return what *kind* weighs where no cause is proven and only a suspect is to be named."""
    return max(CATALOG.knowledge[kind].weights.values(), default=0.0)


@pytest.mark.parametrize("ending", ["error", "sigkill", "sigterm", "sigsegv", "sigabrt"])
def test_rank_that_torchrun_names_first_is_suspected_before_a_later_one_and_one_that_vanished(ending: str) -> None:
    root, later = f"torchelastic.root_cause.{ending}", f"torchelastic.failure.{ending}"

    assert strength(root) > strength(later)
    assert strength(root) > strength("process.gone")


def test_first_rank_with_an_error_of_its_own_is_a_suspect_until_another_was_killed() -> None:
    root = CATALOG.knowledge["torchelastic.root_cause.error"]

    assert (root.role, root.leading_cause) == (Role.SUSPECT, Cause.SOFTWARE_BUG)
    # A rank that lost its peer can end before the peer that was killed.
    assert strength("torchelastic.root_cause.error") < strength("torchelastic.failure.sigkill")


def test_process_that_vanished_says_little_by_itself() -> None:
    assert CATALOG.knowledge["process.gone"].weights == {Cause.UNKNOWN: 0.2}


def _covers(template: str, kind: str) -> bool:
    return template == kind or ("{" in template and kind.startswith(template.partition(".{")[0]))
