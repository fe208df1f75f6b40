"""NVML's event set to Xids: what the driver reports while nobody reads the kernel log."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

import pynvml

from collectors._nvml_calls import Answer

MOST_EVENTS = 100
"""Most events that are handed on at one look; the rest waits for the next."""

_ANY_INSTANCE = 0xFFFFFFFF


class Xids:
    """Registered with every GPU that lets itself be registered; without one there are no events, and nothing wrong."""

    def __init__(self, gpus: Sequence[Any]) -> None:
        self._index_of = {_address(gpu): index for index, gpu in enumerate(gpus) if gpu is not None}
        self._events: Any = None
        try:
            self._events = pynvml.nvmlEventSetCreate()
        except pynvml.NVMLError:
            return
        for gpu in filter(None, gpus):
            self._register(gpu)

    def since_last(self) -> list[Answer]:
        """Return the Xids that came since the last call, oldest first, with the index of their GPU."""
        return [] if self._events is None else list(self._waiting())

    def close(self) -> None:
        """Give the set back, as far as the driver still answers."""
        events, self._events = self._events, None
        if events is None:
            return
        try:
            pynvml.nvmlEventSetFree(events)
        except pynvml.NVMLError:
            return  # the driver that held it is gone

    def _register(self, gpu: Any) -> None:
        try:
            pynvml.nvmlDeviceRegisterEvents(gpu, pynvml.nvmlEventTypeXidCriticalError, self._events)
        except pynvml.NVMLError:
            return  # this GPU or this platform has no such events: the kernel log has them all the same

    def _waiting(self) -> Iterator[Answer]:
        for _ in range(MOST_EVENTS):
            try:
                event = pynvml.nvmlEventSetWait_v2(self._events, 0)
            except pynvml.NVMLError:
                return  # none left, or a GPU is gone, which its sample tells
            if event.eventType & pynvml.nvmlEventTypeXidCriticalError:
                yield self._answer(event)

    def _answer(self, event: Any) -> Answer:
        answer: Answer = {"index": self._index_of.get(_address(event.device)), "xid": event.eventData}
        if event.gpuInstanceId != _ANY_INSTANCE:
            answer["gpu_instance"] = event.gpuInstanceId
        return answer


def _address(gpu: Any) -> int | None:
    return ctypes.cast(gpu, ctypes.c_void_p).value
