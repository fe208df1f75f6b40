import pytest

from clusterwatch.detect import compile_catalog
from clusterwatch.errors import CatalogError
from clusterwatch.model import Cause, ComponentKind, Role, Severity

SIGNAL = """
[[signal]]
kind = "disk.worn"
meaning = "a disk is worn"
severity = "warning"
role = "suspect"
weights = { ssd = 2.0 }
suspect = "disk"
sources = ["https://example.org"]
expects = [{ kind = "disk.worn", source = "kernel_log", if_absent = "no line", weights = { ssd = -1.0 } }]
"""
RULE = """
[[rule]]
name = "worn"
kind = "disk.worn"
literal = "worn"
pattern = '(?P<disk>\\w+) is worn'
component = { kind = "disk", id = "{disk}" }
sources = ["https://example.org"]
match = ["sda is worn"]
"""


def test_signal_and_rule_are_read() -> None:
    catalog = compile_catalog({"site.toml": SIGNAL + RULE})

    signal = catalog.knowledge["disk.worn"]
    assert (signal.severity, signal.role, signal.weights) == (Severity.WARNING, Role.SUSPECT, {Cause.SSD: 2.0})
    assert signal.suspect is ComponentKind.DISK
    assert signal.expects[0].weights == {Cause.SSD: -1.0}
    assert [rule.name for rule in catalog.rules] == ["worn"]


def test_rules_of_one_file_may_use_signals_of_another() -> None:
    catalog = compile_catalog({"a.toml": RULE, "b.toml": SIGNAL})

    assert len(catalog.rules) == 1


def test_every_mistake_of_every_file_is_named() -> None:
    texts = {
        "broken.toml": "[[rule",
        "other.toml": "[[colour]]\nname = 'x'",
        "rule.toml": RULE.replace("(?P<disk>", "(").replace('"worn"\nkind', '"twice"\nkind')
        + RULE.replace("worn'", "worn('"),
        "signal.toml": SIGNAL.replace("ssd = 2.0", "gremlins = 2.0")
        .replace('"warning"', '"bad"')
        .replace("role", "rolle"),
    }

    with pytest.raises(CatalogError) as error:
        compile_catalog(texts)

    message = str(error.value)
    for part in (
        "broken.toml: not TOML",
        "other.toml: 'colour' is not one of",
        "rule.toml: rule 'twice': the pattern has no group 'disk'",
        "rule.toml: rule 'worn': pattern is not a regular expression",
        "signal.toml: signal 'disk.worn': unknown cause 'gremlins'",
        "severity must be one of info, warning, error, fatal, not 'bad'",
        "unknown key 'rolle'",
        "role must be one of",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('kind = "disk.worn"\nliteral', 'kind = "gone.away"\nliteral'), "no signal says what 'gone.away' means"),
        (('literal = "worn"', "literal = 7"), "literal must be a list of texts"),
        (('literal = "worn"', 'source = "nowhere"\nliteral = "worn"'), "unknown source 'nowhere'"),
        (('literal = "worn"', 'beats = ["nobody"]\nliteral = "worn"'), "beats 'nobody', which is no rule"),
        (('sources = ["https://example.org"]\nmatch', "match"), "sources is missing"),
        (('kind = "disk", id', 'kind = "sofa", id'), "kind must be one of"),
    ],
)
def test_mistake_in_a_rule_is_said_in_words(change: tuple[str, str], said: str) -> None:
    with pytest.raises(CatalogError, match="site") as error:
        compile_catalog({"signals.toml": SIGNAL, "site.toml": RULE.replace(*change)})

    assert said in str(error.value)


def test_names_are_taken_once() -> None:
    with pytest.raises(CatalogError) as error:
        compile_catalog({"a.toml": SIGNAL + RULE, "b.toml": SIGNAL + RULE})

    assert str(error.value).count("stands twice in the catalogue") == 2


def test_rule_may_beat_all_others() -> None:
    other = RULE.replace('name = "worn"', 'name = "other"')
    speaking = RULE.replace('name = "worn"', 'name = "speaking"\nbeats = ["*"]')

    catalog = compile_catalog({"signals.toml": SIGNAL, "site.toml": RULE + other + speaking})

    assert {rule.name: rule.beats for rule in catalog.rules} == {
        "worn": frozenset(),
        "other": frozenset(),
        "speaking": frozenset({"worn", "other"}),
    }


@pytest.mark.parametrize("weight", ["nan", "inf", "-inf", "1e308", "true"])
def test_weight_that_nothing_could_outweigh_is_refused(weight: str) -> None:
    text = f"""
[[signal]]
kind = "site.x"
meaning = "x"
severity = "error"
role = "fault"
weights = {{ nic = {weight} }}
sources = ["https://example.org"]
"""

    with pytest.raises(CatalogError, match="weight of 'nic' must be a number from -20 to 20"):
        compile_catalog({"site/x.toml": text})


@pytest.mark.parametrize("pattern", ["a{99999999999}", "(" * 3000 + "a" + ")" * 3000])
def test_pattern_beyond_what_can_be_compiled_is_a_mistake_like_others(pattern: str) -> None:
    with pytest.raises(CatalogError, match="pattern is not a regular expression"):
        compile_catalog({"site/x.toml": f"[[rule]]\nname = 'x'\npattern = '{pattern}'\n"})


def test_lists_too_deep_to_read_are_a_mistake_like_others() -> None:
    with pytest.raises(CatalogError, match=r"site/x\.toml: not TOML"):
        compile_catalog({"site/x.toml": "a = " + "[" * 5000 + "]" * 5000})
