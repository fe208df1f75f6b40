"""The fields of a GPU's sample, and what NVML's numbers mean in words. Needs no driver and no library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

IDENTITY = ("index", "uuid", "serial", "pci", "name")

ECC_LOCATIONS = ("dram", "sram", "l1_cache", "l2_cache", "device_memory", "register_file", "texture_memory", "cbu")
"""Where errors are counted: "dram" and "sram" since Ampere, the others before (a cbu tells no corrected ones)."""

ECC_KINDS = ("corrected", "uncorrected")

SRAM_UNITS = ("l2", "sm", "pcie", "mcu", "other")
"""Parts of the GPU whose SRAM NVML counts apart, as far as uncorrectable errors over its life go."""

REMAP_BANKS = ("max", "high", "partial", "low", "none")
"""How many spare rows a bank has left, in NVML's words."""


def ecc_field(location: str, kind: str, *, is_aggregate: bool) -> str:
    """Return the name of an ECC counter: since the driver was loaded, or over the life of the GPU."""
    parts = ("ecc", location, kind, "aggregate" if is_aggregate else "", "total")
    return "_".join(part for part in parts if part)


_ECC = tuple(
    ecc_field(location, kind, is_aggregate=is_aggregate)
    for location in ("", *ECC_LOCATIONS)
    for kind in ECC_KINDS
    for is_aggregate in (False, True)
)

FIELDS = (
    *IDENTITY,
    "driver_version",
    "temperature_celsius",
    "temperature_margin_celsius",
    "temperature_margin_at_max_celsius",
    "temperature_margin_at_memory_max_celsius",
    "temperature_margin_at_slowdown_celsius",
    "temperature_margin_at_shutdown_celsius",
    "temperature_max_celsius",
    "temperature_slowdown_celsius",
    "temperature_shutdown_celsius",
    "memory_temperature_celsius",
    "memory_temperature_max_celsius",
    "power_watts",
    "power_limit_watts",
    "memory_used_bytes",
    "memory_total_bytes",
    "utilization_percent",
    "sm_clock_mhz",
    "sm_clock_max_mhz",
    "memory_clock_mhz",
    "throttle_reasons",
    "throttle",
    "ecc_enabled",
    *_ECC,
    "sram_uncorrected_parity_total",
    "sram_uncorrected_secded_total",
    "sram_uncorrected_parity_aggregate_total",
    "sram_uncorrected_secded_aggregate_total",
    *(f"sram_uncorrected_{unit}_aggregate_total" for unit in SRAM_UNITS),
    "sram_threshold_exceeded",
    "remapped_correctable_rows",
    "remapped_uncorrectable_rows",
    "remap_pending",
    "remap_failed",
    *(f"remap_banks_{banks}" for banks in REMAP_BANKS),
    "retired_pages_correctable",
    "retired_pages_uncorrectable",
    "retired_pages_pending",
    "nvlinks_active",
    "nvlinks_total",
    "nvlinks_down",
    "nvlink_errors_total",
    "nvlink_replays_total",
    "nvlink_crc_errors_total",
    "nvlink_recoveries_total",
    "nvlink_recovery_failures_total",
    "nvlink_errors_by_link",
    "fabric_state",
    "fabric_status",
    "fabric_health",
    "fabric_clique",
    "pcie_generation",
    "pcie_generation_max",
    "pcie_width",
    "pcie_width_max",
    "pcie_replays_total",
    "recovery_action",
    "persistence_mode",
    "compute_mode",
    "mig_enabled",
    "process_count",
    "process_pids",
    "reset_required",
    "lost",
    "error",
)
"""Fields of every sample; None where the driver or the GPU has no such value.

ECC totals count since the driver was loaded, those with *aggregate* over the life of the GPU. *throttle_reasons* are
NVML's bits, *throttle* what they mean. *nvlinks_down* lists the links that are not active ("4,11"),
*nvlink_errors_by_link* what each link counted ("4:12 11:3"). *fabric_health* is "" while the fabric is well.
*temperature_margin_celsius* is how far the GPU is from its limit, *temperature_margin_at_...* what that is when clocks
fall or the GPU is switched off. *lost* says that the driver reaches the GPU no more,
*error* in NVML's words why.
"""

THROTTLE = {
    0x1: "idle",
    0x2: "clocks set by a user",
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x100: "display clocks",
    0x200: "board limit",
    0x400: "reliability",
}
"""Clock event reasons, nvml.h of CUDA 13 (nvmlClocksEventReasons)."""

RECOVERY_ACTIONS = (
    "none",
    "gpu_reset",
    "node_reboot",
    "drain_p2p",
    "drain_and_reset",
    "recover_imex_domain",
    "bus_reset",
    "system_reboot",
)
"""By number, nvml.h of CUDA 13 (nvmlDeviceGpuRecoveryAction_t)."""

COMPUTE_MODES = ("default", "exclusive_thread", "prohibited", "exclusive_process")

FABRIC_STATES = ("not_supported", "not_started", "in_progress", "completed")

_WRONG_FABRIC = (
    "",
    "",
    "wrong system id",
    "wrong chassis number",
    "no partition",
    "too few NVLinks",
    "incompatible firmware",
    "invalid location",
    "invalid GPU state",
)

# Bit of the health mask, its width's mask, and the words of each value; nvml.h of CUDA 13
# (NVML_GPU_FABRIC_HEALTH_MASK_*): 0 means not supported, of those two bits wide 1 means yes and 2 no.
_FABRIC_HEALTH = (
    (0, 0x3, ("", "degraded bandwidth")),
    (2, 0x3, ("", "route recovery")),
    (4, 0x3, ("", "unhealthy route")),
    (6, 0x3, ("", "access timeout recovery")),
    (8, 0xF, _WRONG_FABRIC),
)


def throttle_words(reasons: int) -> str:
    """Return why clocks are lower than they could be, "" when they are not."""
    return ", ".join(words for bit, words in THROTTLE.items() if reasons & bit)


def fabric_health_words(mask: int) -> str:
    """Return what is wrong with the NVLink fabric, "" when nothing is."""
    return ", ".join(_wrong(mask))


def _wrong(mask: int) -> Iterator[str]:
    for shift, width, words in _FABRIC_HEALTH:
        value = (mask >> shift) & width
        if value < len(words) and words[value]:
            yield words[value]


def named(number: int, names: Iterable[str]) -> str:
    """Return the name of *number*, or the number itself where a newer driver knows more than we do."""
    return dict(enumerate(names)).get(number, str(number))
