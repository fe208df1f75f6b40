"""How a replay is scored: what its summary tells of a trace that takes seconds."""

from clusterwatch.app.replay import Asked, replay
from clusterwatch.config import Settings
from simulators.whatif.measured import figures_of


def test_summary_holds_what_the_what_if_simulator_draws_from():
    told = replay(Asked("tiny"), Settings()).as_json()

    detect, decide = told["latency_seconds"]["detect"], told["latency_seconds"]["decide"]
    assert set(detect["by_harm"]) <= {"crash", "hang", "slow", "corrupt"}
    assert detect["by_harm"]["crash"]["p50"] <= detect["p99"]
    assert decide["since_noticed"]["p50"] <= decide["p50"]
    by_cause = told["classification"]["by_cause"]
    assert all(each["located"] + each["mislocated"] <= each["injected"] for each in by_cause.values())
    assert by_cause["gpu_hbm"]["located"] == 1
    assert figures_of(told)["located"]["gpu_hbm"] == 1.0
