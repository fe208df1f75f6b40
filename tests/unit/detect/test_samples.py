from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.detect.samples import SUBJECTS
from clusterwatch.model import Cause, Component, ComponentKind, Event, Reading, Scalar, node_component
from shipped import shipped_catalog

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEALTHY: dict[str, Scalar] = {
    "index": 3,
    "utilization_percent": 97,
    "uuid": "GPU-1",
    "pci": "00000000:3B:00.0",
    "temperature_celsius": 61,
    "ecc_uncorrected_total": 2,
    "remap_pending": False,
    "remap_failed": False,
    "throttle_reasons": 0,
    "nvlinks_active": 18,
    "nvlinks_down": "",
    "lost": False,
    "reset_required": False,
    "recovery_action": "none",
    "ecc_enabled": True,
    "ecc_corrected_total": 40,
    "ecc_uncorrected_aggregate_total": 5,
    "ecc_dram_uncorrected_total": 2,
    "ecc_dram_uncorrected_aggregate_total": 4,
    "ecc_sram_uncorrected_total": 0,
    "ecc_sram_uncorrected_aggregate_total": 1,
    "sram_threshold_exceeded": False,
    "remapped_correctable_rows": 1,
    "remapped_uncorrectable_rows": 1,
    "remap_banks_none": 0,
    "retired_pages_uncorrectable": 0,
    "retired_pages_pending": False,
    "temperature_margin_celsius": 26,
    "memory_temperature_celsius": 70,
    "memory_temperature_max_celsius": 95,
    "nvlink_crc_errors_total": 3,
    "nvlink_replays_total": 20,
    "nvlink_recoveries_total": 0,
    "nvlink_recovery_failures_total": 0,
    "fabric_state": "completed",
    "fabric_status": "ok",
    "fabric_health": "",
    "pcie_width": 16,
    "pcie_width_max": 16,
    "pcie_replays_total": 4,
}
COUNT: dict[str, Scalar] = {"gpus_listed": 8, "gpus_answering": 8, "gpus_known": 8, "gpus_expected": 8}
MOUNT: dict[str, Scalar] = {
    "mount": "/data",
    "device": "nfs:/data",
    "fstype": "nfs4",
    "used_percent": 50.0,
    "read_only": False,
}


def events_of(
    catalog: Catalog,
    subject: str,
    *samples: dict[str, Scalar],
    boots: tuple[str, ...] = (),
    pause: timedelta = timedelta(seconds=10),
) -> list[Event]:
    readings = [
        Reading(
            source="nvml",
            node="node001",
            position=str(n),
            observed_at=NOON + n * pause,
            subject=subject,
            boot_id=boots[n] if boots else "",
            fields=fields,
        )
        for n, fields in enumerate(samples)
    ]
    return notice(ObserverState(), readings, catalog, NOON)[1]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"lost": True, "error": "GPU is lost"}, "gpu.lost"),
        ({"ecc_uncorrected_total": 3}, "gpu.ecc.uncorrected"),
        ({"remap_failed": True}, "gpu.remap.failed"),
        ({"remap_pending": True}, "gpu.remap.pending"),
        ({"throttle_reasons": 0x40}, "gpu.thermal_slowdown"),
        ({"throttle_reasons": 0x20}, "gpu.thermal_slowdown"),
        ({"throttle_reasons": 0x08}, "gpu.hardware_slowdown"),
        ({"throttle_reasons": 0x80}, "gpu.power_brake"),
        ({"nvlinks_active": 17, "nvlinks_down": "4"}, "gpu.nvlink.down"),
        ({"reset_required": True}, "gpu.reset_required"),
        ({"recovery_action": "gpu_reset"}, "gpu.recovery.gpu_reset"),
        ({"recovery_action": "node_reboot"}, "gpu.recovery.node_reboot"),
        ({"recovery_action": "drain_and_reset"}, "gpu.recovery.drain_and_reset"),
        ({"ecc_enabled": False}, "gpu.ecc.off"),
        ({"ecc_dram_uncorrected_total": 3, "ecc_uncorrected_total": 3}, "gpu.ecc.uncorrected.dram"),
        ({"ecc_sram_uncorrected_total": 1, "ecc_uncorrected_total": 3}, "gpu.ecc.uncorrected.sram"),
        ({"ecc_corrected_total": 17_697}, "gpu.ecc.corrected"),
        ({"sram_threshold_exceeded": True}, "gpu.sram.threshold"),
        ({"remapped_uncorrectable_rows": 2}, "gpu.remap.uncorrectable"),
        ({"remapped_correctable_rows": 2}, "gpu.remap.correctable"),
        ({"remap_banks_none": 1}, "gpu.remap.exhausted"),
        ({"retired_pages_uncorrectable": 1}, "gpu.retired_pages.uncorrectable"),
        ({"retired_pages_pending": True}, "gpu.retired_pages.pending"),
        ({"temperature_margin_celsius": 0}, "gpu.too_hot"),
        ({"memory_temperature_celsius": 95}, "gpu.memory_too_hot"),
        ({"nvlink_recovery_failures_total": 1, "nvlink_recoveries_total": 1}, "gpu.nvlink.recovery_failed"),
        ({"nvlink_recoveries_total": 1}, "gpu.nvlink.recovery"),
        ({"nvlink_crc_errors_total": 900}, "gpu.nvlink.errors"),
        ({"nvlink_replays_total": 900}, "gpu.nvlink.errors"),
        ({"fabric_status": "Unknown Error"}, "gpu.fabric.failed"),
        ({"fabric_state": "in_progress"}, "gpu.fabric.not_ready"),
        ({"fabric_health": "degraded bandwidth"}, "gpu.fabric.unhealthy"),
        ({"pcie_width": 8}, "gpu.pcie.narrow"),
        ({"pcie_replays_total": 500}, "gpu.pcie.replays"),
    ],
)
def test_change_of_a_gpu_is_told_once(catalog: Catalog, change: dict[str, Scalar], kind: str) -> None:
    changed = {**HEALTHY, **change}

    (event,) = events_of(catalog, "gpu.sample", HEALTHY, changed, changed)

    assert (event.kind, event.component) == (kind, Component(ComponentKind.GPU, "0000:3b:00", "node001"))
    assert "GPU 3" in event.text


