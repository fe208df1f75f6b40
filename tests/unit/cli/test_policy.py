"""`clusterwatch policy`, `approve`, `veto`, `breaker`, `maintenance` and holds, on a real database."""

import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from clusterwatch.cli import app
from clusterwatch.clock import ManualClock, SystemClock
from clusterwatch.metrics import Metrics
from clusterwatch.model import CLUSTER, Component, ComponentKind, Hold, Mode, StepState, kinds
from clusterwatch.server import Responder
from clusterwatch.store import Store
from clusterwatch.testing import event, progress, seconds, training_job
from shipped import shipped_catalog, shipped_limits

NOW = SystemClock().now() - timedelta(minutes=1)
JOB = Component(ComponentKind.JOB, "job-1", "node001")


@pytest.fixture
def database(tmp_path):
    """A database in which a job crashed, and what was decided waits for a person."""
    url = f"sqlite:///{tmp_path / 'test.db'}"
    store = Store.open(url, create=True)
    clock = ManualClock(NOW)
    limits = shipped_limits(modes={"recording": Mode.APPROVE})
    responder = Responder(store, shipped_catalog().knowledge, limits, clock, Metrics(), "a")
    events = [
        *training_job(at=NOW, actuator="recording"),
        progress("job-1", 1, 1, NOW + seconds(10)),
        event(kinds.ATTEMPT_ENDED, JOB, NOW + seconds(15), job="job-1", attempt=1, exit_code=1),
    ]
    store.record("node001", "test", events, {}, None, NOW)
    for after in (20, 3, 3):
        clock.advance(after)
        responder.turn()
    responder.stop()
    store.close()
    return url


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def answer(*arguments):
    done = run(*arguments, "-o", "json")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def the_decision(database):
    store = Store.open(database)
    (made,) = store.read.decisions()
    store.close()
    return made


