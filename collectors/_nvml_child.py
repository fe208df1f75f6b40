"""NVML behind a pipe: one JSON request per line in, one JSON answer per line out.

Runs as a process of its own (`python -m collectors._nvml_child`), because a call into a driver that lost its GPU may
never return. An answer is {"gpus": [...], "xids": [...]}, {"condition": "..."} or {"error": "..."}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pynvml

from collectors._nvml_calls import ABSENT, Answer
from collectors._nvml_values import GROUPS, Group
from collectors._nvml_xids import Xids

NO_DRIVER = "no NVIDIA driver here"

_NO_DRIVER = (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)


def main() -> None:
    """Answer each line of standard input until it ends."""
    driver = _Driver()
    for _ in sys.stdin:
        print(json.dumps(driver.answer()), flush=True)


class _Driver:
    """NVML, started at the first request and again after the driver went away."""

    def __init__(self) -> None:
        self._xids: Xids | None = None
        self._version: str | None = None

    def answer(self) -> Answer:
        try:
            xids = self._started()
            gpus = [_sample(index) | {"driver_version": self._version} for index in range(pynvml.nvmlDeviceGetCount())]
            return {"gpus": gpus, "xids": xids.since_last()}
        except pynvml.NVMLError as error:
            self._stop()
            return {"condition": NO_DRIVER} if error.value in _NO_DRIVER else {"error": str(error)}

    def _started(self) -> Xids:
        if self._xids is None:
            pynvml.nvmlInit()
            self._version = _driver_version()
            self._xids = Xids([_handle(index) for index in range(pynvml.nvmlDeviceGetCount())])
        return self._xids

    def _stop(self) -> None:
        if self._xids is not None:
            self._xids.close()
        self._xids = None


def _driver_version() -> str | None:
    try:
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None


def _handle(index: int) -> Any:
    try:
        return pynvml.nvmlDeviceGetHandleByIndex(index)
    except pynvml.NVMLError:
        return None  # its sample says why


def _sample(index: int) -> Answer:
    sample: Answer = {"index": index, "reset_required": False}
    try:
        gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
        for group in GROUPS:
            sample |= _present(group, gpu, sample)
    except pynvml.NVMLError as error:
        sample |= _refusal(error) | {"certain": error.value == pynvml.NVML_ERROR_GPU_IS_LOST}
    return sample


def _present(group: Group, gpu: Any, sample: Answer) -> Answer:
    """Return what *group* gives for the GPU; nothing where there is no such value. A GPU that is gone raises."""
    try:
        return group(gpu)
    except pynvml.NVMLError as error:
        if _is_gone(error, sample):
            raise
        return {} if error.value in ABSENT else _refusal(error, sample)


def _is_gone(error: pynvml.NVMLError, sample: Answer) -> bool:
    # "Unknown" is said for other reasons too; of a GPU that cannot even say who it is it means that nothing works.
    return error.value == pynvml.NVML_ERROR_GPU_IS_LOST or (
        error.value == pynvml.NVML_ERROR_UNKNOWN and "uuid" not in sample
    )


def _refusal(error: pynvml.NVMLError, sample: Answer | None = None) -> Answer:
    """Return what is said of a GPU that refuses; the first refusal of a sample is the one that is kept."""
    told: Answer = {"error": (sample or {}).get("error") or str(error)}
    return told | ({"reset_required": True} if error.value == pynvml.NVML_ERROR_RESET_REQUIRED else {})


if __name__ == "__main__":
    main()
