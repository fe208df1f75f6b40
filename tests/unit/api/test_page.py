from dataclasses import replace
from datetime import UTC, datetime

from clusterwatch.api import Health
from clusterwatch.api.gathering import Records
from clusterwatch.api.page import present
from clusterwatch.api.views import Badge, Tone
from clusterwatch.model import CollectorStatus, Decision, Job, JobState, Mode, Node, NodeState
from clusterwatch.store import JobHistory

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
NOTHING = Records((), 0, (), (), (), {}, (), ())
KNOWN = {"job-0": "llama"}
WELL = Health(True)


def jobs(*states: JobState) -> tuple[JobHistory, ...]:
    return tuple(JobHistory(Job(f"job-{n}", "", state, NOON, NOON), (), ()) for n, state in enumerate(states))


def verdict(records: Records, health: Health = WELL) -> Badge:
    return present(records, health, NOON).verdict


def test_nothing_recorded_is_no_good_news():
    page = present(NOTHING, WELL, NOON)

    assert page.is_empty
    assert page.verdict == Badge("Waiting for a first job", Tone.QUIET)


def test_stalled_service_comes_before_anything_it_says_about_jobs():
    stalled = Health(False, {"responder": "stalled"})

    page = present(replace(NOTHING, jobs=jobs(JobState.TRAINING), job_names=KNOWN), stalled, NOON)

    assert page.verdict.tone is Tone.BAD
    assert page.details[0] == Badge("responder: stalled", Tone.BAD)


def test_interrupted_jobs_come_before_recovering_ones():
    records = replace(NOTHING, job_names=KNOWN)

    both = verdict(replace(records, jobs=jobs(JobState.RECOVERING, JobState.INTERRUPTED, JobState.TRAINING)))
    recovering = verdict(replace(records, jobs=jobs(JobState.RECOVERING, JobState.TRAINING)))

    assert both == Badge("1 job interrupted, 1 recovering", Tone.BAD)
    assert recovering == Badge("1 job recovering", Tone.BUSY)


def test_open_incident_that_stops_no_job_is_said_so():
    records = replace(NOTHING, job_names=KNOWN, jobs=jobs(JobState.TRAINING), open_total=2)

    assert verdict(records) == Badge("2 open incidents, no job is down", Tone.DOUBTFUL)


def test_running_jobs_and_no_incident_are_good_news():
    records = replace(NOTHING, job_names=KNOWN, jobs=jobs(JobState.TRAINING, JobState.STARTING))

    assert verdict(records) == Badge("2 jobs running, no incident is open", Tone.GOOD)


def test_what_is_not_shown_is_counted():
    silent = tuple(Node(f"node{n:04}", NodeState.SILENT, NOON) for n in range(60))
    drained = Node("zz", NodeState.DRAINED, NOON)

    page = present(replace(NOTHING, nodes=(*silent, drained)), WELL, NOON)

    assert page.nodes[0].name == "zz"
    assert (len(page.nodes), page.nodes_count.hidden) == (50, "11 more are not shown")


def test_failing_collectors_stand_before_those_with_nothing_to_see_and_working_ones_are_left_out():
    statuses = (
        CollectorStatus("n1", "nvml", NOON, NOON, condition="no NVIDIA driver here"),
        CollectorStatus("n1", "host", NOON, NOON),
        CollectorStatus("n2", "disks", NOON, NOON, error="boom"),
    )

    page = present(replace(NOTHING, collectors=statuses), WELL, NOON)

    assert [row.name for row in page.collectors] == ["disks", "nvml"]
    assert Badge("1 collector failing", Tone.BAD) in page.details


def test_question_to_a_person_stands_on_the_page():
    question = Decision("dec-ask-1", "inc-1", 0, None, Mode.AUTO, "A person is asked: was node3 drained?", NOON)

    page = present(replace(NOTHING, asked=(question,)), WELL, NOON)

    assert [(row.question, row.incident) for row in page.asked] == [("A person is asked: was node3 drained?", "inc-1")]
    assert Badge("a person is asked 1 question", Tone.BAD) in page.details
