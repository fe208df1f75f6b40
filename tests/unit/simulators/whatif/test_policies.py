"""Policies and mixes as data."""

import pytest

from clusterwatch.model import TABLE5_ROW, Cause
from simulators.whatif.causes import Harm, built_in_mix, mix_from_kinds, mix_of
from simulators.whatif.policies import built_in_policies, policies_of

SCRIPTED = '[mine]\ntitle = "mine"\nresponder = "scripted"\ninterval = 600\nperson = 60\n'


def test_policies_to_compare_come_with_the_package():
    assert list(built_in_policies()) == ["nothing", "requeue", "llama3", "clusterwatch", "oracle"]


def test_mix_is_that_of_table_5():
    counts = {each.cause: each.count for each in built_in_mix()}

    assert sum(counts.values()) == 419
    assert all(TABLE5_ROW[cause].count == count for cause, count in counts.items())


def test_figure_for_one_harm_goes_before_that_for_all():
    policy = policies_of(f"{SCRIPTED}[mine.detect]\nall = 5\nhang = 600\n")["mine"]

    assert policy.detects(Harm.HANG).seconds(0.5) == pytest.approx(600)
    assert policy.detects(Harm.SLOW).seconds(0.5) == pytest.approx(5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{SCRIPTED}right = 1.5\n", "policy mine: a chance lies between 0 and 1"),
        (f"{SCRIPTED}[mine.detect]\nhang = 5\n", "policy mine: no latency for crash, slow, corrupt"),
        ('[mine]\ntitle = "mine"\n', "policy mine: 'interval'"),
        (SCRIPTED.replace("scripted", "magic"), "policy mine: 'magic'"),
        (SCRIPTED.replace("600", '"often"'), "policy mine: expected a number"),
    ],
    ids=["chance", "harm", "missing", "responder", "interval"],
)
def test_mistake_names_the_policy(text, told):
    with pytest.raises(ValueError, match=told):
        policies_of(text)


def test_chances_of_what_a_fault_does_add_up():
    with pytest.raises(ValueError, match="nic: the chances"):
        mix_of("[nic]\ncount = 1\npart = true\nstays = 0.5\nharm = { crash = 0.5 }\n")


def test_mix_can_be_taken_from_kinds_of_faults():
    kinds = {
        "fell_off": {"cause": "faulty_gpu", "share": 0.3, "component": "gpu", "harm": "crash", "stays": True},
        "vanished": {"cause": "faulty_gpu", "share": 0.1, "component": "gpu", "harm": "node_down", "stays": True},
        "stuck": {"cause": "faulty_gpu", "share": 0.1, "component": "gpu", "harm": "hang", "stays": False},
        "corrected": {"cause": "faulty_gpu", "share": 0.5, "component": "gpu", "harm": "none", "stays": False},
        "bug": {"cause": "software_bug", "share": 1.0, "component": "job", "harm": "crash", "stays": False},
    }

    gpu, bug = mix_from_kinds(kinds, {Cause.FAULTY_GPU: 148, Cause.SOFTWARE_BUG: 54, Cause.NIC: 7})

    assert gpu.harm == pytest.approx({Harm.CRASH: 0.8, Harm.HANG: 0.2})
    assert gpu.stays == pytest.approx(0.8)
    assert (gpu.has_part, bug.has_part) == (True, False)
