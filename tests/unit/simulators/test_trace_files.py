"""The name of a trace, and what is assumed otherwise, to the fleet that lives through it."""

from dataclasses import replace

import pytest

from clusterwatch.errors import ConfigError
from simulators.trace.files import write_file
from simulators.trace.generating import generate
from simulators.trace.specs import builtin_spec
from simulators.trace_files import open_trace


def mistakes_of(**assumed):
    with pytest.raises(ConfigError) as caught:
        open_trace("tiny", None, "default", assumed)
    return {mistake.key: mistake.problem for mistake in caught.value.mistakes}


def test_assumption_that_is_asked_for_stands_in_the_header():
    fleet = open_trace(
        "tiny", None, "default", {"load_seconds": 90.0, "diurnal_depth": 0.1, "save_every_seconds": 50.0}
    )

    assert fleet.schedule.assumptions["load_seconds"].value == 90.0
    assert fleet.schedule.cluster.diurnal.depth == 0.1


def test_assumption_that_nobody_knows_is_refused_beside_every_other_mistake():
    found = mistakes_of(laod_seconds=90.0, spares=48.0)

    assert "load_seconds" in found["laod_seconds"]
    assert found["spares"] == "the trace was made with it: change it in a spec, and replay that"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("load_seconds", -3.0, "must be at least 0"),
        ("load_seconds", float("inf"), "must be finite"),
        ("signal_loss", 2.0, "must be at most 1"),
        ("struck_after_restart_seconds", 0.0, "must be above 0"),
        ("save_every_seconds", 0.0, "must be above 0"),
        ("save_every_seconds", float("nan"), "must be finite"),
    ],
)
def test_assumption_that_cannot_be_is_refused(name, value, problem):
    assert mistakes_of(**{name: value}) == {name: problem}


def test_trace_of_two_jobs_is_not_replayed_as_if_it_had_one(tmp_path):
    tiny = generate(builtin_spec("tiny"))
    half = replace(tiny.jobs[0], nodes_total=2, dp=1)
    write_file(replace(tiny, jobs=(half, replace(half, id="other")), faults=()), tmp_path / "two.jsonl")

    with pytest.raises(ConfigError, match="a replay lives through one job, the trace has 2"):
        open_trace(str(tmp_path / "two.jsonl"), None, "default", {})