@pytest.mark.parametrize("subject", sorted(SUBJECTS))
def test_what_a_sample_can_show_has_a_meaning_of_its_own(catalog: Catalog, subject: str) -> None:
    kinds = {change.kind for change in (*SUBJECTS[subject].conditions, *SUBJECTS[subject].counters)}

    assert {kind for kind in kinds if catalog.knowledge[kind].kind != kind} == set()


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("gpu.ecc.uncorrected.dram", Cause.GPU_HBM),
        ("gpu.ecc.uncorrected.sram", Cause.GPU_SRAM),
        ("gpu.sram.threshold", Cause.GPU_SRAM),
        ("gpu.too_hot", Cause.GPU_THERMAL),
        ("gpu.nvlink.recovery_failed", Cause.GPU_NVLINK),
        ("gpu.fabric.unhealthy", Cause.GPU_NVLINK),
        ("gpu.pcie.narrow", Cause.IO_EXPANSION_BOARD),
        ("gpu.count.fell", Cause.FAULTY_GPU),
        ("scan.wrong_answer", Cause.SILENT_DATA_CORRUPTION),
        ("scan.unstable_answer", Cause.SILENT_DATA_CORRUPTION),
    ],
)
def test_change_speaks_most_for_the_part_that_it_names(catalog: Catalog, kind: str, cause: Cause) -> None:
    assert catalog.knowledge[kind].leading_cause is cause


def test_gpu_that_stays_as_it_is_gives_nothing(catalog: Catalog) -> None:
    assert events_of(catalog, "gpu.sample", HEALTHY, HEALTHY, {**HEALTHY, "throttle_reasons": 0x4}) == []


@pytest.mark.parametrize(
    "change",
    [
        {"ecc_corrected_total": 41},
        {"nvlink_crc_errors_total": 4},
        {"nvlink_replays_total": 30},
        {"pcie_replays_total": 9},
        {"temperature_margin_celsius": 1},
    ],
)
def test_what_a_healthy_gpu_does_now_and_then_is_no_event(catalog: Catalog, change: dict[str, Scalar]) -> None:
    assert events_of(catalog, "gpu.sample", HEALTHY, {**HEALTHY, **change}) == []


@pytest.mark.parametrize("name", [name for name in HEALTHY if name not in {"index", "uuid", "pci"}])
def test_field_that_a_gpu_does_not_have_is_no_evidence(catalog: Catalog, name: str) -> None:
    without = {**HEALTHY, name: None}

    assert events_of(catalog, "gpu.sample", without, without) == []
    assert events_of(catalog, "gpu.sample", HEALTHY, without, HEALTHY) == []


def test_gpu_without_a_margin_is_too_hot_at_its_slowdown_temperature(catalog: Catalog) -> None:
    older = {**HEALTHY, "temperature_margin_celsius": None, "temperature_slowdown_celsius": 90}
    temperatures = [61, 90, 88, 90, 80, 91]

    events = events_of(catalog, "gpu.sample", *({**older, "temperature_celsius": value} for value in temperatures))

    assert [(event.kind, event.fields["temperature_celsius"]) for event in events] == [
        ("gpu.too_hot", 90),
        ("gpu.too_hot", 91),
    ]


