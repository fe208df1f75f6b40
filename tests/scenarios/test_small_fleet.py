"""Five simulated minutes of the demo's fleet, with everything that watches it and acts on it.

The long form is tests/benchmarks/soak_small_fleet.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterwatch.model import StepKind, StepState
from living_fleet import ASSERTIONS, LivingFleet, living

FIVE_MINUTES = 300


def assert_a_job_that_was_struck_trains_again_without_a_person(fleet: LivingFleet) -> None:
    done = [step for step in fleet.steps() if step.kind is StepKind.REQUEUE and step.state is StepState.DONE]
    restarted = {step.target for step in done}

    views = [fleet.store.read.job(job_id) for job_id in restarted]
    assert any(attempt.first_new_step_at for view in views if view for attempt in view.attempts[1:])


def broken_of(fleet: LivingFleet) -> Iterator[AssertionError]:
    """Yield what of all that must hold does not."""
    for holds in (*ASSERTIONS, assert_a_job_that_was_struck_trains_again_without_a_person):
        try:
            holds(fleet)
        except AssertionError as error:
            error.add_note(holds.__name__)
            yield error


# One test for each seed: to live five minutes takes seconds, to look whether all holds takes none.
@pytest.mark.parametrize("seed", [1, 2])
def test_all_holds_after_five_minutes_and_a_job_that_was_struck_trains_again(tmp_path: Path, seed: int):
    with living(tmp_path, seed=seed) as fleet:
        fleet.live(FIVE_MINUTES)
        fleet.come_to_rest()

        broken = list(broken_of(fleet))

    if broken:
        raise ExceptionGroup("after five minutes", broken)
