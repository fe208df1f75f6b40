"""Events to jobs, attempts and interruptions."""

from clusterwatch.model import Component, ComponentKind, Edge, JobState, World, kinds
from clusterwatch.model.world import CHECKPOINTS_KEPT
from clusterwatch.testing import NOON, event, progress, seconds, training_job
from clusterwatch.track import follow

JOB = Component(ComponentKind.JOB, "job-1", "node001")


def ended(exit_code, at, attempt=1):
    return event(kinds.ATTEMPT_ENDED, JOB, at, job="job-1", attempt=attempt, exit_code=exit_code)


def started(attempt, at, resumed_step):
    return event(kinds.ATTEMPT_STARTED, JOB, at, job="job-1", attempt=attempt, resumed_step=resumed_step)


def steps(first, last, begin, attempt=1, every=10.0):
    return [
        progress("job-1", attempt, step, begin + seconds(every * place))
        for place, step in enumerate(range(first, last + 1), start=1)
    ]


def following(*events):
    return follow(World(watching_since=NOON), events)


def test_job_trains_once_it_printed_a_step():
    tracked = following(*training_job(), *steps(1, 3, NOON))

    job = tracked.world.jobs["job-1"]
    assert (job.state, job.last_step, job.highest_step) == (JobState.TRAINING, 3, 3)
    assert job.last_step_at == NOON + seconds(30)


def test_normal_step_time_is_the_jobs_own():
    tracked = following(*training_job(), *steps(1, 20, NOON, every=6.2))

    assert abs(tracked.world.jobs["job-1"].step_seconds - 6.2) < 0.01


def test_one_long_pause_does_not_become_the_normal_step_time():
    pause = progress("job-1", 1, 21, NOON + seconds(200 + 3600))

    tracked = following(*training_job(), *steps(1, 20, NOON), pause)

    assert tracked.world.jobs["job-1"].step_seconds < 20


def test_step_printed_by_several_ranks_counts_once():
    same = [progress("job-1", 1, 5, NOON + seconds(50 + late), loss=float(late)) for late in range(4)]

    tracked = following(*training_job(), *steps(1, 4, NOON), *same)

    assert tracked.world.jobs["job-1"].last_step_at == NOON + seconds(50)
    assert tracked.world.jobs["job-1"].loss == 0.0


def test_crash_interrupts_from_the_end_of_the_last_step():
    tracked = following(*training_job(), *steps(1, 3, NOON), ended(-9, NOON + seconds(34)))

    interruption = tracked.world.interruptions["job-1"]
    assert tracked.world.jobs["job-1"].state is JobState.INTERRUPTED
    assert interruption.edges == {Edge.LAST_STEP: NOON + seconds(30), Edge.FIRST_EVENT: NOON + seconds(34)}
    assert interruption.highest_step == 3


def test_clean_exit_is_no_interruption():
    tracked = following(*training_job(), *steps(1, 3, NOON), ended(0, NOON + seconds(31)))

    assert tracked.world.interruptions == {}


def test_interruption_ends_with_the_first_step_never_done_before():
    crash = [*training_job(), *steps(1, 5, NOON), ended(1, NOON + seconds(55))]

    repeated = following(*crash, started(2, NOON + seconds(60), 2), *steps(3, 5, NOON + seconds(60), 2))
    beyond = following(*crash, started(2, NOON + seconds(60), 2), *steps(3, 6, NOON + seconds(60), 2))

    assert repeated.world.jobs["job-1"].state is JobState.RECOVERING
    assert beyond.world.jobs["job-1"].state is JobState.TRAINING
    (over,) = [each for each in beyond.changes.interruptions if each.is_over]
    assert over.edges[Edge.FIRST_REPEATED_STEP] == NOON + seconds(70)
    assert over.edges[Edge.FIRST_NEW_STEP] == NOON + seconds(100)


