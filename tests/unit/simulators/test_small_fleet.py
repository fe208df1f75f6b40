import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from clusterwatch.errors import ActionError
from clusterwatch.model import Mode, Reading, Scalar, Step, StepKind, StepState, Trust, WorldState, kinds
from clusterwatch.seams import Actuator, Collector, SimulatedFleet, Site
from simulators.small_fleet import NODES, SmallFleet

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SITE = Site("anywhere")
LLAMA = "sim-llama-8b"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def collected(fleet: SmallFleet, until_seconds: float, from_seconds: float = 0, every: float = 1.0) -> list[Reading]:
    readings: list[Reading] = []
    seconds = from_seconds
    while seconds < until_seconds:
        seconds = min(seconds + every, until_seconds)
        readings += fleet.collect(SITE, {}, at(seconds)).readings
    return readings


def step(kind: StepKind, target: str = LLAMA, step_id: str = "d1.1", **arguments: Scalar) -> Step:
    return Step(step_id, "d1", 1, kind, "small_fleet", target, arguments, at(86_400))


def fingerprint(readings: list[Reading]) -> str:
    told = "\n".join(f"{r.happened_at} {r.source} {r.node} {r.position} {r.text} {dict(r.fields)}" for r in readings)
    return hashlib.sha256(told.encode()).hexdigest()


def steps_done(readings: list[Reading], attempt: int) -> list[int]:
    own = [r for r in readings if r.job == LLAMA and r.attempt == attempt and "| lm loss:" in r.text]
    return [int(r.text.split("iteration")[1].split("/")[0]) for r in own]


def test_it_is_a_collector_and_an_actuator():
    fleet: SimulatedFleet = SmallFleet()
    collector: Collector = fleet
    actuator: Actuator = fleet

    assert (collector.name, collector.every_seconds, collector.deadline_seconds) == ("small_fleet", 1.0, 10.0)
    assert actuator.mode is Mode.AUTO
    assert actuator.targets() == {LLAMA, "sim-vision", "sim-eval-sweep"}


def test_the_same_seed_gives_the_same_readings():
    assert fingerprint(collected(SmallFleet(1, NOON), 900)) == fingerprint(collected(SmallFleet(1, NOON), 900))


def test_another_seed_gives_other_readings():
    assert fingerprint(collected(SmallFleet(1, NOON), 300)) != fingerprint(collected(SmallFleet(2, NOON), 300))


def test_how_often_it_is_collected_from_changes_nothing():
    often, seldom = collected(SmallFleet(1, NOON), 600), collected(SmallFleet(1, NOON), 600, every=37.0)

    assert fingerprint(often) == fingerprint(seldom)


def test_it_starts_at_the_first_collection_when_no_start_is_given():
    fleet = SmallFleet()

    first = fleet.collect(SITE, {}, NOON).readings

    assert {reading.happened_at for reading in first} == {NOON}
    assert [reading.subject for reading in first] == [kinds.JOB_STARTED] * 3


def test_readings_are_simulated_in_order_and_each_has_its_own_position():
    readings = collected(SmallFleet(1, NOON), 900)

    times = [reading.happened_at for reading in readings]
    places = {(reading.node, reading.boot_id, reading.source, reading.position) for reading in readings}
    assert all(reading.simulated for reading in readings)
    assert times == sorted(times)
    assert len(places) == len(readings)


def test_kernel_log_looks_as_the_collector_would_give_it():
    readings = [reading for reading in collected(SmallFleet(1, NOON), 900) if reading.source == "kernel_log"]

    assert readings
    for reading in readings:
        assert reading.boot_id == f"boot-{reading.node}"
        assert reading.trust is Trust.NODE
        assert reading.fields == {"origin": f"/dev/kmsg:{reading.position}", "seq": int(reading.position)}


def test_job_log_is_the_word_of_a_user_with_its_place_in_the_file():
    readings = [reading for reading in collected(SmallFleet(1, NOON), 60) if reading.source == "job_log"]

    assert readings
    assert {reading.trust for reading in readings} == {Trust.USER}
    assert {reading.attempt for reading in readings} == {1}
    assert all(str(reading.fields["origin"]).endswith(f".log:{reading.position.split(':')[1]}") for reading in readings)


def test_a_job_saves_a_checkpoint_every_20_steps():
    readings = collected(SmallFleet(1, NOON), 120)

    saved = [r.fields for r in readings if r.subject == kinds.CHECKPOINT_SAVED and r.job == "sim-vision"]
    assert [fields["step"] for fields in saved] == [20, 40]
    assert saved[0]["path"] == "/checkpoints/vision-finetune/step-20"


def test_one_rank_is_placed_on_each_node():
    readings = collected(SmallFleet(1, NOON), 10)

    placed = [reading for reading in readings if reading.subject == kinds.RANK_PLACED and reading.job == LLAMA]
    assert [reading.node for reading in placed] == list(NODES[:8])
    assert [reading.rank for reading in placed] == list(range(0, 64, 8))
    assert {reading.fields["world_size"] for reading in placed} == {64}


