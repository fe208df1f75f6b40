"""One GPU's values from NVML, in groups of which each may be missing on its own.

Every call is NVIDIA's, https://docs.nvidia.com/deploy/nvml-api/ . What a driver or GPU does not have is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ctypes import byref
from typing import Any

import pynvml

from collectors import _nvml_fields as fields
from collectors._nvml_calls import Answer, field_values
from collectors._nvml_links import links

Group = Callable[[Any], Answer]

_ERROR_KINDS = {
    "corrected": pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED,
    "uncorrected": pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
}
_LIVES = {False: pynvml.NVML_VOLATILE_ECC, True: pynvml.NVML_AGGREGATE_ECC}
_LOCATIONS = {"dram": pynvml.NVML_MEMORY_LOCATION_DRAM, "sram": pynvml.NVML_MEMORY_LOCATION_SRAM}

# Before Ampere. Location -> fields of single-bit and double-bit errors, since the driver started and over the life.
_OLD_LOCATIONS = {
    "l1_cache": "L1",
    "l2_cache": "L2",
    "device_memory": "DEV",
    "register_file": "REG",
    "texture_memory": "TEX",
    "cbu": "CBU",
}
_OLD_ECC = {
    fields.ecc_field(location, kind, is_aggregate=life == "AGG"): getattr(pynvml, name)
    for location, unit in _OLD_LOCATIONS.items()
    for kind, bits in (("corrected", "SBE"), ("uncorrected", "DBE"))
    for life in ("VOL", "AGG")
    if hasattr(pynvml, name := f"NVML_FI_DEV_ECC_{bits}_{life}_{unit}")
}

# The last four are margins at which something happens, since Hopper; they may be negative.
_TEMPERATURES = {
    "memory_temperature_celsius": pynvml.NVML_FI_DEV_MEMORY_TEMP,
    "temperature_margin_at_max_celsius": pynvml.NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT,
    "temperature_margin_at_memory_max_celsius": pynvml.NVML_FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT,
    "temperature_margin_at_slowdown_celsius": pynvml.NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT,
    "temperature_margin_at_shutdown_celsius": pynvml.NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT,
}

MOST_PIDS = 32


def _in_fields(ids: Mapping[str, int]) -> Group:
    def values(gpu: Any) -> Answer:
        return dict(zip(ids, field_values(gpu, [(number, 0) for number in ids.values()]), strict=True))

    return values


def _one(name: str, call: Callable[[Any], object]) -> Group:
    return lambda gpu: {name: call(gpu)}


def _threshold(name: str, which: int) -> Group:
    return _one(name, lambda gpu: pynvml.nvmlDeviceGetTemperatureThreshold(gpu, which))


def _ecc_total(kind: str, *, is_aggregate: bool) -> Group:
    name = fields.ecc_field("", kind, is_aggregate=is_aggregate)
    return _one(name, lambda gpu: pynvml.nvmlDeviceGetTotalEccErrors(gpu, _ERROR_KINDS[kind], _LIVES[is_aggregate]))


def _ecc_at(location: str, kind: str, *, is_aggregate: bool) -> Group:
    name, place = fields.ecc_field(location, kind, is_aggregate=is_aggregate), _LOCATIONS[location]
    return _one(
        name,
        lambda gpu: pynvml.nvmlDeviceGetMemoryErrorCounter(gpu, _ERROR_KINDS[kind], _LIVES[is_aggregate], place),
    )


def _sram(gpu: Any) -> Answer:
    status = pynvml.c_nvmlEccSramErrorStatus_v1_t()
    pynvml.nvmlDeviceGetSramEccErrorStatus(gpu, byref(status))
    units = {
        f"sram_uncorrected_{unit}_aggregate_total": getattr(status, f"aggregateUncBucket{unit.capitalize()}")
        for unit in fields.SRAM_UNITS
    }
    return {
        "sram_uncorrected_parity_total": status.volatileUncParity,
        "sram_uncorrected_secded_total": status.volatileUncSecDed,
        "sram_uncorrected_parity_aggregate_total": status.aggregateUncParity,
        "sram_uncorrected_secded_aggregate_total": status.aggregateUncSecDed,
        "sram_threshold_exceeded": bool(status.bThresholdExceeded),
        **units,
    }


def _remapped_rows(gpu: Any) -> Answer:
    correctable, uncorrectable, pending, failed = pynvml.nvmlDeviceGetRemappedRows(gpu)
    return {
        "remapped_correctable_rows": correctable,
        "remapped_uncorrectable_rows": uncorrectable,
        "remap_pending": bool(pending),
        "remap_failed": bool(failed),
    }


def _remap_banks(gpu: Any) -> Answer:
    histogram = pynvml.nvmlDeviceGetRowRemapperHistogram(gpu)
    return {f"remap_banks_{banks}": getattr(histogram, banks) for banks in fields.REMAP_BANKS}


def _retired(name: str, cause: int) -> Group:
    return _one(name, lambda gpu: len(pynvml.nvmlDeviceGetRetiredPages(gpu, cause)))


def _memory(gpu: Any) -> Answer:
    memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
    return {"memory_used_bytes": memory.used, "memory_total_bytes": memory.total}


def _throttle(gpu: Any) -> Answer:
    """The driver renamed the call in version 535 and kept the bits."""
    try:
        reasons = pynvml.nvmlDeviceGetCurrentClocksEventReasons(gpu)
    except pynvml.NVMLError_FunctionNotFound:
        reasons = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)
    return {"throttle_reasons": reasons, "throttle": fields.throttle_words(reasons)}


def _fabric(gpu: Any) -> Answer:
    """State of the fabric that GPUs behind NVSwitches join; Hopper and later."""
    try:
        info = pynvml.c_nvmlGpuFabricInfo_v2_t()
        pynvml.nvmlDeviceGetGpuFabricInfoV(gpu, byref(info))
    except (pynvml.NVMLError_FunctionNotFound, pynvml.NVMLError_ArgumentVersionMismatch):
        info = pynvml.c_nvmlGpuFabricInfo_t()
        pynvml.nvmlDeviceGetGpuFabricInfo(gpu, byref(info))
    if info.state == pynvml.NVML_GPU_FABRIC_STATE_NOT_SUPPORTED:
        return {}
    health = getattr(info, "healthMask", None)
    return {
        "fabric_state": fields.named(info.state, fields.FABRIC_STATES),
        "fabric_status": "ok" if info.status == pynvml.NVML_SUCCESS else str(pynvml.NVMLError(info.status)),
        "fabric_health": None if health is None else fields.fabric_health_words(health),
        "fabric_clique": info.cliqueId,
    }


def _recovery(gpu: Any) -> Answer:
    (action,) = field_values(gpu, [(pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, 0)])
    return {} if action is None else {"recovery_action": fields.named(int(action), fields.RECOVERY_ACTIONS)}


def _processes(gpu: Any) -> Answer:
    # By its version: the plain name refuses to run over an older driver.
    pids = sorted(process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses_v3(gpu))
    return {"process_count": len(pids), "process_pids": ",".join(map(str, pids[:MOST_PIDS]))}


# Identity first: a GPU that goes in the middle of a sample is still named.
GROUPS: tuple[Group, ...] = (
    _one("uuid", pynvml.nvmlDeviceGetUUID),
    _one("pci", lambda gpu: pynvml.nvmlDeviceGetPciInfo(gpu).busId),
    _one("serial", pynvml.nvmlDeviceGetSerial),
    _one("name", pynvml.nvmlDeviceGetName),
    _recovery,
    _one("temperature_celsius", lambda gpu: pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU)),
    _one("temperature_margin_celsius", pynvml.nvmlDeviceGetMarginTemperature),
    _threshold("temperature_max_celsius", pynvml.NVML_TEMPERATURE_THRESHOLD_GPU_MAX),
    _threshold("temperature_slowdown_celsius", pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN),
    _threshold("temperature_shutdown_celsius", pynvml.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN),
    _in_fields(_TEMPERATURES),
    _threshold("memory_temperature_max_celsius", pynvml.NVML_TEMPERATURE_THRESHOLD_MEM_MAX),
    _one("power_watts", lambda gpu: pynvml.nvmlDeviceGetPowerUsage(gpu) / 1000),
    _one("power_limit_watts", lambda gpu: pynvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000),
    _memory,
    _one("utilization_percent", lambda gpu: pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu),
    _one("sm_clock_mhz", lambda gpu: pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_SM)),
    _one("sm_clock_max_mhz", lambda gpu: pynvml.nvmlDeviceGetMaxClockInfo(gpu, pynvml.NVML_CLOCK_SM)),
    _one("memory_clock_mhz", lambda gpu: pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_MEM)),
    _throttle,
    _one("ecc_enabled", lambda gpu: bool(pynvml.nvmlDeviceGetEccMode(gpu)[0])),
    *(_ecc_total(kind, is_aggregate=life) for kind in fields.ECC_KINDS for life in (False, True)),
    *(
        _ecc_at(location, kind, is_aggregate=life)
        for location in _LOCATIONS
        for kind in fields.ECC_KINDS
        for life in (False, True)
    ),
    _in_fields(_OLD_ECC),
    _sram,
    _remapped_rows,
    _remap_banks,
    _retired("retired_pages_correctable", pynvml.NVML_PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS),
    _retired("retired_pages_uncorrectable", pynvml.NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR),
    _one("retired_pages_pending", lambda gpu: bool(pynvml.nvmlDeviceGetRetiredPagesPendingStatus(gpu))),
    links,
    _fabric,
    _one("pcie_generation", pynvml.nvmlDeviceGetCurrPcieLinkGeneration),
    _one("pcie_generation_max", pynvml.nvmlDeviceGetMaxPcieLinkGeneration),
    _one("pcie_width", pynvml.nvmlDeviceGetCurrPcieLinkWidth),
    _one("pcie_width_max", pynvml.nvmlDeviceGetMaxPcieLinkWidth),
    _one("pcie_replays_total", pynvml.nvmlDeviceGetPcieReplayCounter),
    _one("persistence_mode", lambda gpu: bool(pynvml.nvmlDeviceGetPersistenceMode(gpu))),
    _one("compute_mode", lambda gpu: fields.named(pynvml.nvmlDeviceGetComputeMode(gpu), fields.COMPUTE_MODES)),
    _one("mig_enabled", lambda gpu: bool(pynvml.nvmlDeviceGetMigMode(gpu)[0])),
    _processes,
)
"""What is asked of a GPU, each group on its own: one that is missing takes no other with it."""
