"""The catalogue that ships: every example is tried, every entry says where it comes from."""

from collections.abc import Mapping

import pytest

from clusterwatch.detect import Catalog, Hit, Rule
from clusterwatch.detect.matcher import unbeaten
from clusterwatch.detect.refining import Refinement
from clusterwatch.detect.sightings import kind_from
from clusterwatch.model import UNLISTED, Cause, Role, Severity, Signal, kind_and_parents
from offenders import assert_none

# Kinds that states and samples give, without a rule.
NOT_FROM_LINES = (
    "collective.",
    "section",
    "python.traceback_cut",
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
    "node.",
    "maintenance.",
)


Hits = Mapping[str, tuple[Hit, ...]]


@pytest.fixture(scope="module")
def hits(catalog: Catalog) -> Hits:
    """What the matcher finds on every example of the catalogue."""
    examples = [*catalog.rules, *catalog.refinements.all]
    lines = [line for each in examples for line in (*each.match, *getattr(each, "no_match", ()))]
    found = catalog.matcher.hits(lines)
    return {line: found.get(n, ()) for n, line in enumerate(lines)}


def rules_on(line: str, hits: Hits) -> set[str]:
    return {hit.rule.name for hit in unbeaten(hits[line])}


def refinements_on(hit: Hit, line: str, catalog: Catalog) -> list[Refinement]:
    """Return the refinements that *line* goes through after *hit*."""
    fields = hit.rule.fields(hit.match)
    kind, _ = catalog.refinements.refined(kind_from(hit.rule.kind, fields), fields, line)
    return [each for each in catalog.refinements.all if any(_covers(each.to, name) for name in kind_and_parents(kind))]


def test_rule_recognises_its_examples(catalog: Catalog, hits: Hits) -> None:
    assert_none([_place(rule, line) for rule, line in _matching(catalog) if rule.name not in rules_on(line, hits)])


def test_rule_passes_over_what_only_looks_alike(catalog: Catalog, hits: Hits) -> None:
    others = [(rule, line) for rule in catalog.rules for line in rule.no_match]

    assert_none([_place(rule, line) for rule, line in others if rule.name in rules_on(line, hits)])


def test_example_holds_a_literal_of_its_rule(catalog: Catalog) -> None:
    without = [pair for pair in _matching(catalog) if not any(literal in pair[1] for literal in pair[0].literals)]

    assert_none([_place(*pair) for pair in without])


def test_refinement_makes_its_examples_more_special(catalog: Catalog, hits: Hits) -> None:
    missed = [
        f"{each.file}: {each.to}: {line}"
        for each in catalog.refinements.all
        for line in each.match
        if not any(each in refinements_on(hit, line, catalog) for hit in hits[line])
    ]

    assert_none(missed)


def test_name_of_an_adapter_is_no_word_of_the_sentence(catalog: Catalog, hits: Hits) -> None:
    named = [
        (rule, line, hit.rule.fields(hit.match).get("nic")) for rule, line in _matching(catalog) for hit in hits[line]
    ]

    assert_none([_place(rule, line) for rule, line, nic in named if nic and not any(map(str.isdigit, str(nic)))])


def test_every_word_of_the_kernel_about_running_out_of_memory_is_the_expected_one(catalog: Catalog) -> None:
    detail = next(rule for rule in catalog.rules if rule.name == "oom-constraint")

    assert "kernel.oom_kill" in kind_and_parents(detail.kind)


def test_entry_says_where_it_comes_from(catalog: Catalog) -> None:
    entries = [
        *((f"rule {rule.name}", rule.sources) for rule in catalog.rules),
        *((f"signal {signal.kind}", signal.sources) for signal in catalog.knowledge),
        *((f"refine {each.to}", each.sources) for each in catalog.refinements.all),
    ]

    assert_none([name for name, sources in entries if not _are_public(sources)])


def _are_public(sources: tuple[str, ...]) -> bool:
    return bool(sources) and all(source.startswith(("https://", "docs/")) for source in sources)


