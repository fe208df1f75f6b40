"""Incident to diagnosis."""

import pytest

from clusterwatch.classify import Circumstances, diagnose
from clusterwatch.correlate import Limits, add_events
from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    Expectation,
    Knowledge,
    Placement,
    Role,
    Severity,
    Signal,
    Topology,
    Trust,
)
from clusterwatch.testing import NOON, event, seconds

KILLED = Signal(
    "rank.killed",
    "a rank was killed",
    Severity.ERROR,
    Role.SUSPECT,
    {Cause.UNKNOWN: 2.0, Cause.OOM_HOST: 1.2, Cause.PREEMPTION_OR_OPERATOR: 1.0},
    expects=(Expectation("kernel.oom", "kernel_log", "no OOM kill in the kernel log", {Cause.OOM_HOST: -0.6}),),
)
KNOWLEDGE = Knowledge(
    [
        KILLED,
        Signal("kernel.oom", "the kernel killed a process", Severity.ERROR, Role.FAULT, {Cause.OOM_HOST: 4.0}),
        Signal(
            "gpu.lost",
            "the GPU is lost",
            Severity.FATAL,
            Role.FAULT,
            {Cause.FAULTY_GPU: 4.0, Cause.IO_EXPANSION_BOARD: 1.5},
            action="Reboot the node.",
        ),
        Signal("exception", "the program raised", Severity.ERROR, Role.SUSPECT, {Cause.SOFTWARE_BUG: 3.0}),
        Signal(
            "ecc.somewhere",
            "a memory of the GPU failed",
            Severity.ERROR,
            Role.FAULT,
            {Cause.FAULTY_GPU: 3.4, Cause.GPU_HBM: 3.2, Cause.GPU_SRAM: 2.0},
            unless=("ecc.counted",),
        ),
        Signal("ecc.counted.sram", "counted in SRAM", Severity.ERROR, Role.FAULT, {Cause.GPU_SRAM: 4.0}),
        Signal("ecc.counted.hbm", "counted in HBM", Severity.WARNING, Role.SUSPECT, {Cause.GPU_HBM: 3.0}),
        Signal(
            "hang",
            "no step any more",
            Severity.ERROR,
            Role.SYMPTOM,
            {Cause.UNKNOWN: 2.0, Cause.NETWORK_SWITCH_CABLE: 0.4},
        ),
        Signal("port.gone", "a port is down", Severity.ERROR, Role.FAULT, {Cause.NETWORK_SWITCH_CABLE: 3.2}),
        Signal("exit", "a process ended", Severity.ERROR, Role.SYMPTOM, {Cause.UNKNOWN: 0.3}),
        Signal(
            "connection.lost",
            "no answer from the other side",
            Severity.ERROR,
            Role.SUSPECT,
            {Cause.NETWORK_SWITCH_CABLE: 3.2},
            after=("exit",),
        ),
        Signal(
            "store.lost",
            "the store of the job is gone",
            Severity.ERROR,
            Role.SUSPECT,
            {Cause.DEPENDENCY: 2.0},
            after_anywhere=("exit",),
            explains=("own.error",),
        ),
        Signal("own.error", "a rank ended of itself", Severity.ERROR, Role.SUSPECT, {Cause.SOFTWARE_BUG: 1.6}),
        Signal("peer.lost", "a peer is gone", Severity.ERROR, Role.SUSPECT, {Cause.FAULTY_GPU: 1.0}),
        Signal("peer.closed", "a peer closed", Severity.ERROR, Role.SYMPTOM, {Cause.NETWORK_SWITCH_CABLE: 1.0}),
    ]
)
GPU = Component(ComponentKind.GPU, "0000:3b:00", "node001")
RANK2 = Component(ComponentKind.RANK, "2", "node001")
WATCHED = frozenset({"kernel_log", "job_log"})


