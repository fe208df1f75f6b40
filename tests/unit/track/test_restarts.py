"""What is told between the start of an attempt and its first step."""

from clusterwatch.model import Component, ComponentKind, Edge, World, kinds
from clusterwatch.testing import NOON, event, progress, seconds, training_job
from clusterwatch.track import follow

JOB = Component(ComponentKind.JOB, "job-1", "node001")


def ended(exit_code, at, attempt=1):
    return event(kinds.ATTEMPT_ENDED, JOB, at, job="job-1", attempt=attempt, exit_code=exit_code)


def started(attempt, at, resumed_step):
    return event(kinds.ATTEMPT_STARTED, JOB, at, job="job-1", attempt=attempt, resumed_step=resumed_step)


def steps(first, last, begin):
    return [
        progress("job-1", 1, step, begin + seconds(10.0 * place))
        for place, step in enumerate(range(first, last + 1), start=1)
    ]


def following(*events):
    return follow(World(watching_since=NOON), events)


def about(kind, at, attempt=2, **fields):
    return event(kind, JOB, at, job="job-1", attempt=attempt, **fields)


def test_lines_of_a_restart_are_its_edges_and_the_last_rank_ends_the_loading():
    crashed = [*training_job(), *steps(1, 3, NOON), ended(1, NOON + seconds(34)), started(2, NOON + seconds(40), 2)]
    lines = [
        about(kinds.COMMUNICATORS_READY, NOON + seconds(45)),
        about(kinds.CHECKPOINT_LOADING, NOON + seconds(50)),
        about(kinds.CHECKPOINT_LOADING, NOON + seconds(51)),
        about(kinds.CHECKPOINT_LOADED, NOON + seconds(60)),
        about(kinds.CHECKPOINT_LOADED, NOON + seconds(63)),
    ]

    tracked = following(*crashed, *lines)

    attempt, edges = tracked.world.attempts["job-1"][-1], tracked.world.interruptions["job-1"].edges
    assert (attempt.communicators_ready_at, attempt.checkpoint_loading_at, attempt.checkpoint_loaded_at) == (
        NOON + seconds(45),
        NOON + seconds(50),
        NOON + seconds(63),
    )
    assert edges[Edge.COMMUNICATORS_READY] == NOON + seconds(45)
    assert edges[Edge.CHECKPOINT_LOADED] == NOON + seconds(60)


def test_what_is_loaded_after_the_first_step_is_no_restart():
    late = [
        about(kinds.CHECKPOINT_LOADING, NOON + seconds(35), 1),
        about(kinds.CHECKPOINT_LOADED, NOON + seconds(36), 1),
    ]

    tracked = following(*training_job(), *steps(1, 3, NOON), *late)

    attempt = tracked.world.attempts["job-1"][-1]
    assert (attempt.checkpoint_loading_at, attempt.checkpoint_loaded_at) == (None, None)


def test_loop_that_tells_how_long_it_loaded_tells_when_it_began():
    told = about(kinds.CHECKPOINT_LOADED, NOON + seconds(20), 1, load_seconds=12.5)

    tracked = following(*training_job(), told)

    attempt = tracked.world.attempts["job-1"][-1]
    assert attempt.checkpoint_loading_at == NOON + seconds(7.5)
    assert attempt.checkpoint_loaded_at == NOON + seconds(20)
