"""What the samples of a GPU show: its conditions and its counters, as NVML has them.

Names of fields are those of the `nvml` collector; meanings are NVIDIA's, https://docs.nvidia.com/deploy/nvml-api/ .
"""

from __future__ import annotations

from clusterwatch.detect.changes import Condition, Counter, Fields, below, beyond, bits, equals, flag, off, reaches
from clusterwatch.detect.progress import number

_GPU = "GPU {index} ({pci})"

# Clock event reasons of NVML (nvml.h, nvmlClocksEventReasons): software thermal, hardware slowdown, hardware
# thermal, power brake. The software power cap (0x4) is how a busy GPU keeps to its limit: no event.
_THERMAL = 0x20 | 0x40
_HARDWARE_SLOWDOWN = 0x08
_POWER_BRAKE = 0x80

# A link that is always busy repeats a flit now and then, memory corrects a bit now and then: only many between two
# looks are told. A GPU whose HBM decays has been seen to correct 17,000 a second
# (https://github.com/NVIDIA/NVSentinel/issues/1748).
MANY_CORRECTED = 1000
MANY_LINK_ERRORS = 100
MANY_PCIE_REPLAYS = 100

# As old as evidence may be that leads to an action; and as long as a node with eight GPUs may need to boot after an
# error took it down, because then the aggregate alone still knows of it.
_WHILE_WATCHING = 600.0
_OVER_A_REBOOT = 1800.0

_RECOVERIES = {
    "gpu_reset": "a reset of the GPU",
    "node_reboot": "a reboot of the node",
    "drain_p2p": "that its peers leave it alone",
    "drain_and_reset": "that its peers leave it alone, then a reset",
    "recover_imex_domain": "a recovery of the IMEX domain",
    "bus_reset": "a reset of its PCIe bus",
    "system_reboot": "a reboot of the system",
}


def _is_too_hot(fields: Fields, before: bool) -> bool | None:
    """Judge by the margin where the GPU tells one: its thresholds are relative to it since Hopper."""
    if number(fields.get("temperature_margin_celsius")) is not None:
        return beyond("temperature_margin_celsius", limit=1, calm=4)(fields, before)
    return reaches("temperature_celsius", "temperature_slowdown_celsius", calm_below=3)(fields, before)


def _is_narrow(fields: Fields, before: bool) -> bool | None:
    # An idle GPU lowers its link's speed and may give up lanes, on purpose.
    if not number(fields.get("utilization_percent")):
        return None
    return below("pcie_width", "pcie_width_max")(fields, before)


def _fabric_failed(fields: Fields, before: bool) -> bool | None:
    if fields.get("fabric_state") is None:
        return None
    return fields["fabric_state"] == "completed" and fields.get("fabric_status") not in (None, "", "ok")


CONDITIONS: tuple[Condition, ...] = (
    Condition("gpu.lost", flag("lost"), "NVML lost GPU {index} ({pci}) {error}"),
    Condition("gpu.reset_required", flag("reset_required"), f"{_GPU} refuses to work before it is reset"),
    *(
        Condition(f"gpu.recovery.{action}", equals("recovery_action", action), f"{_GPU} asks for {words}")
        for action, words in _RECOVERIES.items()
    ),
    Condition("gpu.remap.failed", flag("remap_failed"), f"{_GPU}: remapping a bad memory row failed"),
    Condition("gpu.remap.pending", flag("remap_pending"), f"{_GPU}: a memory row waits for a reset"),
    Condition(
        "gpu.remap.exhausted",
        beyond("remap_banks_none", limit=1, calm=0.5),
        f"{_GPU}: {{remap_banks_none}} memory banks have no spare row left",
    ),
    Condition("gpu.retired_pages.pending", flag("retired_pages_pending"), f"{_GPU}: a memory page waits for a reset"),
    Condition(
        "gpu.sram.threshold",
        flag("sram_threshold_exceeded"),
        f"{_GPU}: SRAM had more uncorrectable errors than NVIDIA tolerates",
    ),
    Condition("gpu.ecc.off", off("ecc_enabled"), f"{_GPU}: ECC is switched off"),
    Condition(
        "gpu.thermal_slowdown",
        bits("throttle_reasons", _THERMAL),
        f"{_GPU} is slowed by heat, {{temperature_celsius}} C",
    ),
    Condition(
        "gpu.hardware_slowdown", bits("throttle_reasons", _HARDWARE_SLOWDOWN), f"{_GPU} is slowed by its hardware"
    ),
    Condition("gpu.power_brake", bits("throttle_reasons", _POWER_BRAKE), f"{_GPU} is slowed by the power brake"),
    Condition("gpu.too_hot", _is_too_hot, f"{_GPU} is at its limit, {{temperature_celsius}} C"),
    Condition(
        "gpu.memory_too_hot",
        reaches("memory_temperature_celsius", "memory_temperature_max_celsius", calm_below=3),
        f"{_GPU}: its memory is at its limit, {{memory_temperature_celsius}} C",
    ),
    Condition("gpu.fabric.failed", _fabric_failed, f"{_GPU} could not join the NVLink fabric: {{fabric_status}}"),
    Condition(
        "gpu.fabric.not_ready",
        equals("fabric_state", "not_started", "in_progress"),
        f"{_GPU} has not joined the NVLink fabric: {{fabric_state}}",
    ),
    Condition("gpu.fabric.unhealthy", flag("fabric_health"), f"{_GPU}: the NVLink fabric is unwell, {{fabric_health}}"),
    Condition(
        "gpu.pcie.narrow",
        _is_narrow,
        f"{_GPU}: its PCIe link has {{pcie_width}} of {{pcie_width_max}} lanes",
    ),
)

