from clusterwatch.act.surveyed import events_of_check, events_of_survey
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


def test_node_that_fails_its_check_after_it_was_taken_out_tells_of_what_was_before():
    check = Step("c.1", "d", 1, StepKind.CHECK, "recording", "job-1", {"node": "node001"}, NOON + seconds(600))
    of_restart = Step(
        "c.2", "d", 1, StepKind.CHECK, "recording", "job-1", {"node": "node001", "attempt": 2}, NOON + seconds(600)
    )

    (told,) = events_of_check(check, Outcome("c.1", StepState.FAILED, NOON, "exit code 1: ECC"))

    assert (told.kind, told.node, told.job) == ("node.check_failed.out", "node001", None)
    assert not list(events_of_check(check, Outcome("c.1", StepState.DONE, NOON, "")))
    assert not list(events_of_check(of_restart, Outcome("c.2", StepState.FAILED, NOON, "")))


def test_what_the_check_of_one_node_finds_is_told_in_the_words_of_the_catalogue():
    check = Step("c.1", "d", 1, StepKind.CHECK, "recording", "job-1", {"node": "node001"}, NOON + seconds(600))
    found = "node001 gpu.reset_required gpu 0000:2a:00; node002 gpu.lost gpu 0000:3b:00"

    told = list(events_of_check(check, Outcome("c.1", StepState.FAILED, NOON, "exit code 1", {"found": found})))

    assert [(each.kind, each.component.id) for each in told] == [
        ("node.check_failed.out", "node001"),
        ("gpu.reset_required", "0000:2a:00"),
    ]
    assert len({each.id for each in told}) == 2


def test_what_a_check_finds_tells_for_which_incident_the_node_was_taken_out():
    arguments = {"node": "node001", "incident": "inc-1"}
    check = Step("c.1", "d", 1, StepKind.CHECK, "recording", "job-1", arguments, NOON + seconds(600))

    told = events_of_check(check, Outcome("c.1", StepState.FAILED, NOON, "", {"found": "node001 gpu.lost gpu 0"}))

    assert [each.fields["incident"] for each in told] == ["inc-1", "inc-1"]
