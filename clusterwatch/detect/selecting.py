"""A log in bytes to the lines of it that may say anything: those that rules, tracebacks or placements begin with.

What is not selected gives no event, whatever carries the line: escapes and control characters are taken out before the
search where a block holds any, and literals are searched for as JSON writes them, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clusterwatch.detect.engines import sensor
from clusterwatch.detect.finding import Finder
from clusterwatch.detect.rules import Rule
from clusterwatch.reading.text import NOISE, without_noise

_PLACEMENTS = (b" nranks ", b"WORLD_SIZE")
_ANCHORS = (
    b"Traceback (most recent call last)",
    b'", line ',
    b'\\", line ',
    b"Exception ignored in",
    b"Root Cause (first observed failure)",
    b"Failures:",
    b"srun: error: ",
    # Characters that JSON and /dev/kmsg write as numbers, and texts that the journal writes as lists of them.
    b"\\u00",
    b"\\u20",
    b"\\u06",
    b"\\x",
    b'"MESSAGE":[',
    b'"MESSAGE": [',
    b'"MESSAGE" : [',
)
# What journald moves out of a message into a field of its own.
_IDENTIFIER = re.compile(r"([\w.-]{2,40})(?:\[\d+\])?: ")


class Selected(NamedTuple):
    """A line: offsets of its first byte and of its line feed; whether it only says where a rank runs."""

    start: int
    end: int
    is_placement: bool = False


class Selector:
    """Selects the lines that may say anything to *rules*, or to what assembles texts of several lines."""

    def __init__(self, rules: Iterable[Rule], engine: str = "auto") -> None:
        written = {form for rule in rules for literal in rule.literals for form in _forms(literal)}
        self._literals = [*_PLACEMENTS, *sorted(written.union(_ANCHORS).difference(_PLACEMENTS))]
        self._finder = Finder(self._literals, engine)
        self._has_noise = sensor(NOISE, engine)

    def lines(self, text: bytearray, size: int) -> list[Selected]:
        """Return the lines of *text*, as far as *size*, in order."""
        with memoryview(text) as view, view[:size] as part:
            if self._has_noise(part):
                return list(self._lines_of_noise(bytes(part)))
        places = len(_PLACEMENTS)
        return [Selected(start, end, last < places) for start, end, last in self._finder.held_lines(text, size)]

    def _lines_of_noise(self, text: bytes) -> Iterator[Selected]:
        clean = without_noise(text)
        starts = [0, *(found.end() for found in re.finditer(b"\n", text)), len(text) + 1]
        number = at = 0
        for start, _, last in self._finder.held_lines(clean, len(clean)):
            number += clean.count(b"\n", at, start)
            at = start
            yield Selected(starts[number], min(starts[number + 1] - 1, len(text)), last < len(_PLACEMENTS))


def _forms(literal: str) -> set[bytes]:
    """Return *literal* as it may stand in a line: as it is, in JSON of several writers, without its identifier."""
    plain, ascii_only = json.dumps(literal, ensure_ascii=False)[1:-1], json.dumps(literal)[1:-1]
    # Go's encoder writes the signs of HTML as numbers, PHP's and others write a slash with a backslash.
    html = plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    forms = {literal, plain, ascii_only, html, html.replace("/", "\\/"), plain.replace("/", "\\/")}
    identifier = _IDENTIFIER.match(literal)
    if identifier:
        # As a value, not as the name of a field, which many records have: "status", "error".
        forms.update(f'"{identifier[1]}"{behind}' for behind in ",}] ")
    return {form.encode("utf-8", "surrogatepass") for form in forms}
