"""Five simulated minutes of the demo's fleet, with everything that watches it and acts on it.

The long form is tests/benchmarks/soak_small_fleet.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from clusterwatch.model import StepKind, StepState
from living_fleet import ASSERTIONS, LivingFleet, living

FIVE_MINUTES = 300


@pytest.fixture(scope="module", params=[1, 2], ids="seed {}".format)
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingFleet]:
    with living(tmp_path_factory.mktemp("fleet"), seed=request.param) as fleet:
        fleet.live(FIVE_MINUTES)
        fleet.come_to_rest()
        yield fleet


@pytest.mark.parametrize("holds", ASSERTIONS, ids=lambda holds: holds.__name__.removeprefix("assert_"))
def test_after_five_minutes(fleet: LivingFleet, holds: Callable[[LivingFleet], None]):
    holds(fleet)


def test_job_that_was_struck_trains_again_without_a_person(fleet: LivingFleet):
    done = [step for step in fleet.steps() if step.kind is StepKind.REQUEUE and step.state is StepState.DONE]
    restarted = {step.target for step in done}

    views = [fleet.store.read.job(job_id) for job_id in restarted]
    assert any(attempt.first_new_step_at for view in views if view for attempt in view.attempts[1:])