def test_counters_that_start_with_the_driver_are_not_compared_over_a_reboot(catalog: Catalog) -> None:
    before = {**HEALTHY, "ecc_dram_uncorrected_total": 0, "ecc_corrected_total": 0, "pcie_replays_total": 0}
    after = {**HEALTHY, "ecc_dram_uncorrected_total": 7, "ecc_corrected_total": 5000, "pcie_replays_total": 5000}

    assert events_of(catalog, "gpu.sample", before, after, boots=("a", "b")) == []
    assert events_of(catalog, "gpu.sample", before, after, boots=("a", "a")) != []


def test_error_that_went_with_the_boot_in_which_it_happened_is_told_by_the_aggregate(catalog: Catalog) -> None:
    after = {**HEALTHY, "ecc_dram_uncorrected_total": 0, "ecc_dram_uncorrected_aggregate_total": 5}

    (event,) = events_of(catalog, "gpu.sample", HEALTHY, after, boots=("a", "b"))

    assert (event.kind, "4 -> 5" in event.text) == ("gpu.ecc.uncorrected.dram", True)


@pytest.mark.parametrize(
    ("change", "longest"),
    [
        ({"ecc_dram_uncorrected_total": 3}, timedelta(minutes=10)),
        ({"nvlink_recoveries_total": 1}, timedelta(minutes=10)),
        ({"ecc_dram_uncorrected_aggregate_total": 5}, timedelta(minutes=30)),
    ],
)
def test_what_moved_while_nobody_looked_for_long_is_no_evidence_of_now(
    catalog: Catalog, change: dict[str, Scalar], longest: timedelta
) -> None:
    changed = {**HEALTHY, **change}

    assert len(events_of(catalog, "gpu.sample", HEALTHY, changed, pause=longest)) == 1
    assert events_of(catalog, "gpu.sample", HEALTHY, changed, changed, pause=longest + timedelta(minutes=1)) == []


def test_counter_that_was_unknown_for_long_is_no_evidence_though_somebody_looked(catalog: Catalog) -> None:
    unknown = {**HEALTHY, "nvlink_recoveries_total": None}
    changed = {**HEALTHY, "nvlink_recoveries_total": 1}

    minutes_later = events_of(catalog, "gpu.sample", HEALTHY, unknown, changed, pause=timedelta(minutes=5))
    an_hour_later = events_of(catalog, "gpu.sample", HEALTHY, *[unknown] * 11, changed, pause=timedelta(minutes=5))

    assert [event.kind for event in minutes_later] == ["gpu.nvlink.recovery"]
    assert an_hour_later == []


@pytest.mark.parametrize("change", [{"nvlinks_active": 17}, {"remapped_uncorrectable_rows": 2}, {"remap_failed": True}])
def test_state_that_stands_is_told_however_long_nobody_looked(catalog: Catalog, change: dict[str, Scalar]) -> None:
    changed = {**HEALTHY, **change}

    assert len(events_of(catalog, "gpu.sample", HEALTHY, changed, pause=timedelta(days=2))) == 1


def test_time_of_the_last_look_is_not_written_anew_with_each(catalog: Catalog) -> None:
    state, states = ObserverState(), []
    for n in range(12):
        at = NOON + n * timedelta(seconds=10)
        sample = Reading(
            source="nvml", node="node001", position=str(n), observed_at=at, subject="gpu.sample", fields=HEALTHY
        )
        state = notice(state, [sample], catalog, at)[0]
        states.append(state.samples)

    assert sum(before != after for before, after in pairwise(states)) == 1


def test_idle_gpu_that_gave_up_lanes_is_no_evidence(catalog: Catalog) -> None:
    idle = {**HEALTHY, "utilization_percent": 0, "pcie_width": 4}

    assert events_of(catalog, "gpu.sample", HEALTHY, idle) == []


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "lost": st.booleans(),
        "remap_pending": st.booleans(),
        "ecc_uncorrected_total": st.integers(0, 3),
        "ecc_dram_uncorrected_total": st.integers(0, 3),
        "ecc_dram_uncorrected_aggregate_total": st.integers(0, 3),
        "nvlinks_active": st.integers(16, 18),
        "throttle_reasons": st.sampled_from([0, 0x4, 0x40]),
        "temperature_margin_celsius": st.integers(-2, 6),
        "recovery_action": st.sampled_from(["none", "gpu_reset", "node_reboot"]),
    },
)


@given(samples=st.lists(FIELDS, max_size=8), blanks=st.sets(st.integers(0, 7)))
@settings(max_examples=60)
def test_looks_at_which_the_driver_says_nothing_change_nothing(
    samples: list[dict[str, Scalar]], blanks: set[int]
) -> None:
    catalog = shipped_catalog()
    named = [{"uuid": "GPU-1", **sample} for sample in samples]
    silent = {"uuid": "GPU-1", **dict.fromkeys(HEALTHY.keys() - {"uuid"})}
    with_silence = [each for n, sample in enumerate(named) for each in ([silent] * (n in blanks) + [sample])]

    told = [event.kind for event in events_of(catalog, "gpu.sample", *named)]

    assert [event.kind for event in events_of(catalog, "gpu.sample", *with_silence)] == told


