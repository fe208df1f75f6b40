import re

from clusterwatch.clock import SystemClock
from clusterwatch.detect.rules import Rule
from clusterwatch.detect.sightings import component_of
from clusterwatch.model import Component, ComponentKind, Reading, node_component

NODE_FAILED = Rule("failed", "slurm.node_failure", ("failed",), re.compile("failed"), component_kind=ComponentKind.NODE)


def line(node: str) -> Reading:
    now = SystemClock().now()
    return Reading(source="job_log", node=node, position="1", observed_at=now, job="slurm-7")


def test_line_about_a_node_that_it_does_not_name_is_about_the_one_that_wrote_it():
    assert component_of(NODE_FAILED, {}, line("node001"), None) == node_component("node001")
    assert component_of(NODE_FAILED, {"node": "node002"}, line(""), None) == node_component("node002")


def test_line_of_nobody_knows_which_node_is_about_the_job():
    assert component_of(NODE_FAILED, {}, line(""), None) == Component(ComponentKind.JOB, "slurm-7")
    assert component_of(NODE_FAILED, {}, line(""), 3) == Component(ComponentKind.RANK, "3")
