"""Answers to what-if questions."""

import pytest

from clusterwatch.errors import ConfigError
from clusterwatch.seams import Question
from not_measured import NOT_MEASURED
from simulators.whatif.estimating import WhatIf


def answer(on_runs=lambda runs, points: None, **asked):
    return WhatIf().estimate(Question(**asked), on_runs)


def test_policies_are_compared_with_the_usual_one_run_for_run():
    found = answer(precision=1.0)

    usual, *others = found.policies
    assert (usual.label, usual.points) == ("clusterwatch", None)
    assert {each.label for each in others} == {"nothing", "requeue", "llama3", "oracle"}
    assert {each.runs for each in found.policies} == {usual.runs}
    assert all(each.points.mean == pytest.approx(100 * (each.ettr.mean - usual.ettr.mean)) for each in others)


def test_change_is_known_far_better_than_the_runs_scatter():
    (faster,) = answer(policies=("llama3",), changes=("restart=-60",), precision=0.5).changes

    # Common luck: of one run the ratio is uncertain by half a point, the difference is not.
    assert faster.points.high - faster.points.low < 0.1
    assert faster.points.mean == pytest.approx(100 * 427 * 60 / (54 * 86_400) * 0.97, abs=0.08)
    assert faster.gpu_hours.mean == pytest.approx(faster.points.mean / 100 * 54 * 24 * 16_384)


def test_runs_are_made_until_differences_are_known_well_enough():
    made = []

    found = answer(on_runs=lambda *told: made.append(told), policies=("clusterwatch", "llama3"), precision=0.02)

    assert [runs for runs, _ in made] == sorted({runs for runs, _ in made})
    assert all(
        each.points.high - each.points.low <= max(0.04, 0.04 * abs(each.points.mean)) + 1e-9
        for each in found.policies[1:]
    )
    assert made[-1][0] == found.policies[0].runs


def test_too_few_runs_are_told():
    found = answer(precision=0.001, max_runs=70)

    assert found.policies[0].runs == 70
    assert any(note.startswith("70 runs were not enough to know clusterwatch,") for note in found.notes)


def test_figures_that_nobody_measured_are_told():
    def is_assumed(**asked):
        return any("is assumed" in note for note in answer(precision=1.0, **asked).notes)

    assert is_assumed(policies=("clusterwatch",), measured_text=NOT_MEASURED)
    assert not is_assumed(policies=("oracle",), measured_text=NOT_MEASURED)
    assert not is_assumed(policies=("clusterwatch",))


def test_same_seed_gives_the_same_answer():
    first, again, other = (answer(policies=("llama3",), max_runs=5, seed=seed) for seed in (3, 3, 4))

    assert first == again
    assert first.policies != other.policies


def test_lost_time_is_whole_by_reason_and_by_cause():
    found = answer(policies=("clusterwatch",), precision=1.0).policies[0]

    lost = (1 - found.ettr.mean) * 54 * 24 * 16_384
    by_reason = found.lost_gpu_hours_by_reason
    assert sum(by_reason.values()) == pytest.approx(lost)
    assert sum(found.lost_gpu_hours_by_cause.values()) == pytest.approx(lost - by_reason["checkpoint"])


def test_hundred_thousand_gpus_are_answered_for():
    found = answer(policies=("clusterwatch",), settings={"gpus": "100000", "days": "10"}, precision=0.5).policies[0]

    struck = found.counts["interruptions"] - found.counts["repeats"]
    assert struck == pytest.approx(10 * 12_500 * 3.789e-3, rel=0.05)


def test_own_policies_are_read_from_their_text():
    text = '[mine]\ntitle = "mine"\nresponder = "scripted"\ninterval = 300\nperson = 60\nperson_after = 0\n'

    (mine,) = answer(policies_text=text, precision=1.0).policies

    assert mine.counts["manual"] == mine.counts["interruptions"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"policies": ("best",)}, "best: no such policy; there are nothing, requeue"),
        ({"settings": {"spare": "3"}}, "spare: no such setting"),
        ({"changes": ("spares",)}, "expected NAME=VALUE"),
        ({"policies_text": "[mine]\n"}, "policy mine: 'interval'"),
        ({"policies_text": "mine"}, "file: "),
        ({"policies_text": "# none"}, "tells no policy"),
        ({"measured_text": "[clusterwach]\n"}, "clusterwach was measured and is no policy"),
        ({"measured_text": '{"trace": "tiny"}'}, "this is no summary of a replay: it has no 'classification'"),
        ({"rules_text": "name = 7"}, "policy --rules: 3 mistakes"),
    ],
    ids=["policy", "setting", "change", "figure", "toml", "none", "measured", "summary", "rules"],
)
def test_wrong_question_is_a_mistake_of_configuration(asked, told):
    with pytest.raises(ConfigError, match=told):
        answer(**asked)