def test_signal_can_be_reached(catalog: Catalog) -> None:
    templates = {*(rule.kind for rule in catalog.rules), *(each.to for each in catalog.refinements.all)}
    exact, open_ended = {each for each in templates if "{" not in each}, [each for each in templates if "{" in each]
    unreached = [
        signal.kind
        for signal in catalog.knowledge
        if signal.kind not in exact
        and not signal.kind.startswith(NOT_FROM_LINES)
        and not any(_covers(template, signal.kind) for template in open_ended)
    ]

    assert_none(unreached)


def test_fault_speaks_for_a_cause_and_says_what_to_do(catalog: Catalog) -> None:
    assert_none([signal.kind for signal in catalog.knowledge if not _is_useful(signal)])


def _is_useful(signal: Signal) -> bool:
    if signal.role is Role.FAULT and (not signal.weights or signal.severity < Severity.WARNING):
        return False
    is_grave = signal.role in {Role.FAULT, Role.SUSPECT} and signal.severity is Severity.FATAL
    return bool(signal.action) or not is_grave


def test_signal_that_is_expected_is_known(catalog: Catalog) -> None:
    known = {name for signal in catalog.knowledge for name in kind_and_parents(signal.kind)}
    unknown = [
        f"{signal.kind} expects {kind}"
        for signal in catalog.knowledge
        for expectation in signal.expects
        for kind in (expectation.kind, *expectation.instead)
        if catalog.knowledge[kind] is UNLISTED and kind not in known
    ]

    assert_none(unknown)


def test_xid_without_an_entry_means_what_any_xid_means(catalog: Catalog) -> None:
    signal = catalog.knowledge["gpu.xid.999"]

    assert (signal.kind, signal.severity, signal.leading_cause) == ("gpu.xid", Severity.WARNING, Cause.UNKNOWN)


def test_program_errors_among_the_xids_do_not_blame_the_gpu_first(catalog: Catalog) -> None:
    leading = {number: catalog.knowledge[f"gpu.xid.{number}"].leading_cause for number in (13, 31, 43, 45, 69, 137)}

    assert set(leading.values()) == {Cause.SOFTWARE_BUG}


def test_symptom_never_speaks_for_hardware_most(catalog: Catalog) -> None:
    symptoms = [
        signal for signal in catalog.knowledge if signal.role is Role.SYMPTOM and signal.kind.startswith("nccl")
    ]

    assert all(signal.leading_cause in {Cause.NCCL_TIMEOUT_UNKNOWN, Cause.SOFTWARE_BUG} for signal in symptoms)


def strength(catalog: Catalog, kind: str) -> float:
    """Return what *kind* weighs where no cause is proven and only a suspect is to be named."""
    return max(catalog.knowledge[kind].weights.values(), default=0.0)


@pytest.mark.parametrize("ending", ["error", "sigkill", "sigterm", "sigsegv", "sigabrt"])
def test_rank_that_torchrun_names_first_is_suspected_before_a_later_one_and_one_that_vanished(
    catalog: Catalog, ending: str
) -> None:
    root, later = f"torchelastic.root_cause.{ending}", f"torchelastic.failure.{ending}"

    assert strength(catalog, root) > strength(catalog, later)
    assert strength(catalog, root) > strength(catalog, "process.gone")


def test_first_rank_with_an_error_of_its_own_is_a_suspect_until_another_was_killed(catalog: Catalog) -> None:
    root = catalog.knowledge["torchelastic.root_cause.error"]

    assert (root.role, root.leading_cause) == (Role.SUSPECT, Cause.SOFTWARE_BUG)
    # A rank that lost its peer can end before the peer that was killed.
    assert strength(catalog, "torchelastic.root_cause.error") < strength(catalog, "torchelastic.failure.sigkill")


def test_process_that_vanished_says_little_by_itself(catalog: Catalog) -> None:
    assert catalog.knowledge["process.gone"].weights == {Cause.UNKNOWN: 0.2}


def _matching(catalog: Catalog) -> list[tuple[Rule, str]]:
    return [(rule, line) for rule in catalog.rules for line in rule.match]


def _place(rule: Rule, line: str) -> str:
    return f"{rule.file}: {rule.name}: {line}"


def _covers(template: str, kind: str) -> bool:
    return template == kind or ("{" in template and kind.startswith(template.partition(".{")[0]))