def diagnosis_of(*events, watched=WATCHED, placements=(), outlived_at=None, **circumstances):
    (incident,) = add_events({}, events, KNOWLEDGE, {}, Topology(), Limits(), NOON).incidents.values()
    known = Circumstances(watched=watched, placements=tuple(placements), outlived_at=outlived_at, **circumstances)
    return diagnose(incident, KNOWLEDGE, known, 1, NOON)


def test_fault_explains_the_symptoms_around_it():
    symptoms = [event("peer.closed", "node001", NOON + seconds(after)) for after in range(30)]

    diagnosis = diagnosis_of(event("gpu.lost", GPU), *symptoms)

    assert diagnosis.cause is Cause.FAULTY_GPU
    assert diagnosis.suspects[0].component == GPU
    assert "30 other signals" in diagnosis.explanation
    assert diagnosis.advice == "Reboot the node."


def test_kill_without_an_oom_line_stays_unknown_and_says_what_is_absent():
    diagnosis = diagnosis_of(event("rank.killed", RANK2, job="job-1"))

    assert diagnosis.cause is Cause.UNKNOWN
    assert [each.cause for each in diagnosis.alternatives] == [Cause.PREEMPTION_OR_OPERATOR, Cause.OOM_HOST]
    assert diagnosis.absent == ("no OOM kill in the kernel log",)
    assert diagnosis.suspects[0].rank == 2


def test_kill_with_an_oom_line_is_the_hosts_memory():
    diagnosis = diagnosis_of(event("rank.killed", RANK2, job="job-1"), event("kernel.oom", "node001"))

    assert diagnosis.cause is Cause.OOM_HOST
    assert diagnosis.absent == ()


def test_nothing_is_called_absent_where_nobody_watched():
    diagnosis = diagnosis_of(event("rank.killed", RANK2, job="job-1"), watched=frozenset())

    assert diagnosis.absent == ()
    assert Cause.OOM_HOST in [each.cause for each in diagnosis.alternatives]


def test_suspect_rank_is_named_with_its_node_and_gpu():
    placed = Placement("job-1", 1, 2, "node007", gpu="5")

    diagnosis = diagnosis_of(event("rank.killed", RANK2, job="job-1"), placements=[placed])

    assert (diagnosis.suspects[0].component.node, diagnosis.suspects[0].gpu) == ("node007", "5")


def test_rank_that_says_what_all_say_is_less_suspect_than_the_link_that_went_down():
    nic = Component(ComponentKind.NIC, "mlx5_1", "node001")
    victims = [
        event("peer.closed", Component(ComponentKind.RANK, str(rank), f"node{rank:03}"), rank=rank, job="job-1")
        for rank in range(2, 9)
    ]
    knowledge = Knowledge(
        [
            Signal(
                "ecc.somewhere",
                "a memory of the GPU failed",
                Severity.ERROR,
                Role.FAULT,
                {Cause.FAULTY_GPU: 3.4, Cause.GPU_HBM: 3.2, Cause.GPU_SRAM: 2.0},
                unless=("ecc.counted",),
            ),
            Signal("ecc.counted.sram", "counted in SRAM", Severity.ERROR, Role.FAULT, {Cause.GPU_SRAM: 4.0}),
            Signal("ecc.counted.hbm", "counted in HBM", Severity.WARNING, Role.SUSPECT, {Cause.GPU_HBM: 3.0}),
            Signal("exit", "a process ended", Severity.ERROR, Role.SYMPTOM, {Cause.UNKNOWN: 0.3}),
            Signal(
                "connection.lost",
                "no answer from the other side",
                Severity.ERROR,
                Role.SUSPECT,
                {Cause.NETWORK_SWITCH_CABLE: 3.2},
                after=("exit",),
            ),
            Signal("peer.closed", "closed", Severity.ERROR, Role.SYMPTOM, {Cause.NETWORK_SWITCH_CABLE: 1.5}),
            Signal("link.down", "down", Severity.ERROR, Role.SUSPECT, {Cause.NETWORK_SWITCH_CABLE: 1.0}),
        ]
    )
    events = [*victims, event("link.down", nic, job="job-1")]
    (incident,) = add_events({}, events, knowledge, {}, Topology(), Limits(), NOON).incidents.values()

    diagnosis = diagnose(incident, knowledge, Circumstances(watched=WATCHED), 1, NOON)

    assert diagnosis.suspects[0].component == nic


