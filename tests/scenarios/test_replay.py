"""A trace through the whole pipeline in closed loop: what is counted, what must not change, and who acts."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from clusterwatch import config
from clusterwatch.app import wiring
from clusterwatch.app.replay import Asked, replay
from clusterwatch.app.replaying import Replay
from clusterwatch.errors import ConfigError, SourceError
from clusterwatch.model import Incident, Mode, kinds
from clusterwatch.store import Store
from simulators.schedule import seeded
from simulators.trace.files import write_file
from simulators.trace.generating import generate
from simulators.trace.schedule import Follows
from simulators.trace.specs import builtin_spec
from simulators.trace_fleet import TraceFleet

SETTINGS = config.load(None, {})
CATALOG = wiring.catalog_of(SETTINGS)
TINY = "tiny"


def replayed(trace=TINY, **asked):
    return replay(Asked(trace, **asked), SETTINGS)


@pytest.fixture(scope="module")
def tiny():
    return replayed()


def test_every_strike_of_the_schedule_is_counted(tiny):
    schedule = generate(builtin_spec(TINY))

    assert tiny.interruptions["unexpected"] == len(schedule.faults)
    assert tiny.interruptions["planned"] == len(schedule.planned)
    assert tiny.interruptions["total"] == len(schedule.faults) + len(schedule.planned)


def test_time_goes_somewhere_to_the_second(tiny):
    lost_hours = sum(tiny.goodput.lost_gpu_hours_by_reason.values())
    elapsed_hours = float(tiny.about["days"]) * 24 * int(tiny.about["gpus"])

    assert tiny.goodput.ettr is not None
    assert lost_hours + tiny.goodput.ettr * elapsed_hours == pytest.approx(elapsed_hours, abs=1 / 3600)


def test_no_healthy_node_is_taken_out(tiny):
    assert tiny.automation.healthy_nodes_drained == 0
    assert tiny.automation.false_restarts == 0


def test_summary_has_the_fields_that_scripts_rely_on(tiny):
    summary = json.loads(json.dumps(tiny.as_json()))

    assert list(summary) == [
        *("trace", "seed", "mode", "days", "nodes", "gpus", "interruptions", "classification", "automation"),
        *("goodput", "latency_seconds", "power", "volume", "wall_seconds", "database"),
    ]
    assert {"accuracy", "macro_f1", "unseen_wording_accuracy", "culprit_node_accuracy", "unknown", "by_cause"} <= set(
        summary["classification"]
    )
    assert {"p50", "p95", "p99"} <= set(summary["latency_seconds"]["recover"])
    assert set(summary["volume"]) == {"readings", "events", "incidents"}


def test_ramps_warm_hours_and_power_that_swings_are_nobodys_fault(tmp_path):
    tiny, stops = generate(builtin_spec(TINY)), range(20_000, 160_000, 28_000)
    # The most that is published for warm hours; the steps get longer twice, as batch and context grow.
    site = replace(tiny.cluster, diurnal=replace(tiny.cluster.diurnal, depth=0.02))
    job = replace(tiny.jobs[0], step_seconds=((0.0, 5.9), (60_000.0, 6.2), (120_000.0, 6.5)))
    planned = tuple(replace(tiny.planned[0], at=float(at), id=f"p{at}") for at in stops)
    warm = replace(tiny, days=2.0, cluster=site, jobs=(job,), faults=(), noise=(), planned=planned)
    write_file(warm, tmp_path / "warm.jsonl")
    url = f"sqlite:///{tmp_path / 'warm.db'}"

    lived = replayed(str(tmp_path / "warm.jsonl"), database=url)

    store = Store.open(url)
    named = Counter(diagnosis.cause.value for _, diagnosis in store.read.incidents(limit=100))
    hangs = store.read.events(kind=kinds.HANG)
    store.close()
    assert lived.interruptions == {"total": 5, "planned": 5, "unexpected": 0, "repeats": 0}
    assert (set(named) <= {"planned_maintenance", "preemption_or_operator"}, hangs) == (True, [])
    assert "straggler" not in lived.goodput.lost_gpu_hours_by_reason
    assert (lived.automation.healthy_nodes_drained, lived.automation.false_restarts) == (0, 0)


def test_database_that_holds_records_is_refused_before_anything_is_written(tmp_path):
    url = f"sqlite:///{tmp_path / 'replay.db'}"
    replayed(seed=1, policy="oracle", database=url)
    store = Store.open(url)
    before = store.read.stats().rows

    with pytest.raises(ConfigError, match="holds records already"):
        replayed(seed=2, database=url)

    assert store.read.stats().rows == before
    store.close()


def test_truth_that_cannot_be_written_is_told_before_anything_is_replayed(tmp_path):
    told = []

    with pytest.raises(SourceError, match="cannot be written"):
        replay(Asked(TINY, truth=tmp_path / "nowhere" / "truth.jsonl"), SETTINGS, told.append)

    assert told == []


def test_power_falls_at_every_stop(tiny):
    power = tiny.power

    assert power is not None
    assert power.stops == tiny.interruptions["total"]
    assert power.swing_megawatts == pytest.approx(4 * (8 * 550 + 2_600) / 1e6)
    elapsed_hours = 24 * float(tiny.about["days"])
    assert elapsed_hours * power.waiting_megawatts < power.megawatt_hours < elapsed_hours * power.training_megawatts


def test_site_is_an_assumption_that_can_be_another():
    slower = replayed(options={"storage_sustained_bytes_per_second": 1e11, "storage_peak_bytes_per_second": 1e11})

    assert slower.goodput.lost_gpu_hours_by_reason["checkpoint"] > 0.5
    with pytest.raises(ConfigError, match=r"diurnal\.depth: must be at most 0\.5"):
        replayed(options={"diurnal_depth": 0.9})


def test_every_rank_may_tell_its_lines_by_itself(tiny):
    told = replayed(options={"every_rank": 1.0})

    assert told.volume.readings > 1.1 * tiny.volume.readings
    assert told.interruptions == tiny.interruptions
    assert told.classification == tiny.classification


def test_same_seed_is_replayed_alike_and_another_is_not(tiny):
    again, other = replayed(), replayed(seed=2)

    def told(result):
        return {name: value for name, value in result.as_json().items() if name not in ("wall_seconds", "database")}

    assert told(again) == told(tiny)
    assert told(other) != told(tiny)


@pytest.mark.parametrize("policy", ["nothing", "requeue", "llama3", "oracle"])
def test_cluster_that_is_operated_by_others_is_only_watched(policy):
    watched = replayed(policy=policy)

    assert watched.mode == "observe"
    assert (watched.automation.decisions, watched.automation.nodes_drained) == (0, 0)
    assert watched.goodput.ettr > 0


def test_policy_that_keeps_what_is_broken_is_struck_again():
    assert replayed(policy="requeue").interruptions["repeats"] > replayed(policy="oracle").interruptions["repeats"] == 0


def test_person_comes_where_a_plan_waits_for_approval():
    cautious = replayed(policy="cautious")

    assert cautious.interruptions["total"] == 5
    assert cautious.automation.manual_interventions > 0
    assert cautious.goodput.ettr > 0.3, "it goes on once a person came"


def test_cluster_that_may_only_be_watched_is_not_touched():
    watched = replayed(mode=Mode.OBSERVE)

    assert (watched.automation.nodes_drained, watched.automation.false_restarts) == (0, 0)


def test_truth_is_written_for_the_scorer_alone(tmp_path):
    told = replayed(truth=tmp_path / "tiny.truth.jsonl")

    strikes = [json.loads(line) for line in (tmp_path / "tiny.truth.jsonl").read_text().splitlines()]
    assert Counter(strike["planned"] for strike in strikes)[True] == told.interruptions["planned"]


def test_trace_that_does_not_exist_is_told_with_those_that_do():
    with pytest.raises(ConfigError, match=r"built in are .*llama3-54d"):
        replayed("no-such-trace")


def alone(fault):
    """Return a trace in which nothing happens but *fault*, on four nodes, over a channel that loses nothing."""
    tiny = generate(builtin_spec(TINY))
    quiet = {name: replace(each, value=0.0) for name, each in tiny.assumptions.items() if name in _IMPERFECTIONS}
    node = tiny.cluster.training_nodes[1]
    component = replace(fault.component, node=node if fault.component.node else "")
    moved = replace(fault, at=600.0, component=component, nodes=(node,) if fault.nodes else (), follows=Follows.SLOT)
    known = {**tiny.assumptions, **quiet}
    return replace(tiny, days=1_500 / 86_400, faults=(moved,), planned=(), noise=(), assumptions=known)


_IMPERFECTIONS = ("signal_loss", "late_share", "duplicate_share", "clock_skew_seconds")


def incidents_of(schedule, place, *, rank_by_rank):
    ids = frozenset(fault.id for fault in schedule.faults) if rank_by_rank else frozenset()
    store = Store.open(f"sqlite:///{place}", create=True, accept_simulated=True, durable=False)
    fleet = TraceFleet(schedule, 210.0, rank_by_rank=ids)
    # Only watched: what is done about it would come a moment sooner or later, and change what follows.
    Replay(fleet, store, CATALOG, wiring.limits_of(SETTINGS, actuators=[fleet]), Mode.OBSERVE).run()
    found = [(story(incident), diagnosis.cause) for incident, diagnosis in store.read.incidents(limit=1000)]
    store.close()
    return found


def story(incident: Incident):
    told = incident.evidence
    return sorted((each.kind, str(each.component), each.count, each.first_at, each.last_at) for each in told)


@pytest.mark.parametrize("number", range(10))
def test_ranks_that_tell_line_by_line_come_to_the_same_incidents(tmp_path, number):
    faults = generate(builtin_spec("llama3-54d")).faults
    schedule = alone(faults[int(seeded("line by line", number).random() * len(faults))])

    by_rank = incidents_of(schedule, tmp_path / "ranks.db", rank_by_rank=True)

    assert by_rank
    assert by_rank == incidents_of(schedule, tmp_path / "folded.db", rank_by_rank=False)


def test_collectors_of_every_node_are_known_so_that_what_they_did_not_see_is_absent():
    schedule = generate(builtin_spec(TINY))

    watched = TraceFleet(schedule, 210.0).watched()

    assert tuple(watched) == schedule.cluster.nodes
    assert all({"kernel_log", "bmc"} <= names for names in watched.values())