def test_folded_steps_that_pass_the_highest_are_split_where_the_new_ones_begin():
    fold = progress("job-1", 2, 9, NOON + seconds(160), first_step=3, first_at=(NOON + seconds(100)).isoformat())

    tracked = following(
        *training_job(), *steps(1, 5, NOON), ended(1, NOON + seconds(55)), started(2, NOON + seconds(60), 2), fold
    )

    (over,) = [each for each in tracked.changes.interruptions if each.is_over]
    assert over.edges[Edge.FIRST_NEW_STEP] == NOON + seconds(130)


def test_step_told_after_the_crash_belongs_before_it():
    late = progress("job-1", 1, 4, NOON + seconds(33))

    tracked = following(*training_job(), *steps(1, 3, NOON), ended(-9, NOON + seconds(34)), late)

    interruption = tracked.world.interruptions["job-1"]
    assert interruption.highest_step == 4
    assert interruption.edges[Edge.LAST_STEP] == NOON + seconds(33)
    assert tracked.world.jobs["job-1"].state is JobState.INTERRUPTED


def test_hang_that_ends_by_itself_is_over_with_the_next_step():
    hang = event(kinds.HANG, JOB, NOON + seconds(120), job="job-1", attempt=1, step=3)
    moves_on = progress("job-1", 1, 4, NOON + seconds(150))

    tracked = following(*training_job(), *steps(1, 3, NOON), hang, moves_on)

    assert tracked.world.jobs["job-1"].state is JobState.TRAINING
    assert tracked.world.interruptions == {}


def test_attempt_remembers_the_first_exception_it_died_of():
    first = event(
        kinds.EXCEPTION, JOB, NOON + seconds(31), job="job-1", attempt=1, exception="KeyError", where="a.py:3"
    )
    second = event(
        kinds.EXCEPTION, JOB, NOON + seconds(32), job="job-1", attempt=1, exception="OSError", where="b.py:9"
    )

    tracked = following(*training_job(), first, second, ended(1, NOON + seconds(34)))

    assert tracked.world.attempts["job-1"][-1].fingerprint == "KeyError at a.py:3"


def test_exception_that_the_attempt_outlived_is_not_what_it_died_of():
    handled = event(
        kinds.EXCEPTION, JOB, NOON + seconds(15), job="job-1", attempt=1, exception="OSError", where="a.py:3"
    )

    tracked = following(
        *training_job(), *steps(1, 1, NOON), handled, *steps(2, 20, NOON), ended(-9, NOON + seconds(400))
    )

    assert tracked.world.attempts["job-1"][-1].fingerprint == "exit code -9 after step 20"


def test_hang_that_was_judged_too_late_interrupts_nobody():
    hang = event(kinds.HANG, JOB, NOON + seconds(120), job="job-1", attempt=1, step=2)

    tracked = following(*training_job(), *steps(1, 3, NOON), hang)

    assert tracked.world.jobs["job-1"].state is JobState.TRAINING


def test_counter_that_starts_anew_with_an_epoch_is_a_sign_of_life_and_no_new_step():
    again = progress("job-1", 1, 1, NOON + seconds(300), restarted=True)

    tracked = following(*training_job(), *steps(1, 3, NOON), again)

    job = tracked.world.jobs["job-1"]
    assert (job.highest_step, job.last_step_at) == (3, NOON + seconds(300))


def test_job_that_prints_few_of_its_steps_has_that_rhythm():
    rare = [progress("job-1", 1, 100 * place, NOON + seconds(500 * place)) for place in range(1, 6)]

    job = following(*training_job(), *rare).world.jobs["job-1"]

    assert abs(job.step_seconds - 5) < 0.01
    assert abs(job.report_seconds - 500) < 1


def test_step_told_after_a_recovering_attempt_died_does_not_end_its_interruption():
    late = progress("job-1", 2, 6, NOON + seconds(130))

    tracked = following(
        *training_job(),
        *steps(1, 5, NOON),
        ended(1, NOON + seconds(55)),
        started(2, NOON + seconds(60), 2),
        ended(1, NOON + seconds(131), attempt=2),
        late,
    )

    assert "job-1" in tracked.world.interruptions
    assert tracked.world.jobs["job-1"].state is JobState.INTERRUPTED


