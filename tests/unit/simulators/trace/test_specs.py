"""What traces are made from."""

import tomllib
from pathlib import Path

import pytest

from clusterwatch.errors import ConfigError
from clusterwatch.model import TABLE5_ROW, Cause
from simulators.terms import Terms
from simulators.trace.specs import builtin_names, builtin_spec, common_assumptions, read_spec, spec_from

SMALL = """
name = "mine"
about = "a test"
days = 2.0

[cluster]
name = "mine"
training_nodes_total = 2

[[jobs]]
id = "job"
name = "job"
user = "ada"
nodes_total = 2
framework = "megatron"
scheduler_id = 1
tp = 8
pp = 2
dp = 1
"""


def assuming(name: str, value: float) -> str:
    return f'[assumptions.{name}]\nvalue = {value}\nunit = "s"\nsource = "us"\npublished = false\n'


@pytest.mark.parametrize("name", builtin_names())
def test_shipped_spec_is_in_order(name: str):
    spec = builtin_spec(name)

    assert spec.name == name
    assert spec.about


def test_every_trace_that_was_promised_is_shipped():
    assert {
        "llama3-54d",
        "tiny",
        "reboots-look-like-faults",
        "switch-storm",
        "lemon-nodes",
        "crash-loop",
        "silent-corruption",
        "event-storm",
        "byterobust-dense",
        "byterobust-moe",
        "rsc1",
        "acme",
        "crusoe",
    } <= set(builtin_names())


def test_categories_of_llama3_are_the_rows_of_table_5():
    rows = {row.name: row.count for row in TABLE5_ROW.values() if row is not None}

    assert {each.name: each.count for each in builtin_spec("llama3-54d").category} == rows
    for each in builtin_spec("llama3-54d").category:
        assert {TABLE5_ROW[cause].name for cause in each.causes} == {each.name}


@pytest.mark.parametrize("name", builtin_names())
def test_shares_of_a_category_add_up(name: str):
    for each in builtin_spec(name).category:
        assert sum(each.causes.values()) == pytest.approx(1.0), each.name


def test_figures_of_others_have_an_address_or_say_why():
    missing = [
        (name, each.name)
        for name in builtin_names()
        for each in builtin_spec(name).category
        if not (each.source.count("https://") or each.why)
    ]

    assert missing == []


def test_spec_is_read_from_a_file(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(SMALL)

    spec = read_spec(path)

    assert (spec.name, spec.cluster.nodes_total) == ("mine", 2)
    assert spec.assumptions["load_seconds"].value == 60.0


def test_every_term_of_the_world_is_assumed_with_its_source():
    assert common_assumptions().keys() == Terms.names()


def test_spec_may_assume_otherwise():
    table = tomllib.loads(SMALL + assuming("load_seconds", 5))

    assert spec_from(table, "mine").assumptions["load_seconds"].value == 5.0


@pytest.mark.parametrize(
    ("more", "mistake"),
    [
        ("faults_total = 7", "faults_total: there is no category to share them"),
        ('[[category]]\nname = "x"\ncount = 1\ncauses = {}', "category.x: has no causes"),
        ('[[category]]\nname = "x"\ncauses = {benign = 1}', "category: benign is no fault"),
        (
            '[[category]]\nname = "x"\ncauses = {gremlin = 1}',
            r"category\[1\].causes.gremlin: must be one of faulty_gpu",
        ),
        ('[[burst]]\nat = 0\ntotal = 1\ncause = "planned_maintenance"', "category: planned_maintenance is no fault"),
        ("[noise]\nshare = 1", "noise.share: must be at most 0.9999"),
        (assuming("laod_seconds", 5), "assumptions.laod_seconds: no such assumption"),
        (assuming("spares", 5), "assumptions.spares: .* a table of its own in the spec"),
        (assuming("load_seconds", -5), "assumptions.load_seconds.value: must be at least 0"),
    ],
)
def test_spec_that_cannot_be_is_refused(more: str, mistake: str):
    begin = SMALL.index("[cluster]")
    text = f"{SMALL[:begin]}{more}\n{SMALL[begin:]}" if more.startswith("faults_total") else SMALL + more

    with pytest.raises(ConfigError, match=mistake):
        spec_from(tomllib.loads(text), "mine")


@pytest.mark.parametrize("cluster", ["../llama3", "llama9", ""])
def test_cluster_that_is_not_shipped_is_refused(cluster: str):
    with pytest.raises(ConfigError, match="is shipped: write a table"):
        spec_from({"name": "x", "cluster": cluster}, "mine")


def test_trace_that_is_not_shipped_names_those_that_are():
    with pytest.raises(ConfigError, match=r"choose one of .*llama3-54d.*tiny"):
        builtin_spec("llama9")


def test_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none\.toml: 1 mistake\n  file: cannot be read"):
        read_spec(tmp_path / "none.toml")


def test_every_cause_of_a_shipped_trace_is_a_fault():
    causes = {cause for name in builtin_names() for each in builtin_spec(name).category for cause in each.causes}

    assert causes <= set(Cause) - {Cause.BENIGN, Cause.PLANNED_MAINTENANCE}
