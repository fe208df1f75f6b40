"""Facts to a line of the report protocol: ``clusterwatch: step=120 loss=1.83 path="/a path/step_120"``.

1. A line begins with the mark and holds ``name=value`` pairs, each after a space, in any order.
2. A value stands as it is where it has no space, quote, equals sign or control character; else as a JSON string.
3. A line is one line of ASCII of at most `LONGEST` characters, so that it is written at once and read as it is.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Union

MARK = "clusterwatch:"

LONGEST = 3500
"""Whoever reads logs cuts longer lines."""

LARGEST_WHOLE = 2**53
"""Whole numbers from here on are not exact as those of JSON."""

Value = Union[str, int, float, None]  # Python 3.8 knows no other way to write it

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,~-]+").fullmatch


def line(facts: dict[str, Value]) -> str:
    """Return the line of *facts*, without a line feed; those that are None are left out, and texts that do not fit."""
    pairs = [f" {name}={written_value(value)}" for name, value in facts.items() if value is not None]
    written = MARK + "".join(pairs)
    return written if len(written) <= LONGEST else _shortened(pairs)


def written_value(value: str | int | float) -> str:
    """Return *value* as it stands in a line."""
    write = _WRITTEN.get(type(value))
    return write(value) if write is not None else _text(str(value))


def _shortened(pairs: list[str]) -> str:
    written = MARK
    for pair in pairs:
        if len(written) + len(pair) <= LONGEST:
            written += pair
    return written


def _text(value: str) -> str:
    # JSON leaves DEL as it is, which terminals and readers of logs take out.
    return value if _PLAIN(value) else json.dumps(value).replace("\x7f", "\\u007f")


_WRITTEN: dict[type, Callable[[Any], str]] = {
    int: str,
    float: "{:.12g}".format,
    str: _text,
    bool: lambda value: str(int(value)),
}


def number(value: object) -> float | None:
    """Return *value* as a number, whatever it is that can be one, such as a tensor; None where it cannot.

    A tensor of a GPU makes the program wait until it is computed.
    """
    if value is None:
        return None
    try:
        return float(value)  # type: ignore[arg-type] # what it cannot take it refuses
    except Exception:
        return None


def whole(value: object) -> int | None:
    """Return *value* as a whole number; None where it is none."""
    if type(value) is int:
        return value if abs(value) < LARGEST_WHOLE else None
    known = number(value)
    return int(known) if known is not None and known == known and abs(known) < LARGEST_WHOLE else None