def test_startup_that_was_called_a_hang_is_forgotten_with_the_first_step():
    hang = event(f"{kinds.HANG}.startup", JOB, NOON + seconds(900), job="job-1", attempt=1)

    tracked = following(*training_job(), hang, *steps(1, 3, NOON + seconds(1000)))

    attempt = tracked.world.attempts["job-1"][-1]
    assert (attempt.interrupted_at, attempt.hung) == (None, False)


def test_progress_is_kept_once_a_minute():
    tracked = following(*training_job(), *steps(1, 60, NOON, every=2.0))

    assert [each.step for each in tracked.changes.progress] == [1, 30, 60]


def test_torn_checkpoint_is_recorded_and_never_offered():
    saved = event(
        kinds.CHECKPOINT_SAVED, JOB, NOON + seconds(5), job="job-1", path="/ck/step_10", step=10, format="dcp"
    )
    torn = event(kinds.CHECKPOINT_TORN, JOB, NOON + seconds(9), job="job-1", path="/ck/step_20", step=20, format="dcp")

    tracked = following(*training_job(), saved, torn)

    assert [each.path for each in tracked.world.checkpoints["job-1"]] == ["/ck/step_10"]
    assert [each.complete for each in tracked.changes.checkpoints] == [True, False]


def test_world_keeps_the_latest_checkpoints_and_the_changes_hold_all():
    saves = [
        event(kinds.CHECKPOINT_SAVED, JOB, NOON + seconds(step), job="job-1", path=f"/ck/{step}", step=step)
        for step in range(1, CHECKPOINTS_KEPT + 11)
    ]

    tracked = following(*training_job(), *saves)

    assert [each.step for each in tracked.world.checkpoints["job-1"]] == list(range(11, CHECKPOINTS_KEPT + 11))
    assert len(tracked.changes.checkpoints) == CHECKPOINTS_KEPT + 10


def placed(rank, node, attempt=1):
    where = Component(ComponentKind.RANK, str(rank), node)
    return event(kinds.RANK_PLACED, where, NOON, job="job-1", attempt=attempt, rank=rank)


def test_ranks_are_placed_in_the_order_of_rank_and_anew_with_each_attempt():
    first = following(*training_job(), placed(9, "node002"), placed(1, "node001"), placed(9, "node003"))
    second = follow(first.world, [started(2, NOON + seconds(60), 0), placed(0, "node007", attempt=2)])

    assert [(each.rank, each.node) for each in first.world.placements["job-1"]] == [(1, "node001"), (9, "node003")]
    assert [(each.rank, each.node) for each in second.world.placements["job-1"]] == [(0, "node007")]


def test_list_of_nodes_with_the_gpus_of_each_tells_where_each_rank_runs():
    listed = event(
        kinds.ATTEMPT_STARTED, JOB, NOON, job="job-1", attempt=1, nodes="node002,node009,node001", gpus_per_node=8
    )

    tracked = following(training_job()[0], listed)

    (attempt,) = tracked.world.attempts["job-1"]
    assert [place.node if (place := attempt.placement(rank)) else None for rank in (0, 7, 8, 23, 24, -1)] == [
        *("node002", "node002", "node009", "node001"),
        *(None, None),
    ]
    assert tracked.world.jobs["job-1"].nodes == ("node001", "node002", "node009")


def test_list_of_nodes_alone_tells_no_rank():
    listed = event(kinds.ATTEMPT_STARTED, JOB, NOON, job="job-1", attempt=1, nodes="node002,node001")

    (attempt,) = following(training_job()[0], listed).world.attempts["job-1"]

    assert attempt.placement(0) is None


def test_step_told_after_the_job_ended_counts_and_does_not_bring_it_back():
    over = event(kinds.JOB_ENDED, JOB, NOON + seconds(31), job="job-1", state="completed", reason="exit code 0")

    tracked = following(*training_job(), *steps(1, 3, NOON), ended(0, NOON + seconds(31)), over, *steps(4, 4, NOON))

    (job,) = tracked.changes.jobs
    assert (job.state, job.highest_step) == (JobState.COMPLETED, 4)
    assert tracked.world.jobs == {}


