"""Raw bytes of a log line to its text, the rank that printed it and the time it carries."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
_MONTH = "|".join(_MONTHS)

# What launchers put before a line. An outer one names a task of the launcher, which may be a whole node
# (srun starting one torchrun per node), so it only counts at the very beginning and an inner one overrules it.
_OUTER_PREFIXES = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        r" {0,5}(\d{1,6}):(?: |$)",  # srun --label; grep -n and times of day have no blank after the colon
        r"\[\d{1,9},(\d{1,6})\]<std(?:out|err)>: ?",  # mpirun --tag-output
    )
)
_INNER_PREFIXES = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        r"\[rank(\d{1,6})\]: ?",  # PyTorch's own, the global rank
        r"\[(?:default|trainer|worker)(\d{1,6})\]: ?",  # torchrun --tee: role and local rank
        r"\[rank: (\d{1,6})\] ",  # Lightning
        r"\[(\d{1,6})\]: ?",
    )
)
_NESTED_PREFIXES = 4

_SEPARATOR = r"[\]:,]?\s*"
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FRACTION = r"(?:[.,](?P<fraction>\d{1,9}))?"


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time found at the beginning of a line.

    *at* is in UTC; *has_zone* tells whether the line said so itself; *rest* is the line behind it.
    """

    at: datetime
    has_zone: bool
    rest: str


def decode(raw: bytes) -> str:
    """Return the text of one line: UTF-8 with replacement characters, no line end.

    Of a progress bar, which overwrites itself with carriage returns, the last part that holds anything is returned.
    """
    text = raw.decode("utf-8-sig", "replace").rstrip("\r\n")
    if "\r" not in text:
        return text
    parts = text.split("\r")
    return next((part for part in reversed(parts) if part.strip()), parts[-1])


def rank_prefix(text: str) -> tuple[int | None, str]:
    """Return the rank that a launcher's prefix names and the line without it; (None, text) without one.

    torchrun's ``[default3]:`` names the *local* rank, the same as the rank only on the job's first node.

    Source:
        https://docs.pytorch.org/docs/stable/elastic/run.html, https://slurm.schedmd.com/srun.html (--label)
    """
    rank, rest = _first_match(_OUTER_PREFIXES, text)
    for _ in range(_NESTED_PREFIXES):
        inner, shorter = _first_match(_INNER_PREFIXES, rest)
        if inner is None:
            break
        rank, rest = inner, shorter
    return rank, rest


def ranked_line(text: str, near: datetime) -> tuple[int | None, str]:
    """Return the rank of a line and the line without its prefix, looking behind a leading timestamp too."""
    rank, rest = rank_prefix(text)
    if rank is not None:
        return rank, rest
    stamp = leading_stamp(text, near)
    if stamp is None or not stamp.rest:
        return None, text
    rank, rest = _first_match(_INNER_PREFIXES, stamp.rest)
    return rank, text[: len(text) - len(stamp.rest)] + rest if rank is not None else text


# Each begins where the one before ended; all are short and none overlaps another, so the whole is linear.
_STAMP_OF_ANY_STYLE = (
    r"\d{4}[-/]\d\d[-/]\d\d[T _]\d\d:\d\d:\d\d(?:[.,:]\d{1,9})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
    rf"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?:{_MONTH}) {{1,2}}\d{{1,2}}"
    r" \d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: \d{4})?"
    r"|\d\d:\d\d:\d\d(?:[.,]\d{1,9})?| *\d{1,9}\.\d{6}"
)
_CARRIED = re.compile(
    rf"(?:\[(?:{_STAMP_OF_ANY_STYLE})\]|(?:{_STAMP_OF_ANY_STYLE})(?=[ \t\]]))[ \t:,]{{0,4}}"
    # A host, where the tag of a program follows; the tag; a container's stream; a rank; a pod; a priority.
    r"|[A-Za-z0-9][\w.-]{0,63} (?=[A-Za-z][\w./-]{0,40}\[\d{1,10}\]: )|[A-Za-z][\w./-]{0,40}\[\d{1,10}\]: "
    r"|std(?:out|err) [FP] |\[(?:rank|default|trainer|worker)? ?:? ?\d{1,6}\]: ?|\[pod/[\w./-]{1,200}\] |<\d{1,3}>"
)
_MOST_CARRIED = 6


def unprefixed(text: str) -> str:
    """Return *text* without what carried it: times, host and program, container stream, rank."""
    at = 0
    for _ in range(_MOST_CARRIED):
        found = _CARRIED.match(text, at)
        if found is None:
            break
        at = found.end()
    return text[at:]


def timestamp(text: str, near: datetime) -> tuple[datetime | None, str]:
    """Return the time a line begins with, in UTC, and the rest; (None, text) where there is none.

    A time without a zone is taken as UTC. Where the year is left out it is the one that comes closest to *near*.
    """
    stamp = leading_stamp(text, near)
    return (stamp.at, stamp.rest) if stamp else (None, text)


