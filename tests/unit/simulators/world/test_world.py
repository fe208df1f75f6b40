"""A job on a fleet in closed loop."""

from datetime import UTC, datetime

import pytest

from clusterwatch.model import Cause, Component, ComponentKind, kinds
from simulators.cluster import ClusterSpec, Diurnal, Storage, gpu_pci
from simulators.terms import Terms
from simulators.trace.schedule import Assumption, Fault, JobPlan, PlannedStop, Schedule
from simulators.whatif.latency import fixed
from simulators.whatif.policies import Policy, Responder
from simulators.world.outbox import Outbox, Whose
from simulators.world.voices import Scene, Voices
from simulators.world.world import Phase, World

START = datetime(2024, 4, 1, tzinfo=UTC)
NODES = ["node0001", "node0002", "node0003"]
RESTART_SECONDS = 75.0 + 60.0
CLEAN = {"signal_loss": 0.0, "late_share": 0.0, "duplicate_share": 0.0, "clock_skew_seconds": 0.0}


def gpu_lost(at, node="node0002", name="f1", repair=3600.0):
    broken = Component(ComponentKind.GPU, gpu_pci(3), node)
    return Fault(at, name, Cause.FAULTY_GPU, "gpu_fell_off_bus", broken, (node,), repair, 5)


def schedule(*faults, planned=(), storage=None):
    spec = ClusterSpec("small", 4, 2, storage=storage or Storage(), diurnal=Diurnal(depth=0.0))
    job = JobPlan("job-1", "llama", "ada", 4, "megatron", 41, tp=8, pp=2, dp=2, step_seconds=((0.0, 10.0),))
    assumed = {name: Assumption(value, "", "a test", False) for name, value in CLEAN.items()}
    return Schedule("test", 1, START, 1.0, spec, (job,), assumed, tuple(faults), tuple(planned))


def world(*faults, planned=(), script=None, storage=None, **terms):
    built = World(schedule(*faults, planned=planned, storage=storage), Terms(**CLEAN, **terms), 100.0, script)
    built.begin()
    return built


def script(decide, right, person_after=1000):
    detect, decided = {"all": fixed(60.0)}, {"all": fixed(decide)}
    return Policy(
        "test", "", Responder.SCRIPTED, 100.0, detect, decided, right={"all": right}, person_after=person_after
    )


def subjects(readings):
    return [reading.subject for reading in readings]


def test_job_trains_after_its_processes_started_and_loaded():
    fleet = world()

    fleet.advance(RESTART_SECONDS - 1)
    before = fleet.phase
    fleet.advance(RESTART_SECONDS + 15)

    assert (before, fleet.phase) == (Phase.STARTING, Phase.TRAINING)
    told = [each for each in subjects(fleet.take(RESTART_SECONDS + 15)) if each != kinds.NODE_ADDRESSES]
    assert told[:2] == [kinds.JOB_STARTED, kinds.ATTEMPT_STARTED]
    assert told[-1] == kinds.PROGRESS


def test_fault_stops_the_job_and_tells_the_kernel_and_the_launcher():
    fleet = world(gpu_lost(1000.0))

    fleet.advance(1010.0)

    assert fleet.phase is Phase.HUNG
    readings = fleet.take(1010.0)
    assert {reading.node for reading in readings if reading.source == "kernel_log"} == {"node0002"}
    assert kinds.PROCESS_EXITED in subjects(readings)


def test_hang_lasts_until_the_ranks_give_up():
    fleet = world(gpu_lost(1000.0))

    fleet.advance(1599.0)
    waiting = fleet.phase
    fleet.advance(1620.0)

    assert (waiting, fleet.phase) == (Phase.HUNG, Phase.ENDED)


def test_restart_without_the_broken_node_trains_on():
    fleet = world(gpu_lost(1000.0))
    fleet.advance(1020.0)
    fleet.take_out("node0002", 1020.0)

    facts = fleet.restart(1020.0, fleet.saved_step)
    fleet.advance(1020.0 + 65.0 + RESTART_SECONDS + 200.0)

    assert facts["replaced"] == 1
    assert fleet.pool.job == ["node0001", "node0005", "node0003", "node0004"]
    assert fleet.phase is Phase.TRAINING
    assert [strike.id for strike in fleet.truth] == ["f1"]