def test_policy_with_mistakes_is_answered_with_all_of_them_and_exit_code_10(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text('name = "site"\n[[rule]]\nname = "r"\nwhy = "w"\ndo = ["restrat"]\n')

    done = run("policy", "check", file)

    assert done.exit_code == 10
    assert "description: is missing" in done.stderr
    assert 'did you mean "restart"?' in done.stderr


def test_policy_that_is_in_order_is_said_to_be():
    assert answer("policy", "check", "default") == {"policy": "default", "rules": 18, "mistakes": []}


def test_built_in_policies_are_listed():
    assert [each["name"] for each in answer("policy", "list")] == ["cautious", "default", "observe", "requeue"]


def test_decision_is_explained_by_its_rule_and_what_else_was_considered(database):
    made = the_decision(database)

    explained = answer("policy", "explain", made.incident_id, "--database", database, "--policy", "requeue")

    (decision,) = explained["decisions"]
    assert (decision["policy"], decision["rule"]) == ("default", "anything-else")
    assert decision["considered"]
    assert decision["instead"]["rule"] == "requeue"
    assert decision["differs"] is False


def test_backtest_goes_up_to_the_first_decision_that_differs(database, tmp_path):
    file = tmp_path / "site.toml"
    file.write_text('name = "site"\ndescription = "d"\n[[rule]]\nname = "r"\nwhy = "w"\ndo = ["ask"]\n')

    same = answer("policy", "backtest", "requeue", "--database", database)
    other = answer("policy", "backtest", file, "--database", database)

    assert (same["decisions"], same["alike"], same["diverged_at"]) == (1, 1, None)
    assert other["instead"]["rule"] == "r"
    assert other["diverged_at"] is not None


def test_backtest_on_a_trace_says_what_was_saved_and_broken():
    told = answer("policy", "backtest", "cautious", "--trace", "tiny")
    page = run("policy", "backtest", "cautious", "--trace", "tiny", "--against", "nothing")

    assert (told["policy"], told["against"], told["trace"]) == ("cautious", "default", "tiny")
    assert told["saved_gpu_hours"] == pytest.approx(-told["difference"]["lost_gpu_hours"])
    assert told["broken_brakes"] == []
    assert page.exit_code == 0
    assert [title in page.stdout for title in ("WHAT IT SAVES", "WHAT IT BREAKS", "WHAT IT DOES")] == [True] * 3


def test_backtest_against_another_policy_needs_a_trace():
    done = run("policy", "backtest", "cautious", "--against", "requeue")

    assert done.exit_code == 2
    assert "--trace" in done.stderr


def test_person_has_a_node_drained_with_name_and_reason(database):
    told = answer("nodes", "drain", "node001", "--why", "new firmware", "--by", "ada", "--database", database)

    store = Store.open(database)
    made = store.read.decision(told["id"])
    assert (made.mode, made.rule, made.reason) == (
        Mode.AUTO,
        "asked by a person",
        "ada asked for node001 to be drained: new firmware.",
    )
    assert [(step.kind, step.state, step.target) for step in made.steps] == [("drain", StepState.RECORDED, "job-1")]
    assert made.steps[0] in store.steps_to_perform({"recording": None})
    assert told["brakes"] == []
    store.close()
    again = run("nodes", "drain", "node001", "--why", "again", "--database", database)
    assert again.exit_code == 1
    assert run("incidents", "show", made.incident_id, "--database", database).exit_code == 0


def test_brakes_are_shown_to_a_person_who_may_override_them(database):
    run("nodes", "hold", "node001", "--why", "mine", "--database", database)
    asked = ("nodes", "drain", "node001", "--why", "it smells", "--by", "ada", "--database", database)

    refused, done = run(*asked), answer(*asked, "--override")

    assert refused.exit_code == 1
    assert "it is held (mine)" in refused.stderr + str(refused.exception)
    assert done["brakes"] == ["it is held (mine)"]
    assert "Although it is held (mine)." in done["reason"]


@pytest.mark.parametrize(
    ("asked", "because"),
    [
        (("drain", "node999"), "no node is called node999"),
        (("return", "node999"), "no node is called node999"),
        (("return", "node001"), "node001 is not out of service"),
    ],
)
def test_what_cannot_be_asked_of_a_node_is_said(database, asked, because):
    done = run("nodes", *asked, "--why", "because", "--database", database)

    assert done.exit_code == 1
    assert because in done.stderr + str(done.exception)


def test_approved_decision_may_be_carried_out(database):
    made = the_decision(database)

    told = answer("approve", made.id, "--why", "looks right", "--by", "ada", "--database", database)

    store = Store.open(database)
    assert told["verdict"] == "approved"
    assert [step.id for step in store.steps_to_perform({"recording": None})] == [made.steps[0].id]
    store.close()


def test_vetoed_decision_is_cancelled_and_the_responder_hears_of_it(database):
    made = the_decision(database)

    told = answer("veto", made.id, "--why", "not now", "--by", "ada", "--database", database)

    store = Store.open(database)
    assert told["cancelled"] == [step.kind.value for step in made.steps]
    assert {step.state for step in store.read.decision(made.id).steps} == {StepState.CANCELLED}
    assert len(store.read.events(kind=kinds.STEP_CHANGED)) == len(made.steps)
    store.close()
    assert run("veto", made.id, "--why", "again", "--database", database).exit_code == 1


def test_breaker_says_why_it_is_open_and_is_reset(database):
    store = Store.open(database)
    store.hold(Hold(CLUSTER, "too much at once", "clusterwatch", NOW), NOW)

    while_open = run("breaker", "status", "--database", database)
    answer("breaker", "reset", "--by", "ada", "--database", database)
    store.close()

    assert while_open.exit_code == 10
    assert "too much at once" in while_open.stderr
    assert answer("breaker", "status", "--database", database)["open"] is False
    assert run("breaker", "reset", "--database", database).exit_code == 1


def test_announced_work_is_listed_until_it_ends(database):
    window = answer("maintenance", "start", "node001", "node002", "--why", "firmware", "--database", database)
    listed = answer("maintenance", "list", "--database", database)

    answer("maintenance", "end", window["id"], "--database", database)

    assert [each["nodes"] for each in listed] == [["node001", "node002"]]
    assert answer("maintenance", "list", "--database", database) == []


@pytest.mark.parametrize(
    ("noun", "name", "subject"), [("jobs", "llama", "job:job-1"), ("nodes", "node001", "node:node001")]
)
def test_what_is_held_is_left_alone_until_it_is_released(database, noun, name, subject):
    held = answer(noun, "hold", name, "--why", "vendor", "--database", database)
    released = answer(noun, "release", name, "--by", "ada", "--database", database)

    assert (held["subject"], held["lifted_at"]) == (subject, None)
    assert released["lifted_by"] == "ada"
    assert run(noun, "release", name, "--database", database).exit_code == 1
