import pytest

from clusterwatch.detect import Catalog, Verdict, compile_catalog, provenance
from clusterwatch.errors import CatalogError
from clusterwatch.model import Role, Severity

TEXTS = {
    "signals.toml": """
[[signal]]
kind = "gpu.xid.63"
meaning = "a row was remapped"
severity = "warning"
role = "suspect"
weights = { gpu_hbm = 3.0 }
action = "Reset the GPU later."
sources = ["https://example.org/ours"]

[[signal]]
kind = "gpu.xid.63.again"
meaning = "a row was remapped again"
severity = "error"
role = "fault"
weights = { gpu_hbm = 4.0 }
sources = ["https://example.org/ours"]

[[signal]]
kind = "gpu.xid.45"
meaning = "an echo"
severity = "warning"
role = "symptom"
sources = ["https://example.org/ours"]
""",
    "profiles/xids.toml": """
[[project]]
name = "strict"
title = "Strict"
source = "https://example.org/strict"

[[project]]
name = "calm"
title = "Calm"
source = "https://example.org/calm"

[[xid]]
number = 63
mnemonic = "ROW_REMAP"
why = "repair at work"
says = { strict = ["fatal", "RESET_GPU"], calm = ["ignore", ""] }

[[xid]]
number = 45
says = { strict = ["warning", "look at it"] }

[[xid]]
number = 154
says = { strict = ["decode", ""] }
""",
}


def test_default_profile_changes_nothing() -> None:
    signal = compile_catalog(TEXTS).knowledge["gpu.xid.63"]

    assert (signal.severity, signal.role, signal.action) == (Severity.WARNING, Role.SUSPECT, "Reset the GPU later.")


@pytest.mark.parametrize("kind", ["gpu.xid.63", "gpu.xid.63.again"])
def test_profile_replaces_severity_role_and_action_of_an_xid_and_keeps_its_weights(kind: str) -> None:
    plain = compile_catalog(TEXTS).knowledge[kind]

    strict = compile_catalog(TEXTS, "strict").knowledge[kind]

    assert (strict.severity, strict.role) == (Severity.FATAL, Role.FAULT)
    assert strict.action == "Drain the node and reset the GPU."
    assert strict.weights == plain.weights
    assert strict.sources[-1] == "https://example.org/strict"


def test_what_a_profile_ignores_opens_no_incident() -> None:
    signal = compile_catalog(TEXTS, "calm").knowledge["gpu.xid.63"]

    assert (signal.severity, signal.role, signal.action) == (Severity.INFO, Role.CONTEXT, "")


def test_what_a_profile_does_not_list_stays_as_it_is() -> None:
    assert compile_catalog(TEXTS, "calm").knowledge["gpu.xid.45"] == compile_catalog(TEXTS).knowledge["gpu.xid.45"]


def test_warning_leaves_an_echo_an_echo() -> None:
    signal = compile_catalog(TEXTS, "strict").knowledge["gpu.xid.45"]

    assert (signal.role, signal.action) == (Role.SYMPTOM, "Strict: look at it.")


def test_provenance_tells_who_says_what_and_where() -> None:
    catalog = compile_catalog(TEXTS)

    rows = provenance(63, catalog.opinions, catalog.knowledge)

    assert [(row.project, row.verdict, row.action) for row in rows] == [
        ("clusterwatch", Verdict.WARNING, "Reset the GPU later."),
        ("strict", Verdict.FATAL, "RESET_GPU"),
        ("calm", Verdict.IGNORE, ""),
    ]
    assert rows[0].why == "repair at work"
    assert rows[1].source == "https://example.org/strict"


def test_number_that_nobody_lists_is_unlisted_and_not_fatal() -> None:
    catalog = compile_catalog(TEXTS)

    (row,) = provenance(999, catalog.opinions, catalog.knowledge)

    assert (row.project, row.verdict, row.action) == ("clusterwatch", Verdict.UNLISTED, "")


def test_every_mistake_in_opinions_is_named() -> None:
    wrong = """
[[project]]
name = "strict"
title = "Again"
source = "https://example.org"

[[xid]]
number = "63"

[[xid]]
number = 64
says = { strict = ["deadly", ""], nobody = ["fatal", ""] }
"""

    with pytest.raises(CatalogError) as error:
        compile_catalog({**TEXTS, "site.toml": wrong}, "vendor")

    for part in (
        "site.toml: project 'strict': stands twice",
        "site.toml: xid '63': number must be a whole number",
        "says.strict must be [verdict, action]; verdicts are fatal, warning, ignore, decode, unlisted",
        "xid 64: says.nobody: no [[project]] has that name",
        "no profile 'vendor'; known are clusterwatch, strict, calm",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("xid", "project", "verdict"),
    [
        (63, "nvidia", Verdict.IGNORE),
        (63, "gpud", Verdict.FATAL),
        (63, "eks", Verdict.FATAL),
        (13, "navarch", Verdict.FATAL),
        (13, "nvsentinel", Verdict.WARNING),
        (79, "nvidia", Verdict.FATAL),
        (149, "nvsentinel", Verdict.DECODE),
    ],
)
def test_published_verdicts_that_come_with_the_package(
    catalog: Catalog, xid: int, project: str, verdict: Verdict
) -> None:
    rows = {row.project: row for row in provenance(xid, catalog.opinions, catalog.knowledge)}

    assert rows[project].verdict is verdict
    assert rows[project].source.startswith("https://")


def test_every_xid_has_a_reason_for_what_was_chosen(catalog: Catalog) -> None:
    for xid in range(1, 173):
        ours, *others = provenance(xid, catalog.opinions, catalog.knowledge)
        assert ours.verdict is not Verdict.UNLISTED
        assert ours.why
        assert others


def test_xids_that_programs_cause_take_no_node_out_by_default(catalog: Catalog) -> None:
    verdicts = {xid: provenance(xid, catalog.opinions, catalog.knowledge)[0].verdict for xid in (13, 31, 43, 45, 69)}

    assert Verdict.FATAL not in verdicts.values()
