"""`clusterwatch simulate`."""

import csv
import importlib.util
import io
import json
import xml.etree.ElementTree as ElementTree

import pytest
import typer
from typer.testing import CliRunner

from clusterwatch.cli import main, simulate
from clusterwatch.errors import SourceError
from not_measured import NOT_MEASURED


@pytest.fixture(autouse=True)
def estimator(tmp_path, monkeypatch):
    """Install the simulator's entry point for this test, as the package does."""
    info = tmp_path / "site" / "clusterwatch_what_if-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: clusterwatch-what-if\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[clusterwatch.estimators]\nwhat_if = simulators.whatif.estimating:WhatIf\n")
    monkeypatch.syspath_prepend(str(info.parent))


def run(*arguments):
    app = typer.Typer()
    simulate.register(app)
    return CliRunner().invoke(app, list(map(str, arguments)))


FEW = ("--precision", 5, "--policy", "clusterwatch", "--policy", "llama3")


def test_answer_for_scripts_compares_policies_and_changes():
    found = json.loads(run(*FEW, "--gpu-hour-price", 2, "-o", "json").stdout)

    assert [each["label"] for each in found["policies"]] == ["clusterwatch", "llama3"]
    assert [each["label"] for each in found["what_if"]] == ["spares=+16", "restart=-60", "interval=600"]
    faster = found["what_if"][1]
    assert 0.4 < faster["points"]["low"] < faster["points"]["high"] < 0.7
    assert faster["dollars"] == pytest.approx(2 * faster["gpu_hours"]["mean"], abs=1)
    assert found["settings"]["gpus"] == 16_384


def test_page_tells_what_a_change_is_worth():
    page = run(*FEW, "--what-if", "spares=0", "--gpu-hour-price", 2, "--spares", 8).stdout

    assert "16,384 GPUs for 54 days" in page
    assert "as published for Llama 3" in page
    (line,) = [each for each in page.splitlines() if each.strip().startswith("spares=0") and "GPU-hours" in each]
    assert "-82,944 GPU-hours" in line


def test_lines_for_a_spreadsheet_have_a_row_for_each(tmp_path):
    run(*FEW, "--csv", tmp_path / "out.csv")

    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [row["kind"] for row in rows] == ["policy", "policy", "what_if", "what_if", "what_if"]
    assert float(rows[1]["ettr_low"]) < float(rows[1]["ettr"]) < float(rows[1]["ettr_high"])
    assert float(rows[1]["points"]) < 0


def test_picture_is_svg_with_a_bar_for_each(tmp_path):
    run(*FEW, "--plot", tmp_path / "out.svg")

    words = [each.text for each in ElementTree.parse(tmp_path / "out.svg").getroot() if each.tag.endswith("text")]
    assert "ClusterWatch's default" in words
    assert "interval=600" in words


def test_png_is_drawn_by_matplotlib_or_refused_with_what_to_install(tmp_path, capsys):
    file = tmp_path / "out.png"

    with pytest.raises(SystemExit) as ended:
        main(["simulate", *map(str, FEW), "--plot", str(file)])

    if importlib.util.find_spec("matplotlib"):
        assert ended.value.code == 0
        assert file.read_bytes().startswith(b"\x89PNG")
    else:
        assert ended.value.code == 1
        assert 'pip install "clusterwatch[plots]"' in capsys.readouterr().err


def test_settings_are_listed_with_their_defaults():
    page = run("--settings").stdout

    assert ["spares", "32"] in [line.split() for line in page.splitlines()]
    assert "interval_seconds" in page


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--set", "spare=3"), "spare: no such setting"),
        (("--policy", "best"), "best: no such policy"),
        (("--what-if", "spares=-40"), "must not be negative"),
        (("--plot", "out.pdf"), ".svg or .png"),
        (("--gpus", "8", "--set", "gpus=16"), "gpus is set twice"),
        (("--precision", "nan"), "--precision"),
    ],
    ids=["setting", "policy", "change", "picture", "twice", "precision"],
)
def test_wrong_question_exits_with_two(arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *arguments])

    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_file_that_cannot_be_read_exits_with_one(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "--policies", str(tmp_path / "none.toml")])

    assert ended.value.code == 1
    assert "none.toml cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--csv", "--plot"])
def test_file_that_cannot_be_written_is_told_before_any_run(flag, tmp_path):
    ended = run(*FEW, "--max-runs", 1_000_000, "--precision", 0.0001, flag, tmp_path / "nowhere" / "out.svg")

    assert isinstance(ended.exception, SourceError)


def test_file_that_holds_nothing_is_not_taken_for_none(tmp_path):
    (tmp_path / "empty.toml").touch()

    assert "empty.toml is empty" in str(run("--policies", tmp_path / "empty.toml").exception)


def test_what_a_replay_printed_is_drawn_from(tmp_path):
    quantiles = {"p50": 600.0, "p95": 700.0, "p99": 800.0}
    summary = {
        "trace": "mine",
        "seed": 1,
        "days": 54.0,
        "automation": {"false_restarts": 0},
        "classification": {"culprit_node_accuracy": 1.0, "by_cause": {}},
        "latency_seconds": {"detect": quantiles, "decide": quantiles},
    }
    (tmp_path / "replay.json").write_text(json.dumps(summary))

    slower, usual = (
        json.loads(run(*FEW, *more, "-o", "json").stdout)["policies"][0]
        for more in (("--measured", tmp_path / "replay.json"), ())
    )

    assert slower["lost_gpu_hours_by_reason"]["detect"] > 10 * usual["lost_gpu_hours_by_reason"]["detect"]


def test_what_is_assumed_is_said_beside_the_answer(tmp_path):
    (tmp_path / "mine.toml").write_text(NOT_MEASURED)

    assert "is assumed" in run(*FEW, "--measured", str(tmp_path / "mine.toml")).stderr
    assert "is assumed" not in run(*FEW).stderr


def test_earlier_answer_stays_where_a_question_is_refused(tmp_path):
    (tmp_path / "out.csv").write_text("an earlier answer")

    assert run("--policy", "nosuch", "--csv", tmp_path / "out.csv").exit_code != 0
    assert (tmp_path / "out.csv").read_text() == "an earlier answer"