def test_exception_that_the_job_lived_on_after_does_not_take_the_blame_for_a_later_kill():
    handled = event("exception", RANK2, NOON, job="job-1")
    killed = event("rank.killed", RANK2, NOON + seconds(250), job="job-1")

    diagnosis = diagnosis_of(handled, killed, outlived_at=NOON + seconds(248))

    assert diagnosis.cause is Cause.UNKNOWN
    assert diagnosis.suspects[0].rank == 2


def test_storm_of_one_message_is_one_witness():
    once = diagnosis_of(event("peer.closed", "node001"))
    often = diagnosis_of(*[event("peer.closed", "node001", NOON + seconds(after / 1000)) for after in range(800)])

    assert once.confidence == often.confidence


def test_users_word_alone_is_not_confirmed_by_the_node():
    assert not diagnosis_of(event("gpu.lost", GPU, trust=Trust.USER)).node_confirmed
    assert diagnosis_of(event("gpu.lost", GPU)).node_confirmed


def test_what_another_node_tells_of_itself_does_not_confirm_the_suspect():
    accused = event("gpu.lost", GPU, trust=Trust.USER, job="job-1")
    elsewhere = event("peer.lost", "node002", NOON + seconds(1), job="job-1")

    diagnosis = diagnosis_of(accused, elsewhere)

    assert diagnosis.suspects[0].component == GPU
    assert not diagnosis.node_confirmed


def test_links_of_one_node_that_go_together_share_a_switch_and_confirm_no_node():
    links = [Component(ComponentKind.NIC, name, "node001") for name in ("0000:18:00.0", "0000:db:00.0")]

    one, both = (
        diagnosis_of(*(event("port.gone", link, NOON + seconds(at)) for at, link in enumerate(links[:total])))
        for total in (1, 2)
    )

    assert one.cause is both.cause is Cause.NETWORK_SWITCH_CABLE
    assert (one.node_confirmed, both.node_confirmed) == (True, False)


def test_silence_of_the_job_confirms_no_node():
    accused = event("connection.lost", "node001", trust=Trust.USER, job="job-1")
    silence = event("hang", Component(ComponentKind.JOB, "job-1"), NOON + seconds(20), job="job-1")

    diagnosis = diagnosis_of(accused, silence)

    assert diagnosis.suspects[0].component.node == "node001"
    assert not diagnosis.node_confirmed


def test_exception_leaves_room_for_doubt():
    diagnosis = diagnosis_of(event("exception", "node001"))

    assert diagnosis.cause is Cause.SOFTWARE_BUG
    assert 0.8 < diagnosis.confidence < 0.99


def test_probabilities_add_up_to_at_most_one():
    diagnosis = diagnosis_of(event("gpu.lost", GPU), event("exception", "node001"))

    assert diagnosis.confidence + sum(each.confidence for each in diagnosis.alternatives) == pytest.approx(1, abs=0.1)


def test_of_parts_that_are_blamed_alike_the_one_that_spoke_first_is_suspected_first():
    other = Component(ComponentKind.GPU, "0000:0a:00", "node001")

    diagnosis = diagnosis_of(event("gpu.lost", GPU), event("gpu.lost", other, NOON + seconds(1)))

    assert [suspect.component for suspect in diagnosis.suspects] == [GPU, other]


def test_disk_is_suspected_by_the_name_that_it_is_pulled_by_before_its_port():
    port = Component(ComponentKind.DISK, "ata2", "node001")
    disk = Component(ComponentKind.DISK, "sdb", "node001")

    diagnosis = diagnosis_of(event("gpu.lost", port), event("gpu.lost", disk, NOON + seconds(1)))

    assert [suspect.component for suspect in diagnosis.suspects] == [disk, port]