def leading_stamp(text: str, near: datetime) -> Stamp | None:
    """Return the time a line begins with and whether it names its zone; None where there is none."""
    for pattern, stamp_of in _FORMATS:
        match = pattern.match(text)
        if match:
            try:
                return stamp_of(match, near)
            except (ValueError, OverflowError):  # the 31st of February, the year 0, a zone of 99 hours
                return None
    return None


def _first_match(patterns: tuple[re.Pattern[str], ...], text: str) -> tuple[int | None, str]:
    for pattern in patterns:
        match = pattern.match(text)
        if match:
            return int(match.group(1)), text[match.end() :]
    return None, text


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "0").ljust(6, "0")[:6])


def _at(match: re.Match[str], year: int, month: int, day: int) -> datetime:
    found = match.groupdict()
    return datetime(
        year,
        month,
        day,
        int(found["hour"]),
        int(found["minute"]),
        int(found["second"]),
        _microseconds(found.get("fraction")),
        tzinfo=UTC,
    )


def _closest(match: re.Match[str], month: int, day: int, near: datetime) -> datetime:
    candidates = []
    for year in (near.year - 1, near.year, near.year + 1):
        try:
            candidates.append(_at(match, year, month, day))
        except ValueError:  # the 29th of February exists in one of them at most
            continue
    if not candidates:
        raise ValueError("no such day in any near year")
    return min(candidates, key=lambda at: abs(at - near))


def _zone(text: str | None) -> timezone:
    zone = (text or "Z").strip()
    if zone in {"Z", "UTC"}:
        return UTC
    digits = zone[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if zone[0] == "-" else offset)


def _rest(match: re.Match[str]) -> str:
    return match.string[match.end() :]


def _iso(match: re.Match[str], near: datetime) -> Stamp:
    day = (int(match["year"]), int(match["month"]), int(match["day"]))
    at = _at(match, *day).replace(tzinfo=_zone(match["zone"])).astimezone(UTC)
    return Stamp(at, match["zone"] is not None, _rest(match))


def _with_month_name(match: re.Match[str], near: datetime) -> Stamp:
    return Stamp(_at(match, int(match["year"]), _MONTHS[match["month"]], int(match["day"])), False, _rest(match))


def _syslog(match: re.Match[str], near: datetime) -> Stamp:
    return Stamp(_closest(match, _MONTHS[match["month"]], int(match["day"]), near), False, _rest(match))


def _glog(match: re.Match[str], near: datetime) -> Stamp:
    at = _closest(match, int(match["month"]), int(match["day"]), near)
    return Stamp(at, False, (match["opening"] or "") + match["severity"] + " " + _rest(match))


def _epoch(match: re.Match[str], near: datetime) -> Stamp:
    at = datetime.fromtimestamp(int(match["seconds"]), UTC)
    return Stamp(at.replace(microsecond=_microseconds(match["fraction"])), False, _rest(match))


_Format = tuple[re.Pattern[str], Callable[[re.Match[str], datetime], Stamp]]


def _format(pattern: str, stamp_of: Callable[[re.Match[str], datetime], Stamp]) -> _Format:
    return re.compile(pattern, re.ASCII), stamp_of


_FORMATS: tuple[_Format, ...] = (
    _format(  # ISO 8601 and its relatives, Python's logging, container runtimes (which add the stream)
        r"\[?(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]"
        + _CLOCK
        + _FRACTION
        + r"(?P<zone>Z|\s?UTC|\s?[+-]\d\d:?\d\d)?(?!\w)"
        + _SEPARATOR
        + r"(?:std(?:out|err) [FP] )?",
        _iso,
    ),
    _format(  # dmesg -T
        rf"\[[A-Z][a-z]{{2}} (?P<month>{_MONTH}) [ ]?(?P<day>\d{{1,2}}) " + _CLOCK + r" (?P<year>\d{4})\]\s*",
        _with_month_name,
    ),
    _format(  # NVIDIA's fabric manager
        rf"\[(?P<month>{_MONTH}) [ ]?(?P<day>\d{{1,2}}) (?P<year>\d{{4}}) " + _CLOCK + r"\]\s*", _with_month_name
    ),
    _format(rf"(?P<month>{_MONTH}) [ ]?(?P<day>\d{{1,2}}) " + _CLOCK + _FRACTION + r"\s+", _syslog),
    _format(  # glog; PyTorch's C++ side puts it in brackets and does not pad the month
        r"(?P<opening>\[)?(?P<severity>[DIWEFVC])(?P<month>\d{1,2})(?P<day>\d\d) " + _CLOCK + _FRACTION + r"\s+", _glog
    ),
    _format(r"\[?(?P<seconds>[1-3]\d{9})(?:\.(?P<fraction>\d{1,9}))?(?![\w.])" + r"[\]:]?(?:\s+|$)", _epoch),
)
