"""Which decision is about the attempt that is down."""

import pytest

from clusterwatch.app.run import Down, is_about
from clusterwatch.model import Decision, Mode, Step, StepKind
from clusterwatch.testing import NOON, seconds

DOWN = Down(attempt=2, ended_at=NOON, patience_until=900.0)


def decision(at, attempt, *kinds):
    steps = [
        Step("d.1", "d", 1, kind, "local_process", "job-1", {"attempt": attempt}, NOON + seconds(600)) for kind in kinds
    ]
    return Decision("d", "i", 1, "job-1", Mode.AUTO, "", at, tuple(steps), attempt)


BEFORE, AFTER = NOON - seconds(5), NOON + seconds(5)


@pytest.mark.parametrize(
    ("made", "counts"),
    [
        pytest.param(decision(BEFORE, 2, StepKind.REQUEUE), True, id="made while it hung"),
        pytest.param(decision(AFTER, 2, StepKind.REQUEUE), True, id="made after it"),
        pytest.param(decision(AFTER, 1, StepKind.REQUEUE), False, id="about the one before"),
        pytest.param(decision(BEFORE, 2), False, id="nothing to do while it ran"),
        pytest.param(decision(AFTER, 2), True, id="nothing to do after it"),
        pytest.param(decision(AFTER, 1), False, id="nothing to do about the one before"),
        pytest.param(decision(BEFORE, None), False, id="nothing to do about no attempt, made before"),
        pytest.param(decision(AFTER, None), True, id="nothing to do about no attempt, made after"),
    ],
)
def test_decision_is_about_the_attempt_that_ended(made, counts):
    assert is_about(made, DOWN) is counts
