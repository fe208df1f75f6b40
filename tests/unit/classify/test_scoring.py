"""How often a diagnosis is right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.classify.scoring import Answered, Case, Culprit, Prediction, is_named, score
from clusterwatch.model import Cause, Component, ComponentKind, Suspect


def answered(said, cause, *, also=(), confidence=0.9, culprits=(), suspects=()):
    case = Case("c", "", cause, frozenset(also), tuple(culprits))
    return Answered(case, Prediction(said, confidence, tuple(suspects)))


def suspect(kind, name, node="", *, rank=None, gpu=None):
    return Suspect(Component(kind, name, node), 1.0, rank, gpu)


def test_acceptable_cause_is_right_leniently_only():
    scores = score([answered(Cause.FAULTY_GPU, Cause.GPU_HBM, also=[Cause.FAULTY_GPU])])

    assert (scores.top1, scores.top1_lenient) == (0.0, 1.0)
    assert (scores.macro_f1, scores.macro_f1_strict) == (1.0, 0.0)


def test_unknown_says_the_same_as_a_watchdog_timeout_without_a_cause():
    assert score([answered(Cause.UNKNOWN, Cause.NCCL_TIMEOUT_UNKNOWN)]).top1 == 1.0


def test_hardware_is_blamed_falsely_only_where_no_part_may_be_blamed():
    scores = score(
        [
            answered(Cause.FAULTY_GPU, Cause.SOFTWARE_BUG),
            answered(Cause.BENIGN, Cause.BENIGN),
            answered(Cause.FAULTY_GPU, Cause.SOFTWARE_BUG, also=[Cause.NIC]),
        ]
    )

    assert scores.false_hardware_blame == 0.5


def test_causes_with_few_cases_are_averaged_as_one():
    often = [answered(Cause.OOM_HOST, Cause.OOM_HOST)] * 5
    rare = [answered(Cause.CPU, Cause.CPU), answered(Cause.NIC, Cause.OOM_HOST), answered(Cause.UNKNOWN, Cause.SSD)]

    scores = score(often + rare)

    # oom_host: 5 of 6 predictions are right; the pool: 1 of its 2 predictions, 1 of its 3 cases.
    assert scores.macro_f1 == pytest.approx((10 / 11 + 2 / 5) / 2)


def test_reliability_compares_how_sure_with_how_often_right():
    held = [answered(Cause.CPU, Cause.CPU, confidence=0.85)] * 3 + [answered(Cause.CPU, Cause.NIC, confidence=0.81)]

    (tenth,) = [each for each in score(held).reliability if each.n]

    assert (tenth.low, tenth.n, tenth.right) == (0.8, 4, 0.75)
    assert tenth.confidence == pytest.approx(0.84)


@given(st.lists(st.tuples(st.sampled_from(Cause), st.sampled_from(Cause), st.floats(0, 1)), max_size=30))
def test_every_answer_counts_once_in_each_table(pairs):
    scores = score([answered(said, cause, confidence=confidence) for said, cause, confidence in pairs])

    assert sum(each.n for each in scores.reliability) == len(pairs)
    assert sum(count for said in scores.confusion.values() for count in said.values()) == len(pairs)
    assert sum(each.predicted for each in scores.by_cause.values()) == len(pairs)


@pytest.mark.parametrize(
    ("culprit", "named"),
    [
        (Culprit("rank", "3", rank=3), suspect(ComponentKind.RANK, "3", "node001")),
        (Culprit("rank", "3", rank=3), suspect(ComponentKind.GPU, "0000:3b:00", "node001", rank=3)),
        (Culprit("gpu", "0000:3b:00"), suspect(ComponentKind.GPU, "0000:3B:00.0")),
        (Culprit("gpu", "3", gpu="3"), suspect(ComponentKind.RANK, "11", "node001", gpu="3")),
        (Culprit("node", "node001", node="node001"), suspect(ComponentKind.NIC, "mlx5_0", "node001")),
        (Culprit("psu", "PS2"), suspect(ComponentKind.PSU, "PS2")),
    ],
)
def test_culprit_is_named_by_what_identifies_it(culprit, named):
    assert is_named(culprit, named)


@pytest.mark.parametrize(
    ("culprit", "named"),
    [
        (Culprit("rank", "3", rank=3), suspect(ComponentKind.RANK, "4", "node001")),
        (Culprit("gpu", "3", gpu="3"), suspect(ComponentKind.DISK, "3")),
        (Culprit("node", "node001", node="node001"), suspect(ComponentKind.NODE, "node002", "node002")),
    ],
)
def test_another_part_is_not_the_culprit(culprit, named):
    assert not is_named(culprit, named)
