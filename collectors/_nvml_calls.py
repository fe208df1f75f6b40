"""What every group of NVML's values needs: which refusals mean "not here", and values asked by their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pynvml

Answer = dict[str, object]

# Not there on an old driver, not on this GPU, or not for this user: no value, and nothing wrong.
ABSENT = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
    pynvml.NVML_ERROR_DEPRECATED,
    pynvml.NVML_ERROR_NO_DATA,
    pynvml.NVML_ERROR_NOT_FOUND,
)

_VALUE_OF_TYPE = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: "usVal",
}


def field_values(gpu: Any, wanted: Sequence[tuple[int, int]]) -> list[int | float | None]:
    """Return the value of each (field, scope), None where this GPU has none.

    Raises:
        pynvml.NVMLError: The GPU is gone.
    """
    return [_field_value(value) for value in pynvml.nvmlDeviceGetFieldValues(gpu, list(wanted))]


def _field_value(value: Any) -> int | float | None:
    if value.nvmlReturn == pynvml.NVML_ERROR_GPU_IS_LOST:
        raise pynvml.NVMLError(value.nvmlReturn)
    if value.nvmlReturn != pynvml.NVML_SUCCESS or value.valueType not in _VALUE_OF_TYPE:
        return None
    held: int | float = getattr(value.value, _VALUE_OF_TYPE[value.valueType])
    return held