_CORRECTED = ("gpu.ecc.corrected.dram", "gpu.ecc.corrected.sram")
_UNCORRECTED = ("gpu.ecc.uncorrected.dram", "gpu.ecc.uncorrected.sram")

COUNTERS: tuple[Counter, ...] = (
    # By location first: it tells the memory's chips from the GPU's own, which are different parts to replace. The
    # aggregate speaks for what happened before a reboot, while nobody looked.
    Counter(
        "gpu.ecc.uncorrected.dram",
        "ecc_dram_uncorrected_total",
        +1,
        f"{_GPU}: uncorrectable errors in its memory",
        is_volatile=True,
        longest_gap_seconds=_WHILE_WATCHING,
    ),
    Counter(
        "gpu.ecc.uncorrected.dram",
        "ecc_dram_uncorrected_aggregate_total",
        +1,
        f"{_GPU}: uncorrectable errors in its memory",
        longest_gap_seconds=_OVER_A_REBOOT,
    ),
    Counter(
        "gpu.ecc.uncorrected.sram",
        "ecc_sram_uncorrected_total",
        +1,
        f"{_GPU}: uncorrectable errors in its SRAM",
        is_volatile=True,
        longest_gap_seconds=_WHILE_WATCHING,
    ),
    Counter(
        "gpu.ecc.uncorrected.sram",
        "ecc_sram_uncorrected_aggregate_total",
        +1,
        f"{_GPU}: uncorrectable errors in its SRAM",
        longest_gap_seconds=_OVER_A_REBOOT,
    ),
    Counter(
        "gpu.ecc.uncorrected",
        "ecc_uncorrected_total",
        +1,
        f"{_GPU}: uncorrectable ECC errors",
        is_volatile=True,
        longest_gap_seconds=_WHILE_WATCHING,
        unless=_UNCORRECTED,
    ),
    Counter(
        "gpu.ecc.uncorrected",
        "ecc_uncorrected_aggregate_total",
        +1,
        f"{_GPU}: uncorrectable ECC errors",
        unless=_UNCORRECTED,
        longest_gap_seconds=_OVER_A_REBOOT,
    ),
    *(
        Counter(
            f"gpu.ecc.corrected.{location}",
            f"ecc_{location}_corrected_total",
            +1,
            f"{_GPU}: many corrected errors in its {memory}",
            least=MANY_CORRECTED,
            is_volatile=True,
            longest_gap_seconds=_WHILE_WATCHING,
        )
        for location, memory in (("dram", "memory"), ("sram", "SRAM"))
    ),
    Counter(
        "gpu.ecc.corrected",
        "ecc_corrected_total",
        +1,
        f"{_GPU}: many corrected ECC errors",
        least=MANY_CORRECTED,
        is_volatile=True,
        longest_gap_seconds=_WHILE_WATCHING,
        unless=_CORRECTED,
    ),
    Counter(
        "gpu.remap.uncorrectable",
        "remapped_uncorrectable_rows",
        +1,
        f"{_GPU}: memory rows remapped for uncorrectable errors",
    ),
    Counter(
        "gpu.remap.correctable",
        "remapped_correctable_rows",
        +1,
        f"{_GPU}: memory rows remapped for corrected errors",
    ),
    Counter(
        "gpu.retired_pages.uncorrectable",
        "retired_pages_uncorrectable",
        +1,
        f"{_GPU}: memory pages retired for uncorrectable errors",
    ),
    Counter("gpu.nvlink.down", "nvlinks_active", -1, f"{_GPU}: active NVLinks fell, now down: {{nvlinks_down}}"),
    Counter(
        "gpu.nvlink.recovery_failed",
        "nvlink_recovery_failures_total",
        +1,
        f"{_GPU}: NVLinks that did not come back ({{nvlink_errors_by_link}})",
        is_volatile=True,
        longest_gap_seconds=_WHILE_WATCHING,
    ),
    Counter(
        "gpu.nvlink.recovery",
        "nvlink_recoveries_total",
        +1,
        f"{_GPU}: NVLinks retrained ({{nvlink_errors_by_link}})",
        is_volatile=True,
        longest_gap_seconds=_WHILE_WATCHING,
        unless=("gpu.nvlink.recovery_failed",),
    ),
    Counter(
        "gpu.nvlink.errors",
        "nvlink_crc_errors_total",
        +1,
        f"{_GPU}: many NVLink checksum errors ({{nvlink_errors_by_link}})",
        least=MANY_LINK_ERRORS,
        is_volatile=True,
        longest_gap_seconds=_WHILE_WATCHING,
    ),
    Counter(
        "gpu.nvlink.errors",
        "nvlink_replays_total",
        +1,
        f"{_GPU}: many NVLink replays ({{nvlink_errors_by_link}})",
        least=MANY_LINK_ERRORS,
        is_volatile=True,
        longest_gap_seconds=_WHILE_WATCHING,
    ),
    Counter(
        "gpu.pcie.replays",
        "pcie_replays_total",
        +1,
        f"{_GPU}: many PCIe replays",
        least=MANY_PCIE_REPLAYS,
        is_volatile=True,
        longest_gap_seconds=_WHILE_WATCHING,
    ),
)

COUNT_CONDITIONS: tuple[Condition, ...] = (
    Condition(
        "gpu.count.short",
        below("gpus_answering", "gpus_expected"),
        "{gpus_answering} GPUs answer where {gpus_expected} should",
    ),
)

COUNT_COUNTERS: tuple[Counter, ...] = (
    # Within a boot a GPU that goes is told by name as lost; this is the one that a reboot did not bring back.
    Counter("gpu.count.fell", "gpus_known", -1, "the driver finds fewer GPUs than before"),
)