def test_hang_is_not_said_of_an_attempt_that_ended():
    hang = event(kinds.HANG, JOB, NOON + seconds(120), job="job-1", attempt=1, step=3)

    tracked = following(*training_job(), *steps(1, 3, NOON), ended(0, NOON + seconds(31)), hang)

    assert tracked.world.interruptions == {}


def test_event_of_an_unknown_job_changes_nothing():
    tracked = following(progress("never-seen", 1, 3, NOON))

    assert tracked.world == World(watching_since=NOON)


def test_following_in_two_turns_gives_the_same_world_as_in_one():
    events = [
        *training_job(),
        *steps(1, 5, NOON),
        ended(1, NOON + seconds(55)),
        started(2, NOON + seconds(60), 2),
        *steps(3, 8, NOON + seconds(60), 2),
    ]

    at_once = following(*events).world

    for cut in range(len(events)):
        in_two = follow(follow(World(watching_since=NOON), events[:cut]).world, events[cut:]).world
        assert in_two == at_once


def lost_rank(at, kind="process.exit.sigabrt"):
    return event(kind, Component(ComponentKind.RANK, "3", "node001"), at, job="job-1", attempt=1, rank=3)


def test_job_misses_a_rank_whose_process_failed():
    tracked = following(*training_job(), *steps(1, 3, NOON), lost_rank(NOON + seconds(31)))

    assert tracked.world.jobs["job-1"].rank_lost_at == NOON + seconds(31)


def test_rank_is_not_missed_by_a_job_that_goes_on_without_it():
    tracked = following(
        *training_job(), *steps(1, 3, NOON), lost_rank(NOON + seconds(31)), *steps(4, 12, NOON + seconds(30))
    )

    assert tracked.world.jobs["job-1"].rank_lost_at is None


def test_next_attempt_misses_nobody():
    tracked = following(
        *training_job(), *steps(1, 3, NOON), lost_rank(NOON + seconds(31)), started(2, NOON + seconds(60), 2)
    )

    assert tracked.world.jobs["job-1"].rank_lost_at is None


def test_evaluation_is_a_sign_of_life_and_no_step():
    evaluating = event(kinds.SECTION_BEGUN, JOB, NOON + seconds(90), job="job-1", attempt=1, section="evaluate")

    tracked = following(*training_job(), *steps(1, 3, NOON), evaluating)

    job = tracked.world.jobs["job-1"]
    assert (job.last_step, job.last_step_at) == (3, NOON + seconds(90))


def test_job_that_says_it_loaded_passes_that_moment():
    crashed, restarted = ended(1, NOON + seconds(40)), started(2, NOON + seconds(60), 2)
    loaded = event(kinds.CHECKPOINT_LOADED, JOB, NOON + seconds(75), job="job-1", attempt=2, step=2)

    tracked = following(*training_job(), *steps(1, 3, NOON), crashed, restarted, loaded)

    assert tracked.world.interruptions["job-1"].edges[Edge.CHECKPOINT_LOADED] == NOON + seconds(75)


def saved(step, at, kind=kinds.CHECKPOINT_SAVED, **fields):
    facts = {"path": f"/ckpt/step_{step}", "step": step, "format": "file", "verified": True, "size_bytes": 7, **fields}
    return event(kind, JOB, at, job="job-1", attempt=1, **facts)


def test_deleted_checkpoint_leaves_the_list_and_its_record_says_so():
    deleted = event(kinds.CHECKPOINT_DELETED, JOB, NOON + seconds(9), job="job-1", path="/ckpt/step_1", step=1)

    tracked = following(*training_job(), saved(1, NOON), saved(2, NOON + seconds(5)), deleted)

    assert [each.step for each in tracked.world.checkpoints["job-1"]] == [2]
    assert (tracked.changes.checkpoints[-1].step, tracked.changes.checkpoints[-1].problem) == (1, "deleted")


def told(kind, at, **fields):
    return event(kind, JOB, at, job="job-1", attempt=1, **fields)


