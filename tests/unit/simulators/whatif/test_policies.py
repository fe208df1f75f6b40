"""Policies and mixes as data."""

from collections import Counter
from dataclasses import replace

import pytest

from clusterwatch.model import TABLE5_ROW, Cause
from simulators.fleet_wording import fault_kinds
from simulators.whatif.causes import Harm, built_in_mix, mix_of
from simulators.whatif.policies import built_in_policies, policies_of

SCRIPTED = '[mine]\ntitle = "mine"\nresponder = "scripted"\ninterval = 600\nperson = 60\n'


def test_policies_to_compare_come_with_the_package():
    assert list(built_in_policies()) == ["nothing", "requeue", "llama3", "clusterwatch", "oracle"]


def test_mix_is_that_of_table_5():
    counts = Counter()
    for each in built_in_mix():
        counts[TABLE5_ROW[each.cause]] += each.count

    assert sum(counts.values()) == pytest.approx(419)
    assert all(row.count == pytest.approx(count) for row, count in counts.items())


def test_figure_for_one_harm_goes_before_that_for_all():
    policy = policies_of(f"{SCRIPTED}[mine.detect]\nall = 5\nhang = 600\n")["mine"]

    assert policy.detects(Harm.HANG).seconds(0.5) == pytest.approx(600)
    assert policy.detects(Harm.SLOW).seconds(0.5) == pytest.approx(5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{SCRIPTED}right = 1.5\n", "policy mine: a chance lies between 0 and 1"),
        (f"{SCRIPTED}[mine.detect]\nhang = 5\n", "policy mine: no latency for crash, slow, corrupt"),
        ('[mine]\ntitle = "mine"\n', "policy mine: 'interval' is missing"),
        (SCRIPTED.replace("scripted", "magic"), "policy mine: 'magic'"),
        (SCRIPTED.replace("600", '"often"'), "policy mine: expected a number"),
        (f"{SCRIPTED}exludes = false\n", "policy mine: exludes: unknown, expected some of decide, "),
        (f'{SCRIPTED}excludes = "no"\n', "policy mine: expected true or false, not 'no'"),
        (f"{SCRIPTED}[mine.detect]\nall = 5\nhangs = 600\n", "policy mine: hangs: unknown, expected some of all, "),
        (f"{SCRIPTED}right = {{all = 1.0, faulty_gp = 0.5}}\n", "policy mine: faulty_gp: unknown"),
        (f"{SCRIPTED}right = 0.8\nwrong = 0.3\n", "policy mine: all: the chances .* add up to 1.1"),
        ("mine = 7\n", "policy mine: expected a table, not 7"),
    ],
    ids=[
        *("chance", "harm", "missing", "responder", "interval", "key", "truth", "harms", "cause", "chances", "table"),
    ],
)
def test_mistake_names_the_policy(text, told):
    with pytest.raises(ValueError, match=told):
        policies_of(text)


def test_behaviour_of_a_cause_is_that_of_its_kinds_of_fault():
    kinds = [
        kind("hang_of_a_gpu", "gpu_stalled_kernel", share=0.1, stays=False),
        kind("crash_of_a_gpu", "gpu_fell_off_bus", share=0.3),
        kind("loss_of_a_node", "gpu_fell_off_bus", share=0.1, harm=fault_kinds()["machine_check"].harm),
        kind("announced", "gpu_fell_off_bus", share=0.5, harm=fault_kinds()["announced_window"].harm),
        fault_kinds()["python_exception"],
    ]

    gpu, bug = mix_of(kinds, {Cause.FAULTY_GPU: 148, Cause.SOFTWARE_BUG: 54, Cause.NIC: 7})

    assert gpu.harm == pytest.approx({Harm.CRASH: 0.8, Harm.HANG: 0.2})
    assert gpu.stays == pytest.approx({Harm.CRASH: 1.0, Harm.HANG: 0.0})
    assert (gpu.has_part, bug.has_part) == (True, False)


def kind(name, like, **differing):
    """Return a kind of fault like another one but for what is *differing*."""
    return replace(fault_kinds()[like], name=name, **differing)
