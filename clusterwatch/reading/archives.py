"""Beginning and end of a saved file to whether it is whole."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_ZIP_HEAD = b"PK\x03\x04"
_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 22
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES = 20
_ZIP64_RECORDS_BYTES = 76  # end record and locator, between the directory and the plain end record
_ZIP64_MARK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file as it was found.

    Attributes:
        size: In bytes.
        modified_at: Seconds since the epoch.
        head, tail: Its first and last bytes, as many as `excerpt_of` asks for; empty before they were read.
    """

    size: int
    modified_at: float
    head: bytes = b""
    tail: bytes = b""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a file or folder is whole: *problem* is "" when it is, *verified* whether that could be checked."""

    problem: str = ""
    verified: bool = True


WHOLE = Verdict()
UNCHECKED = Verdict(verified=False)


def file_verdict(name: str, file: FileSeen) -> Verdict:
    """Return whether the file is whole, by the marks its format has; unverified where it has none."""
    if file.size == 0:
        return Verdict(f"{name} is empty")
    check = _CHECKS.get(_suffix(name))
    return check(name, file) if check else UNCHECKED


def json_value(name: str, file: FileSeen) -> tuple[object, Verdict]:
    """Return what a JSON file holds, None where it is not readable, and whether it is whole."""
    if len(file.head) < file.size:
        return None, UNCHECKED
    try:
        return json.loads(file.head), WHOLE
    except (ValueError, RecursionError):
        return None, Verdict(f"{name} is no JSON: it was not written to its end")


def _suffix(name: str) -> str:
    return name[name.rfind(".") :] if "." in name else ""


def _zip(name: str, file: FileSeen) -> Verdict:
    if not file.head.startswith(_ZIP_HEAD[: min(file.size, len(_ZIP_HEAD))]):
        return UNCHECKED  # what torch.save wrote before version 1.6, or another format
    end = file.tail.rfind(_ZIP_END)
    if end < 0 or len(file.tail) - end < _ZIP_END_BYTES:
        return Verdict(f"{name} is cut short: the archive's end record is missing")
    size, offset = struct.unpack_from("<II", file.tail, end + 12)
    if _ZIP64_MARK in (size, offset):
        locator = file.tail[max(end - _ZIP64_LOCATOR_BYTES, 0) : end]
        return WHOLE if locator.startswith(_ZIP64_LOCATOR) else Verdict(f"{name} has a damaged end record")
    gap = file.size - len(file.tail) + end - offset - size
    return WHOLE if 0 <= gap <= _ZIP64_RECORDS_BYTES else Verdict(f"{name} has bytes missing in its middle")


def _safetensors(name: str, file: FileSeen) -> Verdict:
    """Check the length that the header announces.

    Source:
        https://huggingface.co/docs/safetensors/index#format
    """
    header_bytes = int.from_bytes(file.head[:8], "little")
    if file.size < 8 + header_bytes:
        return Verdict(f"{name} is cut short within its header")
    if len(file.head) < 8 + header_bytes:
        return UNCHECKED
    try:
        expected = 8 + header_bytes + _data_bytes(json.loads(file.head[8 : 8 + header_bytes]))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        return Verdict(f"{name} has a damaged header")
    return WHOLE if file.size == expected else Verdict(f"{name} has {file.size} bytes where {expected} belong")


def _data_bytes(header: Mapping[str, Mapping[str, list[int]]]) -> int:
    return max((tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"), default=0)


_Check = Callable[[str, FileSeen], Verdict]
_CHECKS: Mapping[str, _Check] = {
    ".pt": _zip,
    ".pth": _zip,
    ".ckpt": _zip,
    ".bin": _zip,
    ".npz": _zip,
    ".safetensors": _safetensors,
}
