"""A GPU's NVLinks: which are active, and the errors that each counted.

Counters are asked as fields of each link; by the older call where the driver does not know these fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pynvml

from collectors._nvml_calls import ABSENT, Answer, field_values

# Per link: what is summed, and the fields that count it; the first that the GPU has is taken.
_LINK_FIELDS = {
    "replays": (pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY,),
    "crc_errors": (pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_CRC, pynvml.NVML_FI_DEV_NVLINK_COUNT_RCV_ERRORS),
    "recoveries": (
        pynvml.NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS,
        pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY,
    ),
    "recovery_failures": (pynvml.NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS,),
}
_LINK_COUNTERS = {
    "replays": (pynvml.NVML_NVLINK_ERROR_DL_REPLAY,),
    "crc_errors": (pynvml.NVML_NVLINK_ERROR_DL_CRC_FLIT, pynvml.NVML_NVLINK_ERROR_DL_CRC_DATA),
    "recoveries": (pynvml.NVML_NVLINK_ERROR_DL_RECOVERY,),
}


def links(gpu: Any) -> Answer:
    """Return which NVLinks are active, and what they counted together and each."""
    states = dict(_link_states(gpu))
    if not states:
        return {}
    down = [link for link, is_active in states.items() if not is_active]
    return {
        "nvlinks_active": len(states) - len(down),
        "nvlinks_total": len(states),
        "nvlinks_down": ",".join(map(str, down)),
        **_link_totals(_link_errors(gpu, list(states)), len(states)),
    }


def _link_states(gpu: Any) -> Iterator[tuple[int, bool]]:
    for link in range(pynvml.NVML_NVLINK_MAX_LINKS):
        try:
            yield link, bool(pynvml.nvmlDeviceGetNvLinkState(gpu, link))
        except pynvml.NVMLError as error:
            if error.value not in ABSENT:
                raise
            return


def _link_errors(gpu: Any, links: Sequence[int]) -> dict[str, dict[int, int]]:
    """Return what each link counted, by what it counts; only what at least one link has."""
    try:
        counted = _link_errors_in_fields(gpu, links)
    except pynvml.NVMLError as error:
        if error.value not in ABSENT:
            raise
        counted = {}
    return counted or _link_errors_by_call(gpu, links)


def _link_errors_in_fields(gpu: Any, links: Sequence[int]) -> dict[str, dict[int, int]]:
    ids = sorted({number for numbers in _LINK_FIELDS.values() for number in numbers})
    wanted = [(number, link) for link in links for number in ids]
    values = dict(zip(wanted, field_values(gpu, wanted), strict=True))
    counted: dict[str, dict[int, int]] = {}
    for name, numbers in _LINK_FIELDS.items():
        for link in links:
            held = next((value for number in numbers if (value := values[number, link]) is not None), None)
            if held is not None:
                counted.setdefault(name, {})[link] = int(held)
    return counted


def _link_errors_by_call(gpu: Any, links: Sequence[int]) -> dict[str, dict[int, int]]:
    counted: dict[str, dict[int, int]] = {}
    for name, counters in _LINK_COUNTERS.items():
        for link in links:
            held = _counted_by_call(gpu, link, counters)
            if held is not None:
                counted.setdefault(name, {})[link] = held
    return counted


def _counted_by_call(gpu: Any, link: int, counters: Iterable[int]) -> int | None:
    try:
        return sum(int(pynvml.nvmlDeviceGetNvLinkErrorCounter(gpu, link, counter)) for counter in counters)
    except pynvml.NVMLError as error:
        if error.value not in ABSENT:
            raise
        return None


def _link_totals(counted: Mapping[str, Mapping[int, int]], link_count: int) -> Answer:
    """A sum over fewer links than before would rise when they come back: without all of them there is none."""
    by_link: dict[int, int] = {}
    for values in counted.values():
        for link, count in values.items():
            by_link[link] = by_link.get(link, 0) + count
    told = (f"{link}:{count}" for link, count in sorted(by_link.items()) if count)
    return {
        **{
            f"nvlink_{name}_total": sum(values.values())
            for name, values in counted.items()
            if len(values) == link_count
        },
        "nvlink_errors_total": sum(by_link.values()) if len(by_link) == link_count else None,
        "nvlink_errors_by_link": " ".join(told),
    }
