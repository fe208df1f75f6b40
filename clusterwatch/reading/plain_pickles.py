"""Bytes of a pickle to plain values: containers, strings and numbers; anything that could run code is refused.

1. A pickle is a program. What it may do here is fixed before it runs: its opcodes are read once, and only those that
   make or fill dict, list, tuple, str, int, float, bool and None are let through.
2. A pickle that asks the unpickler for more memory than its own size can need is refused as well.
3. Every look-up of a name is refused by the unpickler itself too, so that neither guard stands alone.
"""

from __future__ import annotations

import io
import pickle  # a name it would look up is refused below
import re
import struct
from typing import NoReturn

from clusterwatch.errors import SourceError
from clusterwatch.reading.pickles import UnsafePickleError

# Opcodes of a fixed length, most frequent first. The memo is an array: an index (little-endian) above 2**20 would ask
# for more memory than any dump needs.
_FIXED = re.compile(
    rb"(?:h.|K.|[(\]})\x85-\x89Nteaus0\x94]|q.|J....|M..|\x8a(?:\x08.{8}|\x00|\x01.|\x02..|\x03...|\x04....|\x05.{5}|\x06.{6}"
    rb"|\x07.{7})|G.{8}|j....|r..[\x00-\x0f]\x00|\x80[\x02-\x05]|\x95.{8})*+",
    re.DOTALL,
)
_LONGEST = 10
_STOP = 0x2E
# Opcode of a string to the format of its length: BINUNICODE, SHORT_BINUNICODE, BINUNICODE8.
_STRINGS = {0x58: "<I", 0x8C: "<B", 0x8D: "<Q"}


class _Refusing(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise UnsafePickleError(f"it names {module}.{name}; a dump holds only plain values")

    def persistent_load(self, pid: object) -> NoReturn:
        raise UnsafePickleError("it refers to objects outside of it; a dump holds only plain values")


def plain_value(raw: bytes) -> object:
    """Return the value of the pickle *raw*, made of dict, list, tuple, str, int, float, bool and None.

    Raises:
        UnsafePickleError: It would do more than make such values.
        SourceError: It is cut short or no pickle at all.
    """
    _check(raw)
    try:
        return _Refusing(io.BytesIO(raw)).load()
    except SourceError:
        raise
    # A damaged pickle makes the unpickler stumble in any way; all mean the same.
    except Exception as error:
        raise SourceError(f"not a readable pickle: {type(error).__name__}: {error}") from error


def _check(raw: bytes) -> None:
    place, end = 0, len(raw)
    while place < end:
        place = _end_of_run(raw, place)
        if place >= end:
            break
        opcode = raw[place]
        if opcode == _STOP:
            return
        form = _STRINGS.get(opcode)
        if form is None and end - place < _LONGEST:
            break
        if form is None:
            raise UnsafePickleError(f"opcode {opcode:#04x} at byte {place} makes more than plain values")
        place = _after_string(raw, place + 1, form)
    raise SourceError("not a readable pickle: it is cut short")


def _end_of_run(raw: bytes, place: int) -> int:
    run = _FIXED.match(raw, place)
    return run.end() if run else place


def _after_string(raw: bytes, place: int, form: str) -> int:
    start = place + struct.calcsize(form)
    if start > len(raw):
        raise SourceError("not a readable pickle: it is cut short")
    length: int = struct.unpack_from(form, raw, place)[0]
    if start + length > len(raw):
        raise SourceError("not a readable pickle: it is cut short")
    return start + length
