"""A line of the report protocol to what a training loop says of itself.

1. ``clusterwatch:`` and then ``name=value`` pairs to the end of the line; something may stand before it, such as what
   a launcher or a logger puts there. Names that nobody knows are left out.
2. A value is a word, or a JSON string where it has spaces.
3. What is not such a line to its end says nothing: half a line may hold half a number. Of two lines that ran into each
   other the second counts.
4. Texts are a user's: one with control characters or with half a character is not taken.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from clusterwatch.model import Scalar

MARK = "clusterwatch:"
LONGEST_TEXT = 3000

_MOST_MARKS = 4
_MOST_PAIRS = 32
_PAIR = re.compile(r' ([a-z][a-z0-9_]{0,31})=("(?:[^"\\]|\\.){0,6000}"|[^\s"=]{1,3000})(?= |$)')
_NUMBERS = frozenset({"step", "loss", "tokens", "step_seconds", "total", "seconds", "stall", "bytes", "at", "rank"})
_TEXTS = frozenset({"checkpoint", "section", "state", "path"})


class Topic(StrEnum):
    """What a report is about."""

    STEP = "step"
    CHECKPOINT = "checkpoint"
    SECTION = "section"


@dataclass(frozen=True, slots=True)
class Report:
    """What a line says.

    Attributes:
        values: Numbers as float (a loss may be no finite one), texts as they are.
        at: When it was written, by the clock of its writer, UTC; None where it does not say.
    """

    topic: Topic
    values: Mapping[str, Scalar] = field(default_factory=dict)
    at: datetime | None = None

    def number(self, name: str) -> float | None:
        """Return the finite number of that name; None where there is none."""
        value = self.values.get(name)
        return value if isinstance(value, float) and math.isfinite(value) else None

    def whole(self, name: str) -> int | None:
        """Return the whole number of that name that is not negative; None where there is none."""
        value = self.number(name)
        return int(value) if value is not None and 0 <= value < 2**53 else None

    def text(self, name: str) -> str:
        """Return the text of that name; "" where there is none."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""


def report_in(line: str, *, is_cut: bool = False) -> Report | None:
    """Return what *line* reports; None where it is no report. Of one that was cut the last pair does not count."""
    begin = line.find(MARK)
    for _ in range(_MOST_MARKS):
        if begin < 0:
            return None
        pairs = _pairs(line[begin + len(MARK) :].rstrip())
        if pairs is not None:
            return _report(dict(pairs[:-1] if is_cut else pairs))
        begin = line.find(MARK, begin + len(MARK))
    return None


def _pairs(rest: str) -> list[tuple[str, Scalar]] | None:
    found: list[tuple[str, Scalar]] = []
    end = 0
    while end < len(rest):
        pair = _PAIR.match(rest, end)
        if pair is None or len(found) == _MOST_PAIRS:
            return None
        found.append((pair[1], _value(pair[1], pair[2])))
        end = pair.end()
    return found or None


def _value(name: str, written: str) -> Scalar:
    if name in _TEXTS:
        return _text(written)
    if name not in _NUMBERS:
        return None
    try:
        return float(written)
    except ValueError:
        return None


def _text(written: str) -> str | None:
    text = written
    if written.startswith('"'):
        try:
            text = json.loads(written)
        except ValueError:
            return None
    return text if text.isprintable() and len(text) <= LONGEST_TEXT else None


def _report(values: Mapping[str, Scalar]) -> Report | None:
    known = {name: value for name, value in values.items() if value is not None}
    topic = next((topic for topic in _TOPICS if topic.value in known), None)
    return Report(topic, known, _time(known.get("at"))) if topic is not None else None


def _time(value: Scalar) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(str(value)), UTC) if value is not None else None
    except (ValueError, OverflowError, OSError):
        return None


# A checkpoint names its step too.
_TOPICS = (Topic.CHECKPOINT, Topic.SECTION, Topic.STEP)