def test_part_that_was_left_in_the_job_strikes_again_a_minute_after_it_trains():
    fleet = world(gpu_lost(1000.0))
    fleet.advance(1020.0)

    fleet.restart(1020.0, fleet.saved_step)
    fleet.advance(1020.0 + RESTART_SECONDS + 61.0)

    assert fleet.phase is Phase.HUNG
    assert [(strike.id, strike.repeat_of) for strike in fleet.truth] == [("f1", ""), ("f1.2", "f1")]
    assert fleet.truth[1].struck == pytest.approx(1020.0 + RESTART_SECONDS + 60.0)


def test_fault_that_is_due_while_a_part_is_slow_waits_until_the_job_trains_again():
    slow = Fault(
        1000.0, "f1", Cause.GPU_THERMAL, "gpu_thermal_slowdown", gpu_lost(0.0).component, ("node0002",), 3600.0, 5
    )
    fleet = world(slow, gpu_lost(1010.0, "node0003", "f2"), script=script(decide=0.0, right=1.0))

    fleet.advance(3000.0)

    first, second = fleet.truth[:2]
    assert (first.id, second.id) == ("f1", "f2")
    assert first.interrupted > 1010.0
    assert (first.attempt, second.attempt) == (1, 2)


def test_fault_that_is_due_while_the_job_is_down_strikes_a_minute_after_it_trains_again():
    fleet = world(gpu_lost(1000.0), gpu_lost(1100.0, "node0003", "f2"))
    fleet.advance(1020.0)
    fleet.take_out("node0002", 1020.0)
    fleet.restart(1020.0, fleet.saved_step)

    fleet.advance(2000.0)

    late = fleet.truth[1]
    trains_at = 1020.0 + 65.0 + RESTART_SECONDS
    assert (late.id, late.due, late.struck) == ("f2", 1100.0, pytest.approx(trains_at + 60.0))


def test_fault_of_a_node_that_was_replaced_strikes_the_one_in_its_slot():
    fleet = world(gpu_lost(1000.0), gpu_lost(5000.0, "node0002", "f2"))
    fleet.advance(1020.0)
    fleet.take_out("node0002", 1020.0)
    fleet.restart(1020.0, fleet.saved_step)

    fleet.advance(5001.0)

    assert fleet.truth[1].nodes == ("node0005",)


def test_feed_that_fails_takes_the_nodes_that_hang_on_it_and_none_that_replaced_one_elsewhere():
    domain = Component(ComponentKind.RACK, "power0001", "node0001")
    dark = Fault(5000.0, "f2", Cause.POWER_SUPPLY, "power_domain_lost", domain, ("node0001", "node0002"), 3600.0, 5)
    fleet = world(gpu_lost(1000.0), dark)
    fleet.advance(1020.0)
    fleet.take_out("node0002", 1020.0)
    fleet.restart(1020.0, fleet.saved_step)

    fleet.advance(5001.0)

    assert fleet.truth[1].nodes == ("node0001",)


def test_node_comes_back_repaired_and_stands_by():
    fleet = world(gpu_lost(1000.0, repair=600.0))
    fleet.advance(1020.0)
    fleet.take_out("node0002", 1020.0)
    fleet.restart(1020.0, fleet.saved_step)
    assert not fleet.is_healthy("node0002")

    fleet.advance(1621.0)

    assert fleet.is_healthy("node0002")
    assert fleet.pool.standby_total == 2
    assert kinds.REBOOTED in subjects(fleet.take(1621.0))


def test_planned_stop_saves_first_and_trains_again_when_the_work_is_done():
    fleet = world(planned=[PlannedStop(1000.0, "p1", True, ("node0001",), 300.0, "firmware", 9)])

    fleet.advance(1299.0)
    before = fleet.phase
    fleet.advance(1300.0)

    assert (before, fleet.phase) == (Phase.STARTING, Phase.TRAINING)
    (stop,) = fleet.truth
    assert (stop.planned, stop.cause, stop.struck) == (True, Cause.PLANNED_MAINTENANCE, 1000.0)


