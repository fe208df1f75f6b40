"""One trace under two policies."""

import json

import pytest

from clusterwatch import config
from clusterwatch.app.backtesting import backtest
from clusterwatch.app.replay import Asked, replay
from clusterwatch.errors import ClusterWatchError

SETTINGS = config.load(None, {})


def difference(made):
    return {each.name: each.difference for each in made.figures()}


def test_policy_against_itself_differs_in_nothing():
    made = backtest("tiny", ("default", "default"), SETTINGS)

    assert set(difference(made).values()) == {0}
    assert made.saved_gpu_hours == 0


def test_policy_that_does_nothing_costs_what_the_default_saves():
    shares = []

    made = backtest("tiny", ("default", "nothing"), SETTINGS, on_progress=shares.append)

    assert made.saved_gpu_hours == pytest.approx(-difference(made)["lost_gpu_hours"])
    assert made.saved_gpu_hours > 10
    assert difference(made)["ettr"] > 0.3
    assert difference(made)["manual_interventions"] < 0
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_each_half_is_what_a_replay_by_itself_gives():
    made = json.loads(json.dumps(backtest("tiny", ("cautious", "default"), SETTINGS, seed=2).as_json()))

    alone = json.loads(json.dumps(replay(Asked("tiny", "cautious", seed=2), SETTINGS).as_json()))
    for summary in (made["summaries"]["policy"], alone):
        del summary["wall_seconds"]
    assert made["summaries"]["policy"] == alone
    assert (made["trace"], made["seed"]) == ("tiny", 2)


def test_name_that_is_wrong_is_told_before_anything_is_replayed():
    shares = []

    with pytest.raises(ClusterWatchError, match="no-such-policy"):
        backtest("tiny", ("default", "no-such-policy"), SETTINGS, on_progress=shares.append)

    assert shares == []
