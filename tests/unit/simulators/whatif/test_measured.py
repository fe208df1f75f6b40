"""What a replay measured, as figures to draw from."""

import json
import tomllib

import pytest

from simulators.whatif.causes import Harm
from simulators.whatif.measured import figures_of, main, measured_toml
from simulators.whatif.policies import policies_of

OWN = '[own]\ntitle = "own"\nresponder = "pipeline"\ninterval = "advised"\nperson = 900\n'


def summary(**more):
    quantiles = {"p50": 3.0, "p95": 20.0, "p99": 41.0}
    return {
        "trace": "llama3-54d",
        "seed": 1,
        "days": 54.0,
        "classification": {
            "culprit_node_accuracy": 0.99,
            "by_cause": {
                "faulty_gpu": {"injected": 148, "correct": 147, "diagnosed_as": {"faulty_gpu": 147, "gpu_hbm": 1}},
                "cpu": {"injected": 0, "correct": 0, "diagnosed_as": {}},
                "nic": {"injected": 4, "correct": 4, "diagnosed_as": {"nic": 4}, "located": 3, "mislocated": 1},
            },
        },
        "automation": {"false_restarts": 27},
        "latency_seconds": {"detect": {**quantiles, **more}, "decide": quantiles, "recover": quantiles},
    }


def own_policy(told):
    return policies_of(OWN, measured_toml({"own": figures_of(told)}))["own"]


def test_figures_of_a_summary_come_back_as_a_policy():
    policy = own_policy(summary())

    assert policy.is_measured
    assert policy.false_restarts_per_day == 0.5
    assert policy.detects(Harm.CRASH).seconds(0.5) == pytest.approx(3.0)
    assert policy.decides(Harm.HANG).seconds(0.99) == pytest.approx(41.0)
    assert policy.diagnosed["faulty_gpu"] == {"faulty_gpu": 0.9932, "gpu_hbm": 0.0068}


def test_location_is_that_of_the_cause_where_it_was_counted_and_of_all_otherwise():
    policy = own_policy(summary())

    assert (policy.right["nic"], policy.wrong["nic"]) == (0.75, 0.25)
    assert policy.right["all"] == 0.99


def test_latency_by_harm_is_used_where_it_was_measured():
    policy = own_policy(summary(by_harm={"hang": {"p50": 38.0, "p95": 44.0, "p99": 50.0}}))

    assert policy.detects(Harm.HANG).seconds(0.5) == pytest.approx(38.0)
    assert policy.detects(Harm.CRASH).seconds(0.5) == pytest.approx(3.0)


def test_time_to_decide_counts_from_when_the_stop_was_noticed():
    told = summary()
    told["latency_seconds"]["decide"] = {
        "p50": 43.0,
        "p95": 60.0,
        "p99": 81.0,
        "since_noticed": {"p50": 1.0, "p95": 2.0, "p99": 3.0},
    }

    assert own_policy(told).decides(Harm.CRASH).seconds(0.5) == pytest.approx(1.0)


def test_strike_without_a_diagnosis_counts_as_unknown():
    told = summary()
    told["classification"]["by_cause"]["nic"]["diagnosed_as"] = {"nic": 2, "nothing": 1, "unknown": 1}

    assert own_policy(told).diagnosed["nic"] == {"nic": 0.5, "unknown": 0.5}


def test_file_tells_when_and_of_what_it_was_measured(tmp_path):
    told, place = tmp_path / "summary.json", tmp_path / "measured.toml"
    told.write_text(json.dumps(summary()))

    main(["2026-11-21", str(told), str(place)])

    figures = tomllib.loads(place.read_text())["clusterwatch"]
    assert (figures["date"], figures["origin"]) == ("2026-11-21", "llama3-54d, seed 1")


def test_what_is_no_summary_is_refused_with_what_it_lacks():
    with pytest.raises(ValueError, match="latency_seconds"):
        figures_of({"classification": {"by_cause": {}}})
