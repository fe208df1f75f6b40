from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clusterwatch.cli.page import Page, Phrase
from clusterwatch.cli.views.why import Why, interruption_of, why_json, why_page
from clusterwatch.model import Attempt, Decision, Edge, Incident, IncidentState, Interruption, Job, JobState, Mode
from clusterwatch.store import IncidentView, JobView

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def job(state: JobState = JobState.INTERRUPTED, ended_at: datetime | None = None) -> Job:
    return Job("job-1", "job-1", state, NOON, NOON, ended_at=ended_at, gpus=2, attempt=1)


def stopped(
    incident_id: str | None, *, at_second: float, over_at: float | None = None, attempt: int = 1
) -> Interruption:
    edges = {Edge.LAST_STEP: at(at_second)} | ({Edge.FIRST_NEW_STEP: at(over_at)} if over_at is not None else {})
    return Interruption(f"int-{at_second}", "job-1", attempt, incident_id, False, 5, edges)


def attempt(number: int, started: float, **changed: object) -> Attempt:
    return Attempt("job-1", number, at(started), **changed)  # type: ignore[arg-type] # the values of one test


def incident(name: str = "inc-a", *decisions: Decision) -> IncidentView:
    return IncidentView(Incident(name, IncidentState.SETTLING, NOON, NOON, NOON, ()), (), decisions, ())


def view(*interruptions: Interruption, attempts: tuple[Attempt, ...] = (), of: Job | None = None) -> JobView:
    return JobView(of or job(), attempts, (), (), interruptions, (), ())


def words(page: Page) -> str:
    parts = [part for section in page for part in (section.title, *section.parts)]
    return "\n".join(part.text if isinstance(part, Phrase) else str(part) for part in parts)


FIRST, SECOND = stopped("inc-a1", at_second=10, over_at=20), stopped("inc-b2", at_second=30)


@pytest.mark.parametrize(
    ("typed", "found"), [(None, SECOND), ("inc-a1", FIRST), ("inc-a", FIRST), ("b2", SECOND), ("inc-c", None)]
)
def test_latest_interruption_is_explained_unless_another_incident_is_named(
    typed: str | None, found: Interruption | None
) -> None:
    assert interruption_of((FIRST, SECOND), typed) == found


def test_no_interruption_no_answer() -> None:
    assert interruption_of(()) is None


def test_open_interruption_costs_until_now() -> None:
    trained = attempt(
        1,
        0,
        running_at=at(0),
        first_step=1,
        first_step_at=at(1),
        first_new_step_at=at(1),
        last_step=5,
        last_step_at=at(10),
        interrupted_at=at(12),
    )

    answer = why_json(Why(view(stopped("inc-a", at_second=10), attempts=(trained,)), FIRST, incident(), at(40)))
    still_open = why_json(Why(view(attempts=(trained,)), stopped("inc-a", at_second=10), incident(), at(40)))

    assert answer["cost"]["lost_seconds"] == 10
    assert still_open["cost"] == {
        "lost_seconds": 30.0,
        "lost_gpu_hours": round(30 * 2 / 3600, 6),
        "by_reason": {"detect": 2.0, "decide": 28.0},
    }


def test_job_that_ended_costs_no_more_afterwards() -> None:
    ended = job(JobState.STOPPED, ended_at=at(25))

    answer = why_json(Why(view(of=ended), stopped("inc-a", at_second=10), incident(), at(4000)))

    assert answer["cost"]["lost_seconds"] == 15
    assert "it never trained again: the job is stopped" in words(
        why_page(Why(view(of=ended), stopped("inc-a", at_second=10), incident(), at(4000)))
    )


def test_job_that_was_given_up_needs_a_person_although_the_incident_is_closed() -> None:
    ended = job(JobState.STOPPED, ended_at=at(25))
    closed = IncidentView(Incident("inc-a", IncidentState.CLOSED, NOON, NOON, NOON, ()), (), (), ())

    page = words(why_page(Why(view(of=ended), stopped("inc-a", at_second=10), closed, at(40))))

    assert "it will not be started again by itself. Look at the job's own output." in page


def test_attempt_that_resumed_is_the_last_one_before_new_steps() -> None:
    interruption = stopped("inc-a", at_second=10, over_at=50)
    attempts = (
        attempt(1, 0),
        attempt(2, 20, resumed_step=4, resumed_checkpoint="/ckpt/4"),
        attempt(3, 30, resumed_step=3, resumed_checkpoint="/ckpt/3"),
        attempt(4, 70),
    )

    answer = why_json(Why(view(interruption, attempts=attempts), interruption, incident(), at(100)))

    assert answer["resumed"] == {
        "attempt": 3,
        "started_at": "2026-03-04T12:00:30Z",
        "step": 3,
        "checkpoint": "/ckpt/3",
    }


def test_decisions_about_other_jobs_stay_out() -> None:
    ours = Decision("dec-1", "inc-a", 1, "job-1", Mode.AUTO, "ours", NOON)
    theirs = Decision("dec-2", "inc-a", 1, "job-2", Mode.AUTO, "theirs", NOON)

    answer = why_json(Why(view(FIRST), FIRST, incident("inc-a", ours, theirs), at(100)))

    assert [decision["id"] for decision in answer["decisions"]] == ["dec-1"]


def test_interruption_that_nothing_explains_yet_says_so() -> None:
    without_incident = words(why_page(Why(view(SECOND), SECOND, None, at(40))))
    settling = words(why_page(Why(view(SECOND), SECOND, incident(), at(40))))

    assert "no incident explains it" in without_incident
    assert "not diagnosed yet: the evidence is still coming in" in settling
    assert "not over: no new step yet" in settling
    assert "nothing was decided" in settling


def test_interruption_without_any_stored_moment_costs_nothing() -> None:
    bare = Interruption("int-1", "job-1", 1, None, False, 0)

    answer = why_json(Why(view(bare), bare, None, at(40)))

    assert answer["cost"] == {"lost_seconds": 0.0, "lost_gpu_hours": 0.0, "by_reason": {}}
    assert "attempt 1 stopped - (-) before any step" in words(why_page(Why(view(bare), bare, None, at(40))))


def test_other_interruptions_are_named() -> None:
    assert "2 interruptions; choose with --incident: inc-a1, inc-b2" in words(
        why_page(Why(view(FIRST, SECOND), SECOND, incident(), at(40)))
    )
