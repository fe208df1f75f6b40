from datetime import UTC, datetime, timedelta

import pytest

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.model import Cause, Event, Reading, Role, Scalar

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def part(kind: str, **values: Scalar) -> dict[str, Scalar]:
    return {
        "key": "0000:31:00.0",
        "pci": "0000:31:00.0",
        "part": kind,
        "name": None,
        "width": 16,
        "best_width": 16,
        "able_width": 16,
        "speed_gts": 32.0,
        "best_speed_gts": 32.0,
        "able_speed_gts": 32.0,
        "narrow_looks": 0,
        "present": True,
        "correctable_total": 0,
        "nonfatal_total": 0,
        "fatal_total": 0,
        "is_continuous": True,
        **values,
    }


def events_of(catalog: Catalog, subject: str, *samples: dict[str, Scalar], seconds: float = 30) -> list[Event]:
    readings = [
        Reading(
            source="pcie_edac",
            node="node001",
            position=str(n),
            observed_at=NOON + timedelta(seconds=seconds * n),
            subject=subject,
            fields=fields,
        )
        for n, fields in enumerate(samples)
    ]
    return notice(ObserverState(), readings, catalog, NOON + timedelta(days=9))[1]


@pytest.mark.parametrize(
    ("kind", "change", "expected", "component"),
    [
        ("gpu", {"present": False}, "pcie.lost.gpu", "gpu 0000:31:00"),
        ("nic", {"present": False}, "pcie.lost.nic", "nic 0000:31:00.0"),
        ("disk", {"present": False, "name": "nvme2"}, "pcie.lost.disk", "disk nvme2"),
        ("nic", {"width": 8}, "pcie.link.nic.narrower", "nic 0000:31:00.0"),
        ("nic", {"speed_gts": 8.0}, "pcie.link.nic.slower", "nic 0000:31:00.0"),
        ("disk", {"width": 2, "best_width": 2, "able_width": 4}, "pcie.link.narrow", "disk 0000:31:00.0"),
        ("gpu", {"width": 8, "narrow_looks": 10}, "pcie.link.gpu_narrower", "gpu 0000:31:00"),
        ("gpu", {"fatal_total": 1, "new_errors": "DLP"}, "pcie.aer.fatal.gpu", "gpu 0000:31:00"),
        ("slot", {"nonfatal_total": 2}, "pcie.aer.nonfatal.slot", "slot 0000:31:00.0"),
        ("slot", {"correctable_total": 100}, "pcie.aer.many_corrected.slot", "slot 0000:31:00.0"),
    ],
)
def test_change_of_a_part_is_told_once_with_its_name(
    catalog: Catalog, kind: str, change: dict[str, Scalar], expected: str, component: str
) -> None:
    changed = part(kind, **change)

    (event,) = events_of(catalog, "pcie.device", part(kind), changed, changed)

    assert (event.kind, str(event.component)) == (expected, f"{component} on node001")


def test_idle_gpu_that_slows_its_link_down_is_no_evidence(catalog: Catalog) -> None:
    idle = part("gpu", speed_gts=2.5, width=8, narrow_looks=3)

    assert events_of(catalog, "pcie.device", part("gpu"), idle, part("gpu")) == []


def test_few_corrected_errors_are_what_a_link_may_have(catalog: Catalog) -> None:
    trickle = [part("nic", correctable_total=20 * n) for n in range(30)]

    assert events_of(catalog, "pcie.device", *trickle) == []


def test_value_that_is_missing_says_nothing(catalog: Catalog) -> None:
    unknown = part("nic", width=None, speed_gts=None, fatal_total=None, present=None)

    assert events_of(catalog, "pcie.device", part("nic"), unknown, part("nic")) == []


def test_slot_that_lost_lanes_is_told_by_its_card_alone(catalog: Catalog) -> None:
    assert events_of(catalog, "pcie.device", part("slot"), part("slot", width=8, speed_gts=2.5)) == []


def test_link_between_two_bridges_that_lost_lanes_is_told_by_the_upper_one(catalog: Catalog) -> None:
    port = part("slot", below="0000:32:00.0", below_parts="slot")

    (event,) = events_of(catalog, "pcie.device", port, {**port, "width": 8})

    assert (event.kind, str(event.component)) == ("pcie.link.slot.narrower", "slot 0000:31:00.0 on node001")
    assert catalog.knowledge[event.kind].leading_cause is Cause.IO_EXPANSION_BOARD


def test_link_that_a_card_tells_of_is_more_likely_the_cards(catalog: Catalog) -> None:
    told = {kind: catalog.knowledge[f"pcie.link.{kind}.slower"].leading_cause for kind in ("nic", "disk")}

    assert told == {"nic": Cause.NIC, "disk": Cause.SSD}


def test_uncorrected_memory_error_names_the_module(catalog: Catalog) -> None:
    module: dict[str, Scalar] = {"key": "mc0/dimm3", "part": "dimm", "label": "DIMM_B1", "is_continuous": True}

    (event,) = events_of(catalog, "edac.memory", {**module, "uncorrected_total": 0}, {**module, "uncorrected_total": 1})

    assert (event.kind, str(event.component)) == ("edac.uncorrected", "dimm DIMM_B1 on node001")
    assert catalog.knowledge[event.kind].leading_cause is Cause.SYSTEM_MEMORY


def test_twenty_four_corrected_errors_in_a_day_are_not_many_and_one_more_is(catalog: Catalog) -> None:
    module: dict[str, Scalar] = {"key": "mc0/dimm3", "part": "dimm", "label": "DIMM_B1", "is_continuous": True}
    day = [{**module, "corrected_total": n} for n in range(25)]

    assert events_of(catalog, "edac.memory", *day, seconds=3000) == []
    (event,) = events_of(catalog, "edac.memory", *day, {**module, "corrected_total": 25}, seconds=3000)
    assert event.kind == "edac.many_corrected"


def test_cache_of_a_cpu_is_a_part_of_it(catalog: Catalog) -> None:
    cache: dict[str, Scalar] = {"key": "c", "part": "cache", "label": "cpu_cache/L2_4", "is_continuous": True}

    (event,) = events_of(catalog, "edac.memory", {**cache, "uncorrected_total": 0}, {**cache, "uncorrected_total": 2})

    assert str(event.component) == "cpu cpu_cache/L2_4 on node001"


@pytest.mark.parametrize(("cpus", "component"), [("7", "cpu 7 on node001"), ("0 1 2 3", "node node001")])
def test_machine_check_names_the_cpu_where_one_took_it(catalog: Catalog, cpus: str, component: str) -> None:
    counts: dict[str, Scalar] = {"key": "cpus", "is_continuous": True}

    (event,) = events_of(
        catalog, "mce.counts", {**counts, "exceptions_total": 0}, {**counts, "exceptions_total": 1, "cpus": cpus}
    )

    assert (event.kind, str(event.component)) == ("mce.exception", component)


def test_single_look_tells_of_fatal_errors_since_the_boot(catalog: Catalog) -> None:
    (event,) = events_of(
        catalog, "pcie.device", part("gpu", fatal_total=2, new_errors="DLP", is_continuous=False, is_new=True)
    )

    assert (event.kind, event.text) == ("pcie.aer.fatal.gpu", "gpu 0000:31:00.0: 2 fatal PCIe errors: DLP")


def test_uncorrected_errors_of_a_link_keep_several_causes_open(catalog: Catalog) -> None:
    signal = catalog.knowledge["pcie.aer.nonfatal"]

    assert (signal.role, signal.leading_cause) == (Role.SUSPECT, Cause.IO_EXPANSION_BOARD)
