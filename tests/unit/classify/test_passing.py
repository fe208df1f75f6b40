"""A link that is up again before its connections broke stopped nobody."""

from clusterwatch.classify import Circumstances, diagnose
from clusterwatch.correlate import Limits, add_events
from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    Job,
    JobState,
    Knowledge,
    Placement,
    Role,
    Severity,
    Signal,
    Topology,
    Trust,
)
from clusterwatch.testing import NOON, event, seconds

DOWN = Signal(
    "link.down",
    "a link went down",
    Severity.WARNING,
    Role.SUSPECT,
    {Cause.NETWORK_SWITCH_CABLE: 2.5},
    over_by=("link.up",),
    borne=seconds(7.5),
    harm=("connection.broken",),
)
UP = Signal("link.up", "a link came up", Severity.INFO, Role.CONTEXT)
HEARD = Signal(
    "library.heard",
    "a library heard of a port",
    Severity.WARNING,
    Role.SUSPECT,
    {Cause.NETWORK_SWITCH_CABLE: 2.4},
    harm=("connection.broken",),
)
COUNTED = Signal(
    "port.flapped",
    "a counter saw a link come back",
    Severity.WARNING,
    Role.SUSPECT,
    {Cause.NETWORK_SWITCH_CABLE: 2.5},
    over_by=("port.flapped",),
    borne=seconds(7.5),
    harm=("connection.broken",),
)
BROKEN = Signal("connection.broken", "a connection broke", Severity.ERROR, Role.SYMPTOM, {Cause.UNKNOWN: 0.5})
HANG = Signal("job.hang", "no step", Severity.ERROR, Role.SYMPTOM, {Cause.UNKNOWN: 2.0})
KNOWLEDGE = Knowledge([DOWN, UP, HEARD, COUNTED, BROKEN, HANG])

LINK, OTHER_LINK = (Component(ComponentKind.NIC, "eth0", node) for node in ("node001", "node002"))
JOBS = {"job-1": Job("job-1", "llama", JobState.TRAINING, NOON, NOON, nodes=("node001", "node002", "node003"))}


def at(kind, after, component=LINK, **more):
    return event(kind, component, NOON + seconds(after), **more)


def diagnosis_of(*told, **known):
    stop = event("job.hang", Component(ComponentKind.JOB, "job-1"), NOON + seconds(30), job="job-1")
    (incident,) = add_events({}, [*told, stop], KNOWLEDGE, JOBS, Topology(), Limits(), NOON).incidents.values()
    return diagnose(incident, KNOWLEDGE, Circumstances(stops=(NOON,), **known), 1, NOON)


def test_link_that_stays_down_stopped_the_job():
    assert diagnosis_of(at("link.down", 0)).cause is Cause.NETWORK_SWITCH_CABLE


def test_link_that_came_back_within_the_time_of_retries_stopped_nobody():
    diagnosis = diagnosis_of(at("link.down", 0), at("link.up", 1.4))

    assert diagnosis.cause is Cause.UNKNOWN
    assert diagnosis.suspects == ()


def test_link_that_came_back_later_than_connections_try_may_have_stopped_it():
    assert diagnosis_of(at("link.down", 0), at("link.up", 20)).cause is Cause.NETWORK_SWITCH_CABLE


def test_another_link_that_came_back_says_nothing_of_this_one():
    assert diagnosis_of(at("link.down", 0), at("link.up", 1, OTHER_LINK)).cause is Cause.NETWORK_SWITCH_CABLE


def test_link_that_goes_down_again_is_not_over():
    flapping = (at("link.down", 0), at("link.up", 2), at("link.down", 6), at("link.up", 9), at("link.down", 13))

    assert diagnosis_of(*flapping).cause is Cause.NETWORK_SWITCH_CABLE


def test_what_a_library_heard_of_a_link_that_came_back_says_as_little():
    heard = at("library.heard", 0.2, Component(ComponentKind.NIC, "mlx5_0", "node001"), job="job-1", trust=Trust.USER)

    assert diagnosis_of(heard).cause is Cause.NETWORK_SWITCH_CABLE
    assert diagnosis_of(at("link.down", 0), heard, at("link.up", 1.4)).cause is Cause.UNKNOWN


def test_link_that_came_back_after_a_connection_over_it_broke_did_harm():
    broken = at("connection.broken", 3, Component(ComponentKind.NODE, "node001", "node001"), job="job-1")

    assert diagnosis_of(at("link.down", 0), at("link.up", 1.4), broken).cause is Cause.NETWORK_SWITCH_CABLE


def test_rank_that_lost_its_peer_tells_of_the_harm_on_its_own_node_too():
    peer = Component(ComponentKind.NODE, "node003", "node003")
    broken = at("connection.broken", 3, peer, job="job-1", trust=Trust.USER, rank=8)
    flaps = {link.node: (at("link.down", 0, link), at("link.up", 1.4, link)) for link in (LINK, OTHER_LINK)}

    own, elsewhere = (
        diagnosis_of(*flap, broken, placements=(Placement("job-1", 1, 8, "node001"),)) for flap in flaps.values()
    )

    assert own.cause is Cause.NETWORK_SWITCH_CABLE
    assert elsewhere.cause is Cause.UNKNOWN


def test_counter_that_saw_a_link_come_back_once_says_nothing_and_time_and_again_does():
    assert diagnosis_of(at("port.flapped", 5)).cause is Cause.UNKNOWN
    assert diagnosis_of(at("port.flapped", 5), at("port.flapped", 25)).cause is Cause.NETWORK_SWITCH_CABLE


def test_silence_about_a_link_that_went_down_confirms_no_node_where_links_flap_all_day():
    assert not diagnosis_of(at("link.down", 0), murmurs={"link.down": 100.0}).node_confirmed
    assert diagnosis_of(at("link.down", 0)).node_confirmed