def test_restart_during_planned_work_waits_for_its_end():
    fleet = world(planned=[PlannedStop(1000.0, "p1", True, ("node0001",), 300.0, "firmware", 9)])
    fleet.advance(1010.0)

    fleet.restart(1010.0, fleet.saved_step)
    fleet.advance(1290.0)
    before = fleet.phase
    fleet.advance(1301.0)

    assert (before, fleet.phase) == (Phase.STARTING, Phase.TRAINING)


def test_script_restarts_the_job_without_the_part_that_it_finds():
    fleet = world(gpu_lost(1000.0), script=script(decide=300.0, right=1.0))

    fleet.advance(1000.0 + 360.0 + 65.0 + RESTART_SECONDS + 200.0)

    assert fleet.phase is Phase.TRAINING
    assert "node0002" not in fleet.pool.job
    assert fleet.manual_total == 0


def test_person_is_called_when_a_script_that_finds_nothing_was_struck_often_enough():
    fleet = world(gpu_lost(1000.0), script=script(decide=0.0, right=0.0, person_after=2))

    fleet.advance(4000.0)

    assert [strike.repeat_of for strike in fleet.truth] == ["", "f1", "f1"]
    assert fleet.manual_total == 1
    assert fleet.phase is Phase.TRAINING


def test_restart_is_told_by_every_node_that_lost_its_processes():
    fleet = world()
    fleet.advance(1000.0)
    fleet.take(1000.0)

    fleet.restart(1000.0, fleet.saved_step)
    fleet.advance(1010.0)

    told = fleet.take(1010.0)
    assert {reading.node for reading in told if reading.source == "job_log"} == set(fleet.pool.job)
    assert kinds.ATTEMPT_ENDED in subjects(told)


@pytest.mark.parametrize("seed", range(6))
def test_what_slurm_says_of_a_whole_step_is_said_once_and_by_a_node_that_lives(seed):
    scene = Scene(
        Whose("job-1", 1), NODES, {name: place for place, name in enumerate(NODES)}, 8, 10, "ada", 41, "/run7"
    )
    outbox = Outbox(START, Terms(**CLEAN).channel, seed)

    Voices(outbox, START).everywhere("terminated", scene, NODES, seed, 100.0, 1.0, about=NODES[0], most_lines=1)

    told = outbox.take(200.0)
    of_step = [reading.node for reading in told if reading.text.startswith(("slurmstepd:", "srun:"))]
    assert set(of_step) <= {NODES[1]}
    assert [reading.node for reading in told].count(NODES[2]) == 1


def test_same_schedule_and_steps_give_the_same_readings():
    def lived():
        fleet = world(gpu_lost(1000.0))
        fleet.advance(1020.0)
        fleet.take_out("node0002", 1020.0)
        fleet.restart(1020.0, fleet.saved_step)
        fleet.advance(3000.0)
        return fleet.take(3000.0)

    assert lived() == lived()


def stalls(fleet, until):
    fleet.advance(until)
    return [each.fields["stall_seconds"] for each in fleet.take(until) if each.subject == kinds.CHECKPOINT_SAVED]


def test_save_blocks_for_the_stated_time_on_storage_like_llama3s():
    assert set(stalls(world(), 3600.0)) == {2.0}


def test_slow_storage_makes_saves_and_loads_longer_and_the_collectors_read_it():
    storage = Storage(sustained_bytes_per_second=1e12, peak_bytes_per_second=1e12)
    fleet = world(gpu_lost(1000.0), storage=storage, checkpoint_bytes=1e13)
    longer = 10.0 - 1e13 / 7e12
    assert stalls(fleet, 1000.0)[0] == pytest.approx(2.0 + longer, abs=1e-3)
    fleet.take_out("node0002", 1020.0)

    fleet.restart(1020.0, fleet.saved_step)
    fleet.advance(1020.0 + 65.0 + RESTART_SECONDS + longer - 1)
    before = fleet.phase
    fleet.advance(1020.0 + 65.0 + RESTART_SECONDS + longer)

    assert (before, fleet.phase) == (Phase.STARTING, Phase.TRAINING)


def test_saves_of_other_jobs_make_some_saves_longer():
    others = {"others_save_bytes": 1.4e14, "others_save_every_seconds": 300.0}

    told = stalls(world(checkpoint_bytes=3.5e13, **others), 3600.0)

    assert min(told) == 2.0
    assert max(told) > 4.0