def test_what_the_job_reports_and_what_its_folder_shows_of_a_checkpoint_add_up_in_either_order():
    report = told(
        kinds.CHECKPOINT_REPORTED, NOON + seconds(5), path="/ckpt/step_1", step=1, complete=True,
        stall_seconds=2.5, save_seconds=30.0,
    )  # fmt: skip
    seen = saved(1, NOON + seconds(4))

    one_way = following(*training_job(), report, seen).world.checkpoints["job-1"]
    other_way = following(*training_job(), seen, report).world.checkpoints["job-1"]

    assert one_way == other_way
    assert [(each.verified, each.stall_seconds, each.save_seconds) for each in one_way] == [(True, 2.5, 30.0)]


def test_checkpoint_that_only_the_job_knows_of_is_complete_and_not_verified():
    report = told(kinds.CHECKPOINT_REPORTED, NOON, path="/elsewhere/a", step=7, complete=True, size_bytes=9)

    (known,) = following(*training_job(), report).world.checkpoints["job-1"]

    assert (known.step, known.format, known.size_bytes) == (7, "reported", 9)
    assert (known.complete, known.verified) == (True, False)


def test_stall_of_a_save_that_goes_on_in_the_background_makes_no_checkpoint():
    report = told(kinds.CHECKPOINT_REPORTED, NOON, path="/ckpt/step_1", step=1, complete=False, stall_seconds=2.0)

    assert following(*training_job(), report).world.checkpoints.get("job-1", ()) == ()


def test_checkpoint_that_is_torn_after_all_leaves_the_list_and_the_one_before_is_the_last():
    torn = saved(2, NOON + seconds(9), kinds.CHECKPOINT_TORN, problem="cut short")

    tracked = following(*training_job(), saved(1, NOON), saved(2, NOON + seconds(5)), torn)

    job = tracked.world.jobs["job-1"]
    assert (job.last_checkpoint_step, job.last_checkpoint_at) == (1, NOON)


def test_time_between_checkpoints_becomes_known_within_an_attempt():
    first, second = saved(1, NOON + seconds(100)), saved(2, NOON + seconds(700))
    after_restart = saved(3, NOON + seconds(9000))

    tracked = following(*training_job(), first, second)
    restart = ended(1, NOON + seconds(750)), started(2, NOON + seconds(8000), 2)
    restarted = following(*training_job(), first, second, *restart, after_restart)

    assert tracked.world.jobs["job-1"].checkpoint_seconds == 600
    assert restarted.world.jobs["job-1"].checkpoint_seconds == 600


def test_time_of_loading_stays_with_the_checkpoint():
    loaded = told(kinds.CHECKPOINT_LOADED, NOON + seconds(75), path="/ckpt/step_1", step=1, load_seconds=33.5)

    (known,) = following(*training_job(), saved(1, NOON), loaded).world.checkpoints["job-1"]

    assert known.load_seconds == 33.5


def test_part_that_the_loop_is_in_is_known_until_it_ends_or_a_step_does():
    begun = told(kinds.SECTION_BEGUN, NOON + seconds(40), section="evaluate")
    over = told(kinds.SECTION_ENDED, NOON + seconds(100), section="evaluate", seconds=60.0)
    step = progress("job-1", 1, 4, NOON + seconds(101))

    inside = following(*training_job(), *steps(1, 3, NOON), begun).world.jobs["job-1"]
    after = following(*training_job(), *steps(1, 3, NOON), begun, over).world.jobs["job-1"]
    stepped = following(*training_job(), *steps(1, 3, NOON), begun, step).world.jobs["job-1"]

    assert (inside.section, after.section, stepped.section) == ("evaluate", "", "")
    assert after.section_seconds == (("evaluate", 60.0),)


def test_saving_is_a_part_too_and_ends_when_training_goes_on():
    begun = told(kinds.CHECKPOINT_BEGUN, NOON + seconds(40), path="/a", step=3)
    stall = {"complete": False, "stall_seconds": 5.0}
    background = told(kinds.CHECKPOINT_REPORTED, NOON + seconds(45), path="/a", step=3, **stall)

    inside = following(*training_job(), *steps(1, 3, NOON), begun).world.jobs["job-1"]
    after = following(*training_job(), *steps(1, 3, NOON), begun, background).world.jobs["job-1"]

    assert (inside.section, after.section) == ("checkpoint", "")
    assert after.section_seconds == (("checkpoint", 5.0),)


