"""`clusterwatch trace`, as the shell sees it."""

import hashlib
import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from clusterwatch import plugins
from clusterwatch.app import wiring
from clusterwatch.app.tracing import trace_tools
from clusterwatch.cli import main
from clusterwatch.config import load
from clusterwatch.errors import ClusterWatchError
from clusterwatch.metrics import Metrics
from clusterwatch.model import Component, ComponentKind, kinds
from clusterwatch.pipeline import Limits
from clusterwatch.server import Responder
from clusterwatch.store import Store
from clusterwatch.testing import NOON, ManualClock, event
from trace_tools import install_trace_tools

KALOS = Path(__file__).parents[2] / "data" / "traces" / "kalos.csv"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "installed").mkdir()
    install_trace_tools(tmp_path / "installed", monkeypatch)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def run(*arguments: str) -> int:
    """Return the exit code of `clusterwatch trace` with *arguments*."""
    try:
        main(["trace", *arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> object:
    assert run(*arguments, "-o", "json") == 0
    return json.loads(capsys.readouterr().out)


def test_built_in_traces_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    listed = answer(capsys, "list")

    assert {"llama3-54d", "tiny", "lemon-nodes", "acme"} <= {each["name"] for each in listed}


def test_generated_trace_is_written_beside_its_figures(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    told = answer(capsys, "generate", "tiny", "--seed", "3", "--out", "mine.jsonl")

    assert (told["file"], told["faults"], told["planned"], told["seed"]) == ("mine.jsonl", 4, 1, 3)
    assert hashlib.sha256((here / "mine.jsonl").read_bytes()).hexdigest() == told["sha256"]
    assert (here / "mine.jsonl").stat().st_size == told["bytes"]


def test_trace_goes_to_a_compressed_file_of_its_name_when_none_is_said(here: Path) -> None:
    assert run("generate", "tiny") == 0

    assert (here / "tiny.jsonl.zst").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"


def test_trace_can_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "tiny", "--out", "-") == 0

    first, *rest = capsys.readouterr().out.splitlines()
    assert json.loads(first)["name"] == "tiny"
    assert {json.loads(line)["type"] for line in rest} == {"fault", "planned", "noise"}


def test_spec_of_ones_own_is_generated(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "mine.toml").write_text(
        'name = "mine"\nabout = "a test"\ndays = 2\n'
        '[cluster]\nname = "mine"\ntraining_nodes_total = 2\n'
        '[[jobs]]\nid = "job"\nname = "job"\nuser = "ada"\nnodes_total = 2\nframework = "megatron"\n'
        "scheduler_id = 1\ntp = 8\npp = 2\ndp = 1\n"
        '[[category]]\nname = "GPUs"\ncount = 7\ncauses = {faulty_gpu = 1}\n'
    )

    assert answer(capsys, "generate", "mine.toml")["faults"] == 7
    assert answer(capsys, "stats", "mine.toml")["faults"] == 7
    assert answer(capsys, "generate", "mine.toml", "--days", "4")["faults"] == 14


def test_source_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", "llama9") == 2

    assert "is no file, and no trace that is shipped: those are" in capsys.readouterr().err


def test_file_in_order_is_said_to_be_so(capsys: pytest.CaptureFixture[str]) -> None:
    run("generate", "tiny")

    assert run("validate", "tiny.jsonl.zst") == 0
    assert "tiny.jsonl.zst: in order, 4 faults, 1 planned stops" in capsys.readouterr().err


def test_all_mistakes_of_all_files_are_told_with_exit_code_10(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    run("generate", "tiny", "--out", "good.jsonl")
    head, *records = (here / "good.jsonl").read_text().splitlines()
    broken = [head, *(record.replace('"at":', '"when":') for record in records), "not JSON"]
    (here / "bad.jsonl").write_text("\n".join(broken))
    capsys.readouterr()

    assert run("validate", "good.jsonl", "bad.jsonl", "-o", "json") == 10

    good, bad = json.loads(capsys.readouterr().out)
    assert (good["ok"], good["mistakes"], good["faults"]) == (True, [], 4)
    assert not bad["ok"]
    assert len(bad["mistakes"]) == len(records) + 1
    assert bad["mistakes"][0]["place"] == "line 2, when"
    assert "is no JSON" in bad["mistakes"][-1]["problem"]


def test_kind_of_fault_that_nobody_can_word_is_a_mistake(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    run("generate", "tiny", "--out", "good.jsonl")
    (here / "bad.jsonl").write_text((here / "good.jsonl").read_text().replace('"kind":"link_down"', '"kind":"gremlin"'))

    assert run("validate", "bad.jsonl") == 10
    assert "nobody knows the words of 'gremlin'" in capsys.readouterr().err


def test_file_that_is_not_there_is_a_failure_and_no_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("validate", "nosuch.jsonl") == 1

    assert "nosuch.jsonl cannot be read" in capsys.readouterr().err


def test_figures_of_a_file_and_of_a_built_in_trace_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    run("generate", "tiny", "--seed", "5", "--out", "tiny.jsonl")
    capsys.readouterr()

    from_file = answer(capsys, "stats", "tiny.jsonl")

    assert from_file == answer(capsys, "stats", "tiny", "--seed", "5")
    assert [row["row"] for row in from_file["rows"]][:2] == ["Faulty GPU", "GPU HBM3 Memory"]


def test_seed_of_a_trace_file_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    run("generate", "tiny", "--out", "tiny.jsonl")

    assert run("stats", "tiny.jsonl", "--seed", "5") == 2
    assert "seed: a trace file has its own; leave --seed out" in capsys.readouterr().err


def test_flag_of_another_form_is_no_flag_of_this_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", "acme", str(KALOS), "--at", "When") == 2
    assert "--at: is for incidents, and says nothing to acme" in " ".join(capsys.readouterr().err.split())


def test_figures_are_shown_as_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("stats", "tiny") == 0

    shown = capsys.readouterr().out
    assert "TABLE 5" in shown
    assert "GPU HBM3 Memory" in shown


def test_job_trace_of_acme_is_converted(capsys: pytest.CaptureFixture[str]) -> None:
    told = answer(capsys, "convert", "acme", str(KALOS), "--out", "kalos.jsonl")

    assert (told["trace"], told["faults"], told["nodes"]) == ("kalos", 2, 16)
    assert run("validate", "kalos.jsonl") == 0


def test_table_of_ones_own_incidents_is_converted(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "ours.csv").write_text("When,Why\n2026-03-04,GPU dead\n2026-03-05,by hand\n2026-03-06,nic\n")
    flags = ("--at", "When", "--cause", "Why", "--map", "GPU dead=gpu_hbm", "--map", "by hand=", "--nodes", "4")

    told = answer(capsys, "convert", "incidents", "ours.csv", *flags)

    assert (told["file"], told["faults"], told["nodes"]) == ("ours.jsonl.zst", 2, 4)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--nodes", "4"), "at: no such column: there are When, Why"),
        (
            ("--at", "When", "--cause", "Why", "--nodes", "4"),
            "no cause is 'GPU dead': say which of ours it is, with --map",
        ),
        (("--at", "When", "--cause", "Why", "--map", "GPU dead"), "write WORD=CAUSE, with one of faulty_gpu"),
        (
            ("--at", "When", "--cause", "Why", "--map", "GPU dead=nic"),
            "must have at least one node: say how many, --nodes",
        ),
    ],
)
def test_table_that_cannot_be_converted_says_what_to_do(
    flags: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    (here / "ours.csv").write_text("When,Why\n2026-03-04,GPU dead\n")

    assert run("convert", "incidents", "ours.csv", *flags) == 2
    assert words in capsys.readouterr().err


def test_what_is_on_record_is_written_checked_and_counted(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    url = f"sqlite:///{here / 'daemon.db'}"
    store = Store.open(url, create=True)
    began = event(kinds.JOB_STARTED, Component(ComponentKind.JOB, "job-1"), job="job-1", gpus=8, nodes="node001")
    store.record("node001", "test", [began, event("gpu.xid.79", "node001")], {}, None, NOON)
    knowledge, metrics = wiring.catalog_of(load(None, {})).knowledge, Metrics(CollectorRegistry())
    Responder(store, knowledge, Limits(), ManualClock(NOON), metrics, "test").turn()
    store.close()
    capsys.readouterr()

    told = answer(capsys, "record", "past.jsonl.zst", "--database", url)

    assert isinstance(told, dict)
    assert {name: told[name] for name in ("trace", "kind", "job", "events")} == {
        "trace": "past",
        "kind": "recording",
        "job": "job-1",
        "events": 2,
    }
    assert run("validate", "past.jsonl.zst") == 0
    assert "in order, 2 events, 0 readings" in capsys.readouterr().err
    assert run("stats", "past.jsonl.zst") == 0
    assert "gpu.xid.79" in capsys.readouterr().out


def test_time_that_is_none_is_a_usage_error(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    assert run("record", "past.jsonl", "--since", "yesterday", "--database", f"sqlite:///{here / 'none.db'}") != 0

    assert "yesterday" in capsys.readouterr().err


def test_tools_that_are_not_installed_are_missed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "TRACES", "nothing.here")

    with pytest.raises(ClusterWatchError, match="not installed: reinstall ClusterWatch"):
        trace_tools()