def test_requeued_job_resumes_at_the_given_step_and_trains_beyond():
    fleet = SmallFleet(1, NOON)
    collected(fleet, 100)
    fleet.perform(step(StepKind.HOLD), at(100))
    fleet.perform(step(StepKind.REQUEUE, step_id="d1.2", step=20, attempt=1), at(100))

    readings = collected(fleet, 180, from_seconds=100)

    started = [r for r in readings if r.subject == kinds.ATTEMPT_STARTED and r.job == LLAMA]
    assert [(r.attempt, r.fields["resumed_step"]) for r in started] == [(2, 20)]
    assert 2 <= (started[0].happened_at - at(100)).total_seconds() <= 20
    assert steps_done(readings, attempt=2)[:3] == [21, 22, 23]


def test_chosen_checkpoint_is_where_a_requeue_without_a_step_resumes():
    fleet = SmallFleet(1, NOON)
    collected(fleet, 100)
    fleet.perform(step(StepKind.CHOOSE_CHECKPOINT, step=7), at(100))

    outcome = fleet.perform(step(StepKind.REQUEUE, step_id="d1.2"), at(100))

    assert outcome.facts["resumed_step"] == 7


def test_held_job_reports_the_end_of_its_attempt_and_stays_down():
    fleet = SmallFleet(1, NOON)
    collected(fleet, 50)
    fleet.perform(step(StepKind.HOLD), at(50))

    readings = [reading for reading in collected(fleet, 300, from_seconds=50) if reading.job == LLAMA]

    assert [(reading.subject, reading.fields["exit_code"]) for reading in readings] == [(kinds.ATTEMPT_ENDED, -15)]


def test_step_performed_twice_acts_once():
    fleet = SmallFleet(1, NOON)
    collected(fleet, 50)
    requeue = step(StepKind.REQUEUE)

    first, second = fleet.perform(requeue, at(50)), fleet.perform(requeue, at(60))

    attempts = [r.attempt for r in collected(fleet, 90, 50) if r.subject == kinds.ATTEMPT_STARTED and r.job == LLAMA]
    assert first == second
    assert first.state is StepState.DONE
    assert attempts == [2]


def test_world_remembers_which_steps_were_done():
    fleet = SmallFleet(1, NOON)
    requeue = step(StepKind.REQUEUE)
    before = fleet.state_of(requeue)

    fleet.perform(requeue, at(10))

    assert (before, fleet.state_of(requeue)) == (WorldState.NOT_DONE, WorldState.DONE)


def test_step_about_an_earlier_attempt_is_refused():
    fleet = SmallFleet(1, NOON)
    fleet.perform(step(StepKind.REQUEUE), at(10))

    with pytest.raises(ActionError, match="at attempt 2, the step is about attempt 1"):
        fleet.perform(step(StepKind.REQUEUE, step_id="d2.1", attempt=1), at(40))


def test_excluded_node_is_replaced_by_a_spare_at_the_next_start():
    fleet = SmallFleet(1, NOON)
    collected(fleet, 50)
    fleet.perform(step(StepKind.EXCLUDE, node="node003"), at(50))

    outcome = fleet.perform(step(StepKind.REQUEUE, step_id="d1.2"), at(50))

    nodes = str(outcome.facts["nodes"]).split(",")
    assert "node003" not in nodes
    assert len(nodes) == 8
    assert "node015" in nodes


def test_stopped_job_ends_for_good():
    fleet = SmallFleet(1, NOON)
    collected(fleet, 50)
    fleet.perform(step(StepKind.STOP, reason="the same crash again"), at(50))

    readings = [reading for reading in collected(fleet, 60, from_seconds=50) if reading.job == LLAMA]

    assert [reading.subject for reading in readings] == [kinds.ATTEMPT_ENDED, kinds.JOB_ENDED]
    assert readings[-1].fields == {"state": "stopped", "reason": "the same crash again"}
    with pytest.raises(ActionError, match="choose one of sim-eval-sweep, sim-vision"):
        fleet.perform(step(StepKind.REQUEUE, step_id="d1.2"), at(70))


# Its ranks have no recorders: it is not asked.
@pytest.mark.parametrize("kind", [kind for kind in StepKind if kind is not StepKind.DUMP])
def test_every_kind_of_step_can_be_carried_out(kind: StepKind):
    fleet = SmallFleet(1, NOON)

    outcome = fleet.perform(step(kind, node="node003", step=0), at(20))

    assert outcome.state is StepState.DONE


def test_unknown_node_is_refused_with_the_ones_there_are():
    with pytest.raises(ActionError, match="choose one of node001 to node016"):
        SmallFleet(1, NOON).perform(step(StepKind.DRAIN, node="node099"), at(10))


def test_truth_tells_the_cause_of_every_fault_that_struck():
    fleet = SmallFleet(1, NOON)
    before = fleet.truth()

    collected(fleet, 900)

    assert before == {}
    assert fleet.truth()["fault-0001"] == "benign"
    assert len(fleet.truth()) > 3
