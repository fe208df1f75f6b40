"""When a loss jumps, and when it only moves."""

import math
from collections.abc import Iterable
from datetime import timedelta

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.detect.losses import UsualLoss, after
from clusterwatch.model import Event, Reading
from clusterwatch.model.kinds import PROGRESS
from clusterwatch.testing import NOON


def jumps(losses: Iterable[float], first_step: int = 1) -> list[int]:
    """Return the steps at which the losses jump."""
    usual: UsualLoss | None = None
    found = []
    for step, loss in enumerate(losses, first_step):
        usual, has_jumped = after(usual, loss, step)
        found += [step] if has_jumped else []
    return found


def falling(steps: int) -> list[float]:
    """Return a loss as of a language model from its first step on, with noise of its own."""
    return [1.7 + 9.0 / (1.0 + step / 50) + 0.03 * math.sin(7.0 * step) for step in range(steps)]


def test_loss_that_falls_with_its_noise_never_jumps():
    assert jumps(falling(3000)) == []


def test_jump_is_told_once_until_the_loss_is_near_the_usual_again():
    losses = [*falling(1000), 7.3, 6.1, *falling(1000)[500:600], 4.9]

    assert jumps(losses) == [1001, 1103]


def test_jump_hardly_moves_what_is_usual():
    usual: UsualLoss | None = None
    for step, loss in enumerate([2.0] * 50 + [9.0]):
        usual, _ = after(usual, loss, step)

    assert usual is not None
    assert usual.loss < 2.1


def test_noisy_loss_has_to_jump_farther():
    noisy = [5.0 + 3.0 * math.sin(3.0 * step) for step in range(500)]

    assert jumps([*noisy, 12.0]) == []


def test_job_that_began_anew_has_its_losses_before_it_again():
    usual = UsualLoss(1.9, 0.02, 90_000, 500)

    began_anew, has_jumped = after(usual, 11.2, 1)

    assert not has_jumped
    assert began_anew.reports == 1


def test_nothing_is_usual_before_some_reports():
    assert jumps([2.0, 2.1, 9.0]) == []


def test_job_whose_loss_jumps_says_so(catalog: Catalog):
    losses = [*falling(400)[100:], 7.3]
    readings = [
        Reading(
            source="job_log",
            node="node001",
            position=str(step),
            observed_at=NOON + timedelta(seconds=6 * step),
            subject=PROGRESS,
            fields={"step": step, "loss": loss},
            job="job-1",
            attempt=1,
        )
        for step, loss in enumerate(losses, 100)
    ]

    state, events, _ = notice(ObserverState(), readings[:200], catalog, readings[199].observed_at)
    restored = ObserverState.from_json(state.to_json())
    more = notice(restored, readings[200:], catalog, readings[-1].observed_at)[1]

    found: list[Event] = [each for each in (*events, *more) if each.kind == "training.loss_jumped"]
    (jumped,) = found
    assert (jumped.component.id, jumped.fields["step"], jumped.fields["loss"]) == ("job-1", 400, 7.3)