def test_error_is_told_once_though_volatile_and_aggregate_both_count_it(catalog: Catalog) -> None:
    after = {
        **HEALTHY,
        "ecc_uncorrected_total": 3,
        "ecc_uncorrected_aggregate_total": 6,
        "ecc_dram_uncorrected_total": 3,
        "ecc_dram_uncorrected_aggregate_total": 5,
    }

    assert [event.kind for event in events_of(catalog, "gpu.sample", HEALTHY, after)] == ["gpu.ecc.uncorrected.dram"]


def test_condition_that_outlives_a_reboot_is_no_news(catalog: Catalog) -> None:
    failed = {**HEALTHY, "remap_failed": True}

    assert len(events_of(catalog, "gpu.sample", HEALTHY, failed, failed, boots=("a", "a", "b"))) == 1


def test_gpu_that_a_reboot_did_not_bring_back_is_told(catalog: Catalog) -> None:
    seven: dict[str, Scalar] = {"gpus_listed": 7, "gpus_answering": 7, "gpus_known": 7, "gpus_expected": None}

    (event,) = events_of(catalog, "gpu.count", COUNT, seven, boots=("a", "b"))

    assert (event.kind, event.component) == ("gpu.count.fell", node_component("node001"))
    assert "8 -> 7" in event.text


def test_gpus_that_should_be_there_and_are_not_are_told_at_the_first_look(catalog: Catalog) -> None:
    (event,) = events_of(catalog, "gpu.count", {**COUNT, "gpus_answering": 7})

    assert (event.kind, event.text) == ("gpu.count.short", "7 GPUs answer where 8 should")


def test_fault_that_was_there_before_anybody_looked_is_told(catalog: Catalog) -> None:
    (event,) = events_of(catalog, "gpu.sample", {**HEALTHY, "remap_failed": True})

    assert event.kind == "gpu.remap.failed"


def test_counter_needs_two_samples_and_may_start_anew(catalog: Catalog) -> None:
    after_reset = {**HEALTHY, "ecc_uncorrected_total": 0}

    assert events_of(catalog, "gpu.sample", HEALTHY, after_reset) == []


def test_value_that_is_missing_for_once_says_nothing(catalog: Catalog) -> None:
    silent = {**HEALTHY, "ecc_uncorrected_total": None, "nvlinks_active": None, "lost": None}

    assert events_of(catalog, "gpu.sample", HEALTHY, silent, HEALTHY) == []


def test_condition_that_went_away_is_told_when_it_comes_back(catalog: Catalog) -> None:
    hot = {**HEALTHY, "throttle_reasons": 0x40}

    assert len(events_of(catalog, "gpu.sample", HEALTHY, hot, HEALTHY, hot)) == 2


def test_two_gpus_are_compared_each_with_itself(catalog: Catalog) -> None:
    other = {**HEALTHY, "uuid": "GPU-2", "pci": "00000000:5E:00.0", "ecc_uncorrected_total": 7}

    assert events_of(catalog, "gpu.sample", HEALTHY, other, HEALTHY, other) == []


def test_mount_that_becomes_read_only_is_told(catalog: Catalog) -> None:
    (event,) = events_of(catalog, "host.mount", MOUNT, {**MOUNT, "read_only": True})

    assert (event.kind, event.component) == ("host.read_only_mount", node_component("node001"))
    assert "/data" in event.text


def test_mount_that_always_was_read_only_is_no_news(catalog: Catalog) -> None:
    assert events_of(catalog, "host.mount", {**MOUNT, "read_only": True}, {**MOUNT, "read_only": True}) == []


def test_mount_that_does_not_answer_is_told(catalog: Catalog) -> None:
    events = events_of(catalog, "host.mount", MOUNT, {"mount": "/data", "timed_out": True})

    assert [event.kind for event in events] == ["host.mount_unresponsive"]


def test_disk_at_its_limit_is_told_once_until_it_has_room_again(catalog: Catalog) -> None:
    used = [97.0, 98.5, 97.5, 98.5, 90.0, 99.0]

    events = events_of(catalog, "host.mount", *({**MOUNT, "used_percent": percent} for percent in used))

    assert [event.fields["used_percent"] for event in events] == [98.5, 99.0]


def test_memory_that_is_almost_gone_is_told(catalog: Catalog) -> None:
    events = events_of(catalog, "host.sample", {"memory_available_percent": 40.0}, {"memory_available_percent": 2.5})

    assert [event.kind for event in events] == ["host.memory_pressure"]
