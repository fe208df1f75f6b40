"""Times, spans and likelihoods to the words people read, and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0

_UNITS = {"s": 1.0, "m": _MINUTE, "h": _HOUR, "d": _DAY, "w": 7 * _DAY}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")

_SURE = ((0.9, "nearly certain"), (0.7, "likely"), (0.4, "leaning towards it"), (0.0, "unsure"))


def duration(seconds: float) -> str:
    """Return *seconds* in two units at most, such as "3 m 05 s"."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    # Rounded before the unit is chosen, so that 59.97 s is a minute and not "60 s".
    seconds = round(seconds, 1) if seconds < 10 else float(round(seconds))
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 and seconds % 1 else f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} m {seconds % _MINUTE:02.0f} s"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:02.0f} m"
    return f"{seconds // _DAY:.0f} d {seconds % _DAY // _HOUR:.0f} h"


def age(at: datetime | None, now: datetime) -> str:
    """Return how long ago *at* was, in its largest unit: "3 m ago"; "-" if it never was."""
    if at is None:
        return "-"
    seconds = (now - at) / timedelta(seconds=1)
    size, unit = next(
        (pair for pair in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")) if abs(seconds) >= pair[0]), (1.0, "s")
    )
    whole = int(abs(seconds) // size)
    return f"{whole} {unit} ago" if seconds >= 0 else f"in {whole} {unit}"


def stamp(at: datetime | None) -> str:
    """Return date and time to the second, UTC; "-" for None."""
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock_time(at: datetime | None) -> str:
    """Return the time of day to the second, UTC; "-" for None."""
    return "-" if at is None else f"{at.astimezone(UTC):%H:%M:%S}"


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share of 0-1 as "93 %"; "-" for None."""
    return "-" if share is None else f"{share * 100:.{digits}f} %"


def three_figures(number: float) -> str:
    """Return *number* with three figures at least, and no more than one after the point from ten on."""
    return f"{number:,.1f}" if number >= 10 else f"{number:.3g}"


def sureness(confidence: float) -> str:
    """Return a confidence of 0-1 in words."""
    return next(words for least, words in _SURE if confidence >= least)


def amount(count: int, noun: str) -> str:
    """Return "1 job", "2 jobs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def or_dash(value: object) -> str:
    """Return *value* as text; "-" for None and ""."""
    return "-" if value is None or value == "" else str(value)


def time_since(text: str, now: datetime) -> datetime:
    """Return the time that *text* means: a span before *now* ("90s", "1h30m", "2d"), or a date and time.

    A date and time without a zone is UTC.

    Raises:
        ValueError: If it is neither.
    """
    spans = _SPAN.findall(text)
    if spans and not _SPAN.sub("", text).strip():
        try:
            return now - timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in spans))
        except OverflowError as error:
            raise ValueError(f'"{text}" is too long ago') from error
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f'"{text}" is no time: expected a span such as 90s, 15m, 1h or 2d, or 2026-03-04T12:00'
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)
