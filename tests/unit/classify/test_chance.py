"""What also comes when nothing follows says little of a stop, the less the farther it is from it."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.classify import Circumstances, chance, diagnose
from clusterwatch.classify.chance import nats_at_most
from clusterwatch.classify.circumstances import first_to_end
from clusterwatch.correlate import Limits, add_events
from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    Evidence,
    Knowledge,
    Role,
    Severity,
    Signal,
    Topology,
    Trust,
)
from clusterwatch.testing import NOON, event, seconds

FLAP = Signal("link.flap", "a link went down", Severity.WARNING, Role.SUSPECT, {Cause.NETWORK_SWITCH_CABLE: 2.5})
PORT = Signal("port.down", "a port went down", Severity.WARNING, Role.SUSPECT, {Cause.NETWORK_SWITCH_CABLE: 2.0})
HANG = Signal("job.hang", "no step", Severity.ERROR, Role.SYMPTOM, {Cause.UNKNOWN: 2.0, Cause.SOFTWARE_BUG: 0.6})
BUG = Signal(
    "gpu.bug", "an access went wrong", Severity.ERROR, Role.SUSPECT, {Cause.SOFTWARE_BUG: 3, Cause.FAULTY_GPU: 1}
)
KNOWLEDGE = Knowledge([FLAP, PORT, HANG, BUG])
GPU = Component(ComponentKind.GPU, "0000:3b:00", "node001")


def heard(told, knowledge, circumstances, beside=()):
    return chance.heard(nats_at_most(told, knowledge, circumstances, beside), knowledge[told.kind])


def evidence(kind="link.flap", at=0.0, until=None, count=1, component=None):
    last = NOON + seconds(at if until is None else until)
    place = component or Component(ComponentKind.NODE, "node001", "node001")
    return Evidence(kind, place, Severity.WARNING, Trust.NODE, NOON + seconds(at), last, count, (), ())


def known(stops=(0.0,), **a_day):
    rates = {name.replace("_", "."): rate for name, rate in a_day.items()}
    return Circumstances(stops=tuple(NOON + seconds(at) for at in stops), murmurs=rates)


def diagnosis_of(*told, circumstances):
    (incident,) = add_events(
        {}, [event("job.hang", "node001", NOON + seconds(30))], KNOWLEDGE, {}, Topology(), Limits(), NOON
    ).incidents.values()
    return diagnose(replace(incident, evidence=(*told, *incident.evidence)), KNOWLEDGE, circumstances, 1, NOON)


def test_what_never_comes_by_itself_is_heard_in_full():
    assert heard(evidence(), KNOWLEDGE, known()) == 1.0


@pytest.mark.parametrize(("node", "is_chance"), [("node001", False), ("node002", True)], ids=["there", "elsewhere"])
def test_what_comes_all_day_somewhere_is_no_chance_where_the_first_process_ended(node, is_chance):
    flap = evidence(at=-5.0)
    fleet = replace(known(link_flap=100.0), nodes_total=2000)
    ended = [
        evidence("process.exit.sigabrt", at, component=Component(ComponentKind.RANK, rank, name))
        for at, rank, name in ((20.0, "9", "node003"), (10.0, "7", node))
    ]

    nats = nats_at_most(flap, KNOWLEDGE, fleet, ended_on=first_to_end(ended).component.node)

    assert (nats < chance.CERTAIN) is is_chance


def test_while_no_stop_is_known_it_may_be_as_near_as_can_be_and_still_be_chance():
    at_the_stop = heard(evidence(), KNOWLEDGE, known(link_flap=100.0))

    assert heard(evidence(), KNOWLEDGE, known((), link_flap=100.0)) == at_the_stop < 1.0


def test_what_comes_a_hundred_times_a_day_is_heard_near_the_stop_and_not_minutes_away():
    near, away = (heard(evidence(at=at), KNOWLEDGE, known(link_flap=100.0)) for at in (-20.0, -300.0))

    assert 0.5 < near < 1.0
    assert away == 0.0


def test_flap_that_a_job_lived_on_after_for_some_steps_did_not_stop_it():
    before, after = (heard(evidence(at=at), KNOWLEDGE, known(link_flap=100.0)) for at in (-35.0, 35.0))

    assert before == 0.0
    assert after > 0.5


def test_what_comes_once_a_week_is_heard_minutes_away_too():
    assert heard(evidence(at=-300.0), KNOWLEDGE, known(link_flap=1 / 7)) == 1.0


def test_new_cluster_goes_by_what_others_count_until_it_has_counted_its_own():
    common = replace(FLAP, kind="link.common", per_node_day=0.05)
    knowledge = Knowledge([common])
    told = evidence("link.common", at=-300.0)

    new, counted = (replace(known(), uncounted=nodes) for nodes in (2_000.0, 0.0))

    assert heard(told, knowledge, new) == 0.0
    assert heard(told, knowledge, counted) == 1.0


def test_fault_that_stays_is_no_commoner_because_of_the_flap_it_began_with():
    fault = replace(PORT, kind="port.stays", role=Role.FAULT)
    knowledge = Knowledge([FLAP, fault])
    rates = known(link_flap=1_000.0)

    assert heard(evidence("port.stays"), knowledge, rates, [evidence(at=-5.0)]) == 1.0


def test_chance_is_greater_where_there_are_more_stops_to_stand_near():
    one, four = (
        heard(evidence(at=-20.0), KNOWLEDGE, known(stops, link_flap=100.0)) for stops in ((0.0,), (0, 900, 1800, 2700))
    )

    assert four < one


def test_same_part_at_two_stops_is_no_chance():
    twice = evidence(at=-20.0, until=880.0, count=2)

    assert heard(twice, KNOWLEDGE, known((0.0, 900.0), link_flap=100.0)) == 1.0


def test_what_comes_again_and_again_around_the_stop_is_near_it():
    dense = evidence(at=-3_000.0, until=3_000.0, count=600)

    rates = known(link_flap=100.0)

    assert heard(dense, KNOWLEDGE, rates) == heard(evidence(at=-10.0), KNOWLEDGE, rates)


def test_commonest_of_those_that_tell_of_the_same_counts():
    rates = known(link_flap=10.0, port_down=100.0)

    alone = heard(evidence(at=-20.0), KNOWLEDGE, rates)
    beside_port = heard(evidence(at=-20.0), KNOWLEDGE, rates, [evidence("port.down", at=-19.0)])
    beside_later = heard(evidence(at=-20.0), KNOWLEDGE, rates, [evidence("port.down", at=-319.0)])

    assert beside_port < alone == beside_later


@given(st.floats(-3_600, 3_600), st.floats(0.01, 5_000), st.floats(0.01, 5_000))
def test_commoner_is_never_louder(at, rate, other):
    less, more = sorted((rate, other))

    told = evidence(at=at)
    assert heard(told, KNOWLEDGE, known(link_flap=more)) <= heard(told, KNOWLEDGE, known(link_flap=less))


def test_flap_minutes_before_a_hang_leaves_its_cause_unknown():
    diagnosis = diagnosis_of(evidence(at=-300.0), circumstances=known(link_flap=100.0))

    assert diagnosis.cause is Cause.UNKNOWN
    assert diagnosis_of(evidence(at=-300.0), circumstances=known()).cause is Cause.NETWORK_SWITCH_CABLE


def test_one_flap_that_several_sources_tell_is_one_witness():
    rates = known(link_flap=100.0, port_down=100.0)
    alone = diagnosis_of(evidence(at=-20.0), circumstances=rates)
    both = diagnosis_of(evidence(at=-20.0), evidence("port.down", at=-19.0), circumstances=rates)

    assert both.confidence == pytest.approx(alone.confidence, abs=0.06)


def test_what_only_slows_is_a_hint_where_the_job_stood_still_at_once():
    warm = Signal(
        "gpu.warm",
        "a GPU is slowed",
        Severity.WARNING,
        Role.SUSPECT,
        {Cause.GPU_THERMAL: 3.0},
        slows=True,
        harm=("gpu.bug",),
    )
    knowledge = Knowledge([warm, HANG, BUG])
    told, crashed = evidence("gpu.warm", component=GPU), evidence("gpu.bug", component=GPU)

    assert nats_at_most(told, knowledge, known()) == 1.0
    assert heard(told, knowledge, replace(known(), slowed=(NOON,))) == 1.0
    assert nats_at_most(told, knowledge, known(), others=[crashed]) == math.inf


def test_program_mistake_that_picks_the_same_gpu_twice_makes_the_gpu_suspect():
    twice = evidence("gpu.bug", at=-5.0, until=895.0, count=2, component=GPU)
    once, again = (diagnosis_of(twice, circumstances=known(stops)) for stops in ((0.0,), (0.0, 900.0)))

    shares = [{each.cause: each.confidence for each in (*d.alternatives, d)}[Cause.FAULTY_GPU] for d in (once, again)]
    assert shares[1] > shares[0] + 0.1
    assert "told of itself before" in again.explanation


@pytest.mark.parametrize(
    ("steps", "cause"),
    [((100, 90), Cause.FAULTY_GPU), ((100, 100), Cause.SOFTWARE_BUG), ((100, 101), Cause.SOFTWARE_BUG)],
)
def test_rank_that_fails_again_at_another_step_of_the_same_data_sits_on_a_broken_gpu(steps, cause):
    rank = Component(ComponentKind.RANK, "366", "node001")
    twice = evidence("gpu.bug", at=-5.0, until=895.0, count=2, component=rank)
    stopped = known((0.0, 900.0))
    again = replace(stopped, stop_steps=dict(zip(stopped.stops, steps, strict=True)))

    diagnosis = diagnosis_of(twice, circumstances=again)

    assert diagnosis.cause is cause
    assert ("at another step" in diagnosis.explanation) == (cause is Cause.FAULTY_GPU)


def test_gpu_that_tells_of_itself_again_after_the_restart_is_suspect_before_the_job_stops_again():
    twice = [evidence("gpu.bug", at=at, component=GPU) for at in (-5.0, 300.0)]
    stopped = known((0.0,))

    standing, restarted = (
        diagnosis_of(*twice, circumstances=replace(stopped, restarted_at=at)) for at in (None, NOON + seconds(200))
    )

    assert "told of itself before" not in standing.explanation
    assert "told of itself before" in restarted.explanation


def test_what_comes_back_until_the_node_is_left_out_sat_in_the_node():
    twice = evidence("gpu.bug", at=-5.0, until=895.0, count=2, component=GPU)
    circumstances = replace(known((0.0, 900.0)), cured_without=frozenset({"node001"}))

    diagnosis = diagnosis_of(twice, circumstances=circumstances)

    assert diagnosis.cause is Cause.FAULTY_GPU
    assert "It came back until node001 was left out" in diagnosis.explanation


def test_first_strike_alone_does_not_blame_the_node_that_was_left_out():
    circumstances = replace(known((0.0, 900.0)), cured_without=frozenset({"node001"}))

    assert diagnosis_of(evidence("gpu.bug", component=GPU), circumstances=circumstances).cause is Cause.SOFTWARE_BUG


def test_part_that_tells_of_itself_when_the_job_becomes_slow_is_suspect():
    hot = Signal("gpu.hot", "a GPU is hot", Severity.WARNING, Role.SUSPECT, {Cause.GPU_THERMAL: 1.5})
    knowledge = Knowledge([hot, HANG])
    (incident,) = add_events(
        {}, [event("job.hang", "node001", NOON)], knowledge, {}, Topology(), Limits(), NOON
    ).incidents.values()
    told = replace(incident, evidence=(evidence("gpu.hot", at=-320.0, component=GPU), *incident.evidence))

    beside, at_once = (
        diagnose(told, knowledge, Circumstances(stops=(NOON,), slowed=slowed), 1, NOON)
        for slowed in ((), (NOON + seconds(-310),))
    )

    assert at_once.cause is Cause.GPU_THERMAL
    assert at_once.confidence > beside.confidence
    assert "told of themselves when the job became slow" in at_once.explanation


def test_what_may_be_chance_confirms_no_node():
    rates = known(link_flap=50.0)

    assert not diagnosis_of(evidence(at=-5.0), circumstances=rates).node_confirmed
    assert diagnosis_of(evidence(at=-5.0), circumstances=known(link_flap=0.1)).node_confirmed
