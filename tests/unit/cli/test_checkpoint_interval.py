"""`clusterwatch checkpoint-interval`."""

import json

import pytest
import typer
from typer.testing import CliRunner

from clusterwatch.cli import checkpoint_interval


def run(*arguments):
    app = typer.Typer()
    checkpoint_interval.register(app)
    return CliRunner().invoke(app, list(map(str, arguments)))


LLAMA = ("--save-seconds", 2, "--failures", 419, "--hours", 1296, "--restart-seconds", 225)


def test_answer_for_scripts_is_the_exact_interval_and_the_efficiency_of_each_method():
    found = json.loads(run(*LLAMA, "-o", "json").stdout)

    assert found["advice_seconds"] == pytest.approx(209.7, abs=0.1)
    assert [each["method"] for each in found["intervals"]] == ["young", "daly_first_order", "daly", "exact"]
    assert found["intervals"][-1]["efficiency"]["value"] == pytest.approx(0.9615, abs=2e-4)
    assert found["restart_seconds_for"]["0.95"] == pytest.approx(359.4, abs=0.1)


def test_band_is_that_of_the_counted_failures():
    found = json.loads(run(*LLAMA, "-o", "json").stdout)

    assert (found["mtbf_seconds"]["low"] / 3600, found["mtbf_seconds"]["high"] / 3600) == (
        pytest.approx(2.81, abs=0.01),
        pytest.approx(3.41, abs=0.01),
    )
    low, high = found["band_seconds"]
    assert low < found["advice_seconds"] < high


def test_page_begins_with_the_advice():
    page = run(*LLAMA).stdout.splitlines()

    assert page[0].startswith("Save every 3 m 30 s: 96.2% (95.9% to 96.4%) of the time is useful.")
    assert "2 h 48 m to 3 h 24 m" in page[2]


def test_save_takes_as_long_as_storage_needs_for_its_bytes():
    found = json.loads(run("--bytes", 5.7e12, "--bandwidth", 2e12, "--mtbf-hours", 3, "-o", "json").stdout)

    assert found["save_seconds"] == pytest.approx(2.85)
    assert found["confidence"] is None


def test_target_that_no_restart_reaches_is_told():
    page = run("--save-seconds", 60, "--mtbf-hours", 3).stdout

    assert "95% useful time  no restart is fast enough" in page


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--mtbf-hours", 3), "--save-seconds, or both --bytes and --bandwidth"),
        (("--save-seconds", 2), "--mtbf-hours, or both --failures and --hours"),
        (("--save-seconds", 2, "--failures", 3), "--mtbf-hours, or both --failures and --hours"),
        (("--save-seconds", 2, "--failures", 0, "--hours", 10), "without a failure there is no rate"),
        (("--save-seconds", 0, "--mtbf-hours", 3), "must be positive"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_does_not_fit_together_is_a_mistake_of_usage(arguments, told):
    result = run(*arguments)

    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())
