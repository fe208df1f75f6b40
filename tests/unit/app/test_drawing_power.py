"""What the nodes of a job drew."""

from clusterwatch.app.drawing_power import PowerDrawn, power_drawn

ABOUT = {"gpus": 16, "days": 1.0, "training_megawatts": 20.0, "waiting_megawatts": 8.0}


def test_steps_that_are_repeated_draw_like_new_ones_and_waiting_less():
    lost = {"recompute": 16.0 * 2, "hang": 16.0 * 1, "planned": 16.0 * 1}

    drawn = power_drawn(ABOUT, 3, lost)

    assert drawn == PowerDrawn(20.0, 8.0, 12.0, 3, megawatt_hours=20 * 20.0 + 56.0, lost_megawatt_hours=56.0)


def test_power_of_a_fleet_that_does_not_tell_it_is_not_known():
    assert power_drawn({"gpus": 16, "days": 1.0}, 3, {}) is None