def test_what_leaves_the_place_open_speaks_for_the_place_that_is_told_later():
    diagnosis = diagnosis_of(event("ecc.somewhere", GPU), event("ecc.counted.hbm", GPU, NOON + seconds(9)))

    assert diagnosis.cause is Cause.GPU_HBM
    assert diagnosis.confidence > 0.9


def test_place_that_another_node_tells_is_not_taken_over():
    elsewhere = Component(ComponentKind.GPU, "0000:3b:00", "node002")

    diagnosis = diagnosis_of(
        event("ecc.somewhere", GPU, job="j1"), event("ecc.counted.hbm", elsewhere, NOON + seconds(9), job="j1")
    )

    assert diagnosis.confidence < 0.6


def test_place_stays_open_where_two_witnesses_disagree_about_it():
    told = [event("ecc.counted.hbm", GPU, NOON + seconds(9)), event("ecc.counted.sram", GPU, NOON + seconds(9))]

    weighed = diagnosis_of(event("ecc.somewhere", GPU), *told)

    assert {each.cause for each in weighed.alternatives} | {weighed.cause} >= {Cause.FAULTY_GPU, Cause.GPU_SRAM}


def test_connection_that_breaks_after_its_process_ended_is_no_fault_of_the_network():
    ended = event("exit", RANK2)

    diagnosis = diagnosis_of(ended, event("connection.lost", "node001", NOON + seconds(5)), event("exception", RANK2))

    assert diagnosis.cause is Cause.SOFTWARE_BUG


def test_connection_that_breaks_before_a_process_ends_is_suspect_itself():
    diagnosis = diagnosis_of(event("connection.lost", "node001"), event("exit", RANK2, NOON + seconds(5)))

    assert diagnosis.cause is Cause.NETWORK_SWITCH_CABLE


def test_connection_that_breaks_after_its_process_ended_says_little_by_itself():
    ended, broken = event("exit", RANK2), event("connection.lost", "node001", NOON + seconds(5))

    assert diagnosis_of(ended, broken, event("hang", RANK2, NOON + seconds(9))).cause is Cause.UNKNOWN


def test_service_that_a_job_shares_is_to_blame_where_it_went_before_any_process():
    ended = [event("own.error", RANK2, NOON + seconds(4)), event("exit", "node001", NOON + seconds(4))]

    diagnosis = diagnosis_of(event("store.lost", RANK2), *ended)

    assert diagnosis.cause is Cause.DEPENDENCY


def test_service_that_a_job_shares_goes_with_the_process_that_held_it_on_any_node():
    ended = [event("own.error", "node007", job="llm"), event("exit", "node007", job="llm")]

    diagnosis = diagnosis_of(event("store.lost", RANK2, NOON + seconds(4), job="llm"), *ended)

    assert diagnosis.cause is Cause.SOFTWARE_BUG


def test_place_stays_open_where_several_parts_are_struck_alike():
    neighbour = Component(ComponentKind.GPU, "0000:5e:00", "node001")
    told = [event("ecc.counted.hbm", gpu, NOON + seconds(9)) for gpu in (GPU, neighbour)]

    diagnosis = diagnosis_of(event("ecc.somewhere", GPU), *told)

    assert diagnosis.confidence < 0.6


def test_peer_that_ranks_name_is_suspected_and_not_the_rank_that_names_it():
    signal = Signal("peer.silent", "silent", Severity.ERROR, Role.SUSPECT, {Cause.NETWORK_SWITCH_CABLE: 3.0})
    knowledge = Knowledge([signal])
    named = event("peer.silent", "node009", rank=2, job="job-1")
    (incident,) = add_events({}, [named], knowledge, {}, Topology(), Limits(), NOON).incidents.values()
    known = Circumstances(placements=(Placement("job-1", 1, 2, "node001"),))

    diagnosis = diagnose(incident, knowledge, known, 1, NOON)

    assert diagnosis.suspects[0].component == Component(ComponentKind.NODE, "node009", "node009")
    assert diagnosis.suspects[0].rank is None


