"""Settings and changes as text."""

import pytest

from clusterwatch.errors import ConfigError
from simulators.whatif.changing import NAMES, changed, parsed, settings_of
from simulators.whatif.scenario import Ages, Arrivals, Scenario


def test_value_with_a_sign_is_added_and_one_without_replaces():
    scenario = changed(Scenario(spares=32), parsed("spares=+16, restart=-60, interval=600"), "test")

    assert (scenario.spares, scenario.start_seconds, scenario.interval_seconds) == (48, 15.0, 600.0)


def test_sign_of_a_changed_detection_is_its_own():
    assert changed(Scenario(detect_change_seconds=10), {"detect": "-5"}, "test").detect_change_seconds == -5.0


def test_choices_are_named():
    scenario = changed(Scenario(), {"arrivals": "weibull", "ages": "new"}, "test")

    assert (scenario.arrivals, scenario.ages) == (Arrivals.WEIBULL, Ages.NEW)


def test_every_setting_is_told():
    assert set(settings_of(Scenario())) == set(NAMES)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("spare", "3", "no such setting; there are"),
        ("spares", "many", 'expected a number, not "many"'),
        ("spares", "-40", "must not be negative, not -8"),
        ("interval", "+60", "give a value without a sign"),
        ("gpus", "0", "must be more than nothing"),
        ("gpus", "2000000", "at most 1,000,000"),
        ("arrivals", "sometimes", 'expected one of exponential, weibull, not "sometimes"'),
        ("spares", "2.5", 'expected a whole number, not "2.5"'),
        ("slowdown", "0.5", "at least 1.0"),
        ("shape", "0.05", "at least 0.2"),
        ("repair_spread", "1000", "at most 5.0"),
        ("failures", "1e9", "stops in a run, at most 200,000 are simulated"),
        ("planned_per_day", "1e6", "stops in a run, at most 200,000 are simulated"),
        ("days", "nan", 'expected a number, not "nan"'),
    ],
)
def test_mistake_is_told_with_its_setting(name, text, told):
    with pytest.raises(ConfigError) as error:
        changed(Scenario(), {name: text}, "settings")

    assert error.value.mistakes[0].key == ("stops" if "stops in a run" in told else name)
    assert told in error.value.mistakes[0].problem


def test_change_without_a_value_is_refused():
    with pytest.raises(ConfigError, match="expected NAME=VALUE"):
        parsed("spares=3,restart")


def test_setting_that_is_changed_twice_is_refused_by_whatever_name():
    with pytest.raises(ConfigError, match="spares: is changed twice"):
        parsed("spares=+16,spares=+32")
    with pytest.raises(ConfigError, match="start_seconds is changed twice"):
        changed(Scenario(), parsed("restart=-60,start_seconds=10"), "test")
