"""NVML behind a pipe: one JSON request per line in, one JSON answer per line out.

Runs as a process of its own (`python -m collectors._nvml_child`), because a call into a driver that lost its GPU may
never return. An answer is {"gpus": [...]}, {"condition": "..."} or {"error": "..."}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pynvml

NO_DRIVER = "no NVIDIA driver here"

Answer = dict[str, object]

# Not there on an old driver, not on this GPU, or not for this user: no value, and nothing wrong.
_ABSENT = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
)
_NO_DRIVER = (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
# What a GPU answers that the driver reaches no more; "unknown" is said for other reasons too.
_GONE = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_UNKNOWN)

_LINK_COUNTERS = (
    pynvml.NVML_NVLINK_ERROR_DL_REPLAY,
    pynvml.NVML_NVLINK_ERROR_DL_RECOVERY,
    pynvml.NVML_NVLINK_ERROR_DL_CRC_FLIT,
    pynvml.NVML_NVLINK_ERROR_DL_CRC_DATA,
)


def main() -> None:
    """Answer each line of standard input until it ends."""
    driver = _Driver()
    for _ in sys.stdin:
        print(json.dumps(driver.answer()), flush=True)


class _Driver:
    """NVML, started at the first request and again after the driver went away."""

    def __init__(self) -> None:
        self._is_started = False

    def answer(self) -> Answer:
        try:
            if not self._is_started:
                pynvml.nvmlInit()
                self._is_started = True
            return {"gpus": [_sample(index) for index in range(pynvml.nvmlDeviceGetCount())]}
        except pynvml.NVMLError as error:
            self._is_started = False
            return {"condition": NO_DRIVER} if error.value in _NO_DRIVER else {"error": str(error)}


def _sample(index: int) -> Answer:
    sample: Answer = {"index": index}
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        for values in _GROUPS:
            sample |= _present(values, handle, sample)
    except pynvml.NVMLError as error:
        sample |= {"error": str(error), "certain": error.value == pynvml.NVML_ERROR_GPU_IS_LOST}
    return sample


def _present(values: Callable[[Any], Answer], handle: Any, sample: Answer) -> Answer:
    """Return what *values* gives for the GPU; nothing where there is no such value. A GPU that is gone raises."""
    try:
        return values(handle)
    except pynvml.NVMLError as error:
        if error.value in _GONE:
            raise
        return {} if error.value in _ABSENT else {"error": sample.get("error") or str(error)}


def _ecc(handle: Any, kind: int, counter: int) -> int:
    return int(pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, counter))


def _remapped_rows(handle: Any) -> Answer:
    correctable, uncorrectable, pending, failed = pynvml.nvmlDeviceGetRemappedRows(handle)
    return {
        "remapped_correctable_rows": correctable,
        "remapped_uncorrectable_rows": uncorrectable,
        "remap_pending": bool(pending),
        "remap_failed": bool(failed),
    }


def _memory(handle: Any) -> Answer:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return {"memory_used_bytes": memory.used, "memory_total_bytes": memory.total}


def _throttle(handle: Any) -> Answer:
    """The driver renamed the call in version 535 and kept the bits."""
    try:
        return {"throttle_reasons": pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)}
    except pynvml.NVMLError_FunctionNotFound:
        return {"throttle_reasons": pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)}


def _links(handle: Any) -> Answer:
    states = dict(_link_states(handle))
    if not states:
        return {}
    return {
        "nvlinks_active": sum(states.values()),
        "nvlinks_total": len(states),
        "nvlink_errors_total": _link_errors(handle, [link for link, is_active in states.items() if is_active]),
    }


def _link_states(handle: Any) -> Iterator[tuple[int, bool]]:
    for link in range(pynvml.NVML_NVLINK_MAX_LINKS):
        try:
            yield link, bool(pynvml.nvmlDeviceGetNvLinkState(handle, link))
        except pynvml.NVMLError as error:
            if error.value not in _ABSENT:
                raise
            return


def _link_errors(handle: Any, links: list[int]) -> int | None:
    try:
        counted = [
            pynvml.nvmlDeviceGetNvLinkErrorCounter(handle, link, counter)
            for link in links
            for counter in _LINK_COUNTERS
        ]
        return int(sum(counted))
    except pynvml.NVMLError as error:
        if error.value not in _ABSENT:
            raise
        return None


# Identity first: a GPU that goes in the middle of a sample is still named.
_GROUPS: tuple[Callable[[Any], Answer], ...] = (
    lambda gpu: {"uuid": pynvml.nvmlDeviceGetUUID(gpu)},
    lambda gpu: {"pci": pynvml.nvmlDeviceGetPciInfo(gpu).busId},
    lambda gpu: {"serial": pynvml.nvmlDeviceGetSerial(gpu)},
    lambda gpu: {"name": pynvml.nvmlDeviceGetName(gpu)},
    lambda gpu: {"temperature_celsius": pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU)},
    lambda gpu: {"power_watts": pynvml.nvmlDeviceGetPowerUsage(gpu) / 1000},
    _memory,
    lambda gpu: {"utilization_percent": pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu},
    lambda gpu: {"sm_clock_mhz": pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_SM)},
    lambda gpu: {
        "ecc_corrected_total": _ecc(gpu, pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_VOLATILE_ECC),
    },
    lambda gpu: {
        "ecc_uncorrected_total": _ecc(gpu, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC),
    },
    lambda gpu: {
        "ecc_uncorrected_aggregate_total": _ecc(
            gpu, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_AGGREGATE_ECC
        ),
    },
    _remapped_rows,
    _throttle,
    _links,
)


if __name__ == "__main__":
    main()
