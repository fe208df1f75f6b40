"""The names of the nodes of jobs."""

from clusterwatch.model import Job, JobState
from clusterwatch.model.job import names_in, names_of_jobs
from clusterwatch.testing import NOON


def job_on(*nodes: str) -> Job:
    return Job(",".join(nodes) or "none", "llama", JobState.TRAINING, NOON, NOON, nodes=nodes)


def test_names_of_the_same_list_are_the_same_set():
    nodes = ("node001", "node002")

    assert names_in(nodes) is names_in(nodes)
    assert names_in(nodes) == {"node001", "node002"}


def test_names_of_jobs_are_those_of_all_of_them():
    assert names_of_jobs([job_on("node001", "node002"), job_on("node002", "node003")]) == {
        "node001",
        "node002",
        "node003",
    }


def test_no_job_has_no_nodes():
    assert names_of_jobs([]) == frozenset()
    assert names_of_jobs([job_on()]) == frozenset()
