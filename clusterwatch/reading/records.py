"""Records of JSON that were written over several lines, as "jq" and "kubectl logs | jq" do, to one line each.

The bytes keep their length and every line after a record its number and its place: what the indentation took is given
back behind the record, as blanks and as empty lines.
"""

from __future__ import annotations

import re
from typing import Final

# As an expression: what ends in a line feed bytes.find searches for three times as long.
_OPENING: Final = re.compile(rb"\{\n")
# The indentation of the first line tells which line closes the record; everything in between is indented deeper.
_RECORD: Final = re.compile(rb"([ \t]{0,16})\{\n(?:\1[ \t][^\n]{0,1000}\n){1,60}\1\}(?=,?[ \t\r]{0,4}(?:\n|$))")
_MESSAGE: Final = re.compile(rb'\n[ \t]{1,20}"(?:message|msg|log|MESSAGE|textPayload)": {0,4}"')
_BREAK: Final = re.compile(rb"\n[ \t]*")
_MOST_BYTES: Final = 4000


def on_one_line(text: bytearray, end: int) -> None:
    """Write every record in the first *end* bytes of *text* that carries a message on the line where it begins."""
    opening = _OPENING.search(text, 0, end)
    while opening:
        begin = text.rfind(b"\n", 0, opening.start()) + 1
        record = _RECORD.match(text, begin, end)
        if record is not None and _is_one_message(record):
            text[begin : record.end()] = _joined(record[0])
        opening = _OPENING.search(text, record.end() if record else opening.end(), end)


def _is_one_message(record: re.Match[bytes]) -> bool:
    return record.end() - record.start() <= _MOST_BYTES and _MESSAGE.search(record[0]) is not None


def _joined(record: bytes) -> bytes:
    joined = _BREAK.sub(b"", record).lstrip()
    breaks = record.count(b"\n")
    return joined + b" " * (len(record) - len(joined) - breaks) + b"\n" * breaks