@pytest.mark.parametrize(("ran_on", "suspect"), [("node009", ComponentKind.RANK), ("node001", ComponentKind.NODE)])
def test_number_of_a_process_on_a_node_where_no_such_rank_ran_is_no_rank(ran_on, suspect):
    signal = Signal("task.killed", "killed", Severity.ERROR, Role.FAULT, {Cause.OOM_HOST: 3.0})
    task = Component(ComponentKind.RANK, "2", "node009")
    killed = event("task.killed", task, job="job-1", trust=Trust.USER, node="node009")
    (incident,) = add_events({}, [killed], Knowledge([signal]), {}, Topology(), Limits(), NOON).incidents.values()
    known = Circumstances(placements=(Placement("job-1", 1, 2, ran_on),))

    found = diagnose(incident, Knowledge([signal]), known, 1, NOON).suspects[0].component

    assert (found.kind, found.node) == (suspect, "node009")


@pytest.mark.parametrize(("said_total", "suspect"), [(1, "node001"), (32, "node009")])
def test_peer_that_only_a_node_with_a_broken_link_names_is_the_other_end_of_it(said_total, suspect):
    silent = Signal("peer.silent", "silent", Severity.ERROR, Role.SUSPECT, {Cause.NETWORK_SWITCH_CABLE: 3.2})
    down = Signal("link.down", "down", Severity.ERROR, Role.SUSPECT, {Cause.NETWORK_SWITCH_CABLE: 2.5})
    knowledge = Knowledge([silent, down])
    port = Component(ComponentKind.NIC, "eth2", "node001")
    named = [event("peer.silent", "node009", rank=2, job="job-1", trust=Trust.USER) for _ in range(said_total)]
    events = [event("link.down", port, job="job-1"), *named]
    (incident,) = add_events({}, events, knowledge, {}, Topology(), Limits(), NOON).incidents.values()
    known = Circumstances(placements=(Placement("job-1", 1, 2, "node001"),))

    assert diagnose(incident, knowledge, known, 1, NOON).suspects[0].component.node == suspect


@pytest.mark.parametrize(("silent", "cause"), [("node009", Cause.HOST_MAINTENANCE), ("node001", Cause.POWER_SUPPLY)])
def test_complaint_about_a_node_says_little_beside_what_tells_that_the_node_is_gone(silent, cause):
    complaint = Signal("peer.silent", "silent", Severity.ERROR, Role.SUSPECT, {Cause.POWER_SUPPLY: 3.0})
    gone = Signal("node.gone", "gone", Severity.ERROR, Role.SUSPECT, {Cause.HOST_MAINTENANCE: 2.0}, explains=("peer",))
    knowledge = Knowledge([complaint, gone])
    events = [event("peer.silent", silent, job="job-1"), event("node.gone", "node009", job="job-1")]
    (incident,) = add_events({}, events, knowledge, {}, Topology(), Limits(), NOON).incidents.values()

    assert diagnose(incident, knowledge, Circumstances(), 1, NOON).cause is cause


def test_line_that_says_more_exactly_what_another_says_is_no_second_witness():
    knowledge = Knowledge(
        [
            Signal("xid.13", "a kernel failed", Severity.ERROR, Role.SUSPECT, {Cause.SOFTWARE_BUG: 3.0}),
            Signal("xid.13.address", "outside of its memory", Severity.ERROR, Role.SUSPECT, {Cause.SOFTWARE_BUG: 3.0}),
        ]
    )

    def confidence(*events):
        (incident,) = add_events({}, events, knowledge, {}, Topology(), Limits(), NOON).incidents.values()
        return diagnose(incident, knowledge, Circumstances(), 1, NOON).confidence

    exact = confidence(event("xid.13.address", GPU))
    both = confidence(event("xid.13.address", GPU), event("xid.13", GPU, NOON + seconds(1)))

    assert exact < both < exact + 0.02
    assert both < confidence(event("xid.13.address", GPU), event("xid.13", RANK2, NOON + seconds(1)))
