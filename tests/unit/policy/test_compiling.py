"""TOML to a policy, or all of its mistakes."""

import pytest

from clusterwatch.errors import ConfigError
from clusterwatch.model import Mode
from clusterwatch.policy import FACTS, Action, View, built_in, built_in_texts, compile_policy

ONE_RULE = 'name = "p"\ndescription = "d"\n[[rule]]\nname = "r"\nwhy = "because"\ndo = ["restart"]\n'


def mistakes_in(text, others=None):
    with pytest.raises(ConfigError) as caught:
        compile_policy("p.toml", text, others)
    return {mistake.key: mistake.problem for mistake in caught.value.mistakes}


@pytest.mark.parametrize("name", built_in_texts())
def test_every_built_in_policy_is_in_order_and_named_as_its_file(name):
    policy = built_in(name)

    assert policy.name == name
    assert policy.rules


def test_rules_keep_their_order_and_what_they_need_to_know():
    text = ONE_RULE.replace('do = ["restart"]', 'do = ["exclude", "restart"]\nsuspects = 2\nmode = "approve"')

    (rule,) = compile_policy("p.toml", text).rules

    assert rule.do == (Action.EXCLUDE, Action.RESTART)
    assert (rule.suspects, rule.mode) == (2, Mode.APPROVE)


def test_all_mistakes_are_told_at_once_each_with_its_rule_and_key():
    mistakes = mistakes_in(
        'nam = "p"\n[[rule]]\nname = "first"\nwhy = "w"\ndo = ["restrat"]\nnodes_at_most = 900\n'
        '[rule.when]\ncuase = "nic"\nconfidence = 0.5\nhardware = 1\ngpus_at_least = "many"\njob = "eval"\n'
        'cause = ["faulty"]\n'
    )

    assert mistakes["nam"] == 'unknown key, did you mean "name"?'
    assert mistakes["name"] == "is missing, expected a text"
    assert mistakes["rule first: do"] == "knows no 'restrat', did you mean \"restart\"?"
    assert mistakes["rule first: nodes_at_most"] == "is 900, expected a whole number from 1 to 64"
    assert mistakes["rule first: when.cuase"] == 'unknown fact, did you mean "cause"?'
    assert mistakes["rule first: when.confidence"] == "is a number: write confidence_at_least or confidence_at_most"
    assert mistakes["rule first: when.hardware"] == "is 1, expected true or false"
    assert mistakes["rule first: when.gpus_at_least"] == "is 'many', expected a number"
    assert mistakes["rule first: when.job"] == 'is compared by pattern: write job_like = "PATTERN"'
    assert mistakes["rule first: when.cause"] == "knows no 'faulty', did you mean \"faulty_gpu\"?"


@pytest.mark.parametrize(
    ("actions", "problem"),
    [
        ('["stop", "restart"]', "stop stands alone"),
        ('["exclude"]', "exclude needs restart beside it"),
        ('["restart", "reboot"]', "reboot needs drain beside it: nobody may be on the node"),
        ('["restart", "restart"]', "names an action twice"),
    ],
)
def test_actions_that_contradict_each_other_are_refused(actions, problem):
    assert mistakes_in(ONE_RULE.replace('["restart"]', actions)) == {"rule r: do": problem}


def test_rule_that_is_never_reached_is_a_mistake():
    later = '[[rule]]\nname = "later"\nwhy = "w"\ndo = ["ask"]\n'

    assert mistakes_in(ONE_RULE + later) == {"rule later": 'is never reached: "r" before it always fits'}


def test_policy_without_rules_is_a_mistake():
    assert "rule" in mistakes_in('name = "p"\ndescription = "d"\n')


def test_text_that_is_no_toml_is_told_as_such():
    assert "is not valid TOML" in mistakes_in("[[rule")["p.toml"]


def test_policy_may_take_the_rules_of_a_built_in_one_and_do_less():
    taken = compile_policy(
        "mine", 'name = "mine"\ndescription = "d"\nmode = "suggest"\nrules_of = "other"\n', {"other": ONE_RULE}
    )

    assert taken.mode is Mode.SUGGEST
    assert [rule.name for rule in taken.rules] == ["r"]


def test_rules_of_a_policy_that_is_not_there_are_a_mistake():
    assert mistakes_in('name = "m"\ndescription = "d"\nrules_of = "x"\n', {"other": ONE_RULE}) == {
        "rules_of": "is 'x', expected other"
    }


def test_every_fact_that_rules_can_name_says_what_it_is():
    assert all(vars(View)[fact].func.__doc__ for fact in FACTS)
