"""The database of a daemon as a trace: written, checked, and played through the pipeline again."""

import json
from datetime import timedelta

import pytest

from clusterwatch import config
from clusterwatch.app import wiring
from clusterwatch.app.backtesting import backtest
from clusterwatch.app.recording import on_record
from clusterwatch.app.replay import Asked, replay
from clusterwatch.app.replaying import Replay
from clusterwatch.app.tracing import trace_tools
from clusterwatch.errors import ClusterWatchError, ConfigError, SourceError
from clusterwatch.model import Mode, StepKind, kinds
from clusterwatch.seams import Site
from clusterwatch.store import Store
from simulators.trace.recording.records import Header, Recording, Seen
from simulators.trace_files import open_trace

SETTINGS = config.load(None, {})
TOOLS = trace_tools()
SECOND = timedelta(seconds=1)


def written(store, topology, path):
    TOOLS.write(TOOLS.recorded(on_record(store.read, "last-month", topology=topology)), str(path), lambda: None)


def kept(folder, mode=Mode.AUTO):
    """Let the fleet of "tiny" be looked after, and write down what the database then holds, and the truth."""
    fleet = open_trace("tiny", None, "default", {})
    store = Store.open(f"sqlite:///{folder / 'daemon.db'}", create=True, accept_simulated=True, durable=False)
    Replay(fleet, store, wiring.catalog_of(SETTINGS), wiring.limits_of(SETTINGS, actuators=[fleet]), mode).run()
    written(store, fleet.topology(), folder / "recording.jsonl")
    store.close()
    (folder / "recording.truth.jsonl").write_text("\n".join(fleet.truth_lines()))
    return folder


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("month"))


@pytest.fixture(scope="module")
def lived():
    return replay(Asked("tiny"), SETTINGS)


def replayed(folder, **asked):
    return replay(Asked(str(folder / "recording.jsonl"), **asked), SETTINGS)


def test_same_policy_decides_as_was_recorded_and_comes_to_the_same(month, lived):
    again = replayed(month, truth=month / "recording.truth.jsonl")

    assert again.diverged_at is None
    assert again.as_json()["diverged_at"] is None
    assert again.classification == lived.classification
    assert again.interruptions == lived.interruptions
    assert again.goodput.ettr == pytest.approx(lived.goodput.ettr, abs=0.002)
    # Ranks are not asked again: what they answered is among the events.
    assert again.done == {kind: count for kind, count in lived.done.items() if kind != StepKind.DUMP}


def test_policy_is_followed_to_the_first_decision_that_differs(month, lived):
    other = replayed(month, policy="requeue", truth=month / "recording.truth.jsonl")

    assert other.diverged_at is not None
    assert other.diverged_at < min(each.recovered_at for each in lived.score.judged)
    assert other.goodput.ettr > lived.goodput.ettr, "nothing had been lost yet"
    assert (other.done, other.automation.decisions) == ({}, 0)
    # What was diagnosed does not depend on what is done in the recording.
    assert other.classification.accuracy == lived.classification.accuracy


def test_diagnoses_are_not_scored_where_nobody_knows_the_truth(month):
    told = replayed(month)

    assert told.classification.accuracy is None
    assert (told.automation.healthy_nodes_drained, told.automation.healthy_nodes_excluded) == (None, None)
    assert told.interruptions["planned"] == 1
    assert told.interruptions["total"] >= 5


def test_daemon_that_only_watched_is_followed_watching(tmp_path):
    kept(tmp_path, Mode.OBSERVE)

    told = replayed(tmp_path)

    assert (told.mode, told.diverged_at, told.done) == (Mode.OBSERVE, None, {})


def test_recording_is_in_order_and_counted(month):
    trace = TOOLS.read(str(month / "recording.jsonl"), lambda count: None)

    figures = TOOLS.stats(trace)
    assert (figures["kind"], figures["job"], figures["mode"], figures["gpus"]) == ("recording", "tiny", "auto", 32)
    assert figures["events"] > 100
    assert figures["decisions"] > 0
    assert figures["events_by_kind"]["training.progress"] > 10


def test_lines_are_the_same_after_they_were_read(month):
    text = (month / "recording.jsonl").read_text()

    trace = TOOLS.read(str(month / "recording.jsonl"), lambda count: None)

    assert "".join(f"{line}\n" for line in TOOLS.lines(trace)) == text


def test_all_mistakes_are_told_with_their_lines(month, tmp_path):
    header, first, second, *_ = (month / "recording.jsonl").read_text().splitlines()
    late = json.dumps(json.loads(first) | {"at": 1e9})
    strange = json.dumps(json.loads(second) | {"colour": "red"})
    (tmp_path / "wrong.jsonl").write_text("\n".join([header, late, strange, '{"type": "fault"}', "no JSON"]))

    with pytest.raises(ConfigError) as told:
        TOOLS.read(str(tmp_path / "wrong.jsonl"), lambda count: None)

    places = [mistake.key for mistake in told.value.mistakes]
    assert places == ["line 2, at", "line 3, colour", "line 4, type", "line 5"]