def stopping(after, attempt):
    fields = {"step_id": "dec-1.1", "step_kind": "stop", "state": "done", "attempt": attempt}
    return event(kinds.STEP_CHANGED, JOB, NOON + seconds(after), job="job-1", **fields)


def test_job_that_is_given_up_after_its_last_attempt_is_over():
    tracked = following(*training_job(), *steps(1, 3, NOON), ended(1, NOON + seconds(40)), stopping(50, attempt=1))

    (job,) = tracked.changes.jobs
    assert (job.state, job.ended_at) == (JobState.STOPPED, NOON + seconds(50))
    assert job.outcome == "given up after attempt 1: exit code 1 after step 3"
    assert not tracked.world.jobs


def test_job_that_is_stopped_while_it_runs_is_over_when_its_end_is_seen():
    tracked = following(*training_job(), *steps(1, 3, NOON), stopping(50, attempt=1))

    assert tracked.world.jobs["job-1"].is_active


def test_job_that_was_given_up_goes_on_when_somebody_starts_it_again():
    started = event(kinds.ATTEMPT_STARTED, JOB, NOON + seconds(900), job="job-1", attempt=2, resumed_step=0)
    given_up = following(*training_job(), *steps(1, 3, NOON), ended(1, NOON + seconds(40)), stopping(50, attempt=1))

    world = follow(given_up.world, [started]).world

    assert (world.jobs["job-1"].state, world.jobs["job-1"].attempt) == (JobState.RECOVERING, 2)
    assert [attempt.number for attempt in world.attempts["job-1"]] == [1, 2]
    assert world.jobs["job-1"].highest_step == 3


def test_attempt_knows_since_when_its_steps_take_longer():
    quick = [progress("job-1", 1, step, NOON + seconds(10 * step)) for step in range(1, 10)]
    slow = [progress("job-1", 1, 9 + more, NOON + seconds(90 + 25 * more)) for more in range(1, 8)]
    quick_again = [progress("job-1", 1, 16 + more, NOON + seconds(265 + 10 * more)) for more in range(1, 4)]

    during = following(*training_job(), *quick, *slow).world.attempts["job-1"][-1]
    after = following(*training_job(), *quick, *slow, *quick_again).world.attempts["job-1"][-1]

    assert (during.slowed_at, after.slowed_at) == (NOON + seconds(115), None)


def job_over():
    over = event(kinds.JOB_ENDED, JOB, NOON + seconds(41), job="job-1", state="completed")
    return following(*training_job(), *steps(1, 3, NOON), ended(1, NOON + seconds(40)), over)


def test_last_step_that_is_told_after_the_job_ended_counts():
    told = follow(job_over().world, [progress("job-1", 1, 4, NOON + seconds(39))])

    (job,), (attempt,) = told.changes.jobs, told.changes.attempts
    assert (job.state, job.highest_step, attempt.last_step) == (JobState.COMPLETED, 4, 4)
    assert not told.world.jobs


def test_start_of_an_attempt_that_is_told_again_after_the_job_ended_starts_nothing():
    again = event(kinds.ATTEMPT_STARTED, JOB, NOON, job="job-1", attempt=1, resumed_step=0)

    assert not follow(job_over().world, [again]).world.jobs


def test_attempt_knows_when_its_loss_went_wrong():
    jumped = event(kinds.LOSS_JUMPED, JOB, NOON + seconds(25), job="job-1", attempt=1, step=2, loss=7.3, usual=1.9)
    restarted = [ended(1, NOON + seconds(40)), started(2, NOON + seconds(60), 0)]

    first, second = following(*training_job(), *steps(1, 3, NOON), jumped, *restarted).world.attempts["job-1"]

    assert (first.loss_went_wrong_at, second.loss_went_wrong_at) == (NOON + seconds(25), None)
