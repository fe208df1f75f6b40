from clusterwatch.act.surveyed import events_of_survey
from clusterwatch.model import Outcome, Step, StepKind, StepState
from clusterwatch.testing import NOON, seconds


def test_what_a_survey_finds_is_told_node_by_node():
    found = "node001 scan.wrong_answer gpu 0000:2a:00; node003 node.check_failed.no_answer; node009 gpu.lost"
    facts = {"failed": "node001,node002,node003", "found": found}
    survey = Step("s.1", "d", 1, StepKind.SURVEY, "recording", "job-1", {}, NOON + seconds(600))

    told = list(events_of_survey(survey, Outcome("s.1", StepState.FAILED, NOON, "", facts)))

    assert [(each.kind, each.node, each.component.kind.value) for each in told] == [
        ("node.check_failed", "node001", "node"),
        ("node.check_failed", "node002", "node"),
        ("scan.wrong_answer", "node001", "gpu"),
        ("node.check_failed.no_answer", "node003", "node"),
    ]
    assert len({each.id for each in told}) == len(told)
    assert {each.job for each in told} == {"job-1"}


def test_other_steps_find_nothing():
    drain = Step("s.2", "d", 2, StepKind.DRAIN, "recording", "job-1", {}, NOON + seconds(600))

    assert not list(events_of_survey(drain, Outcome("s.2", StepState.FAILED, NOON, "", {"failed": "node001"})))