def test_header_that_is_wrong_is_told(tmp_path):
    (tmp_path / "wrong.jsonl").write_text('{"kind": "recording", "name": 5, "days": -1}\n')

    with pytest.raises(ConfigError, match=r"line 1, name: must be text"):
        replay(Asked(str(tmp_path / "wrong.jsonl")), SETTINGS)


def test_seed_and_assumptions_of_a_recording_are_refused(month):
    with pytest.raises(ConfigError, match=r"--seed: a recording is what happened"):
        replayed(month, seed=2)
    with pytest.raises(ConfigError, match=r"--assume load_seconds: a recording"):
        replayed(month, options={"load_seconds": 5.0})


def test_policies_cannot_be_weighed_against_each_other_in_a_recording(month):
    with pytest.raises(ClusterWatchError, match='"clusterwatch replay" follows each policy'):
        backtest(str(month / "recording.jsonl"), ("default", "cautious"), SETTINGS)


def test_truth_that_is_none_is_refused(month, tmp_path):
    (tmp_path / "truth.jsonl").write_text('{"id": "f1"}\n')

    with pytest.raises(SourceError, match="each line has id, cause, attempt and interrupted"):
        replayed(month, truth=tmp_path / "truth.jsonl")


def test_progress_that_is_kept_by_the_minute_stands_in_for_its_events(tmp_path):
    kept(tmp_path)
    store = Store.open(f"sqlite:///{tmp_path / 'daemon.db'}")
    whole = progress_in(store)

    # A day later, as the daemon does it.
    store.housekeep(whole[-1].happened_at + timedelta(days=1, seconds=1))
    thinned = progress_in(store)
    written(store, None, tmp_path / "thinned.jsonl")
    store.close()

    assert {event.source for event in thinned} <= {"progress", "job_log"}
    assert thinned == sorted(thinned, key=lambda event: event.happened_at)
    assert thinned[-1].fields["step"] > 0.9 * whole[-1].fields["step"]
    again = replay(Asked(str(tmp_path / "thinned.jsonl")), SETTINGS)
    assert again.goodput.ettr == pytest.approx(replayed(tmp_path).goodput.ettr, abs=0.05)


def progress_in(store):
    return [event for event in on_record(store.read, "all").events() if event.kind == kinds.PROGRESS]


def test_recording_that_begins_in_the_middle_of_a_job_tells_how_it_stood(tmp_path):
    kept(tmp_path)
    store = Store.open(f"sqlite:///{tmp_path / 'daemon.db'}")
    begins = store.read.job("tiny").job.started_at + timedelta(minutes=40)

    known = on_record(store.read, "later", since=begins)
    TOOLS.write(TOOLS.recorded(known), str(tmp_path / "recording.jsonl"), lambda: None)
    first = next(known.events())
    stops = [stop for stop in store.read.job("tiny").interruptions if min(stop.edges.values()) > begins]
    store.close()

    told = replayed(tmp_path)
    assert known.start >= begins
    assert told.diverged_at is None
    assert told.interruptions["total"] == len(stops) > 0
    assert told.goodput.ettr > 0.5
    assert (first.kind, first.fields["gpus"], first.fields["actuator"]) == (kinds.JOB_STARTED, 32, "trace_fleet")


def test_readings_go_through_detection_and_silence_is_watched_for(tmp_path):
    # Somebody else looked after that cluster: it goes on whatever is decided here.
    fleet, told = open_trace("tiny", None, "llama3", {}), []
    while (now := max(fleet.next_at() or fleet.start, told[-1][0] + SECOND if told else fleet.start)) <= fleet.ends_at:
        told.append((now, fleet.collect(Site("test"), {}, now).readings))
    seen = [Seen((now - fleet.start) / SECOND, each) for now, readings in told for each in readings]
    header = Header("seen", fleet.start, fleet.schedule.days, "tiny", fleet.name, Mode.OBSERVE, 4, 32)
    trace = Recording(header, lambda: iter(seen), lambda: iter(()))
    TOOLS.write(trace, str(tmp_path / "recording.jsonl"), lambda: None)
    (tmp_path / "truth.jsonl").write_text("\n".join(fleet.truth_lines()))

    again = replayed(tmp_path, truth=tmp_path / "truth.jsonl")

    assert TOOLS.stats(TOOLS.read(str(tmp_path / "recording.jsonl"), lambda count: None))["readings"] == len(seen)
    assert again.volume.readings == len(seen)
    assert again.classification.accuracy >= 0.75
    assert again.latency_seconds["detect"].p95 < 120.0


def test_empty_database_is_said_to_hold_no_job(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'empty.db'}", create=True)

    with pytest.raises(ClusterWatchError, match="no job is on record"):
        on_record(store.read, "nothing")
    store.close()
