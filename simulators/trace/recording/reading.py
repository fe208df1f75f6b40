"""The file of a recording to its header and records, or to every mistake in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

from clusterwatch.errors import ConfigError, Mistake
from simulators.trace.files import OnBytes, lines_of
from simulators.trace.forms import FormError, table_in, unknown_keys, validated
from simulators.trace.recording.records import KIND, RECORD_TYPES, Decided, Header, Record, Recording

MISTAKES_KEPT = 100
_NEVER = 3_660.0


def is_recording(path: Path) -> bool:
    """Return whether the first line of *path* says that it is a recording.

    Raises:
        SourceError: The file cannot be read.
    """
    first = next(iter(islice(lines_of(path), 1)), b"")
    try:
        return table_in(first).get("kind") == KIND
    except FormError:
        return False


def recording_in(path: Path) -> Recording:
    """Return the recording that the file *path* holds; its records are read when they are asked for.

    Raises:
        ConfigError: The header is wrong; and a wrong record raises it while the records are read.
        SourceError: The file cannot be read.
    """
    first = next(iter(islice(lines_of(path), 1)), b"")
    mistakes, header = _tried(1, lambda: _header(first))
    if header is None:
        raise ConfigError(str(path), mistakes)
    return Recording(header, lambda: _records(path), lambda: _decisions(path))


def checked(path: Path, on_bytes: OnBytes) -> Recording:
    """Return the recording that the file *path* holds once every line of it was looked at.

    Raises:
        ConfigError: Something is wrong; holds all mistakes, or the first `MISTAKES_KEPT`.
        SourceError: The file cannot be read.
    """
    recording = recording_in(path)
    mistakes: list[Mistake] = []
    latest = 0.0
    for number, line in _numbered(lines_of(path, on_bytes)):
        found, record = _tried(number, lambda line=line: _record(line))  # type: ignore[misc] # bound as it is now
        mistakes += found
        if record is not None:
            mistakes += _time_mistakes(number, record, latest, recording.days * 86_400.0)
            latest = max(latest, record.at)
        if len(mistakes) >= MISTAKES_KEPT:
            break
    if mistakes:
        raise ConfigError(str(path), mistakes[:MISTAKES_KEPT])
    return recording


def _decisions(path: Path) -> Iterator[Decided]:
    """Yield the decisions without reading all that stands between them."""
    maybe = (line for _, line in _numbered(lines_of(path)) if b'"decision"' in line)
    return (each for each in map(_record, maybe) if isinstance(each, Decided))


def _records(path: Path) -> Iterator[Record]:
    for number, line in _numbered(lines_of(path)):
        try:
            yield _record(line)
        except FormError as error:
            raise ConfigError(str(path), _mistakes(number, error)) from error


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines behind the header that hold something, with their numbers."""
    return ((number, line) for number, line in enumerate(lines, 1) if number > 1 and line.strip())


def _header(line: bytes) -> Header:
    known = tuple(each.name for each in fields(Header))
    unknown = unknown_keys(table_in(line), known)
    if unknown:
        raise FormError(*unknown)
    header: Header = validated(Header, line)
    problems = []
    if not (isfinite(header.days) and 0 <= header.days <= _NEVER):
        problems.append(("days", f"must be 0 to {_NEVER:,.0f}"))
    if header.start.tzinfo is None:
        problems.append(("start", 'must say its time zone: end it with "Z"'))
    if problems:
        raise FormError(*problems)
    return header


def _record(line: bytes) -> Record:
    table = table_in(line)
    of = RECORD_TYPES.get(str(table.get("type")))
    if of is None:
        raise FormError(("type", f"must be one of {', '.join(RECORD_TYPES)}, not {str(table.get('type'))[:40]!r}"))
    unknown = unknown_keys(table, tuple(each.name for each in fields(of)))
    if unknown:
        raise FormError(*unknown)
    record: Record = validated(of, line)
    return record


def _time_mistakes(number: int, record: Record, latest: float, seconds: float) -> Iterator[Mistake]:
    # The last one ends the recording: what was rounded away must not make it late.
    if not (isfinite(record.at) and 0 <= record.at <= seconds + 1.0):
        yield Mistake(f"line {number}, at", f"must be within the recording: 0 to {seconds:,.15g} seconds")
    elif record.at < latest:
        yield Mistake(f"line {number}, at", f"is before the line above ({latest:,.15g}): sort the records by time")


def _tried(number: int, read: Callable[[], Any]) -> tuple[list[Mistake], Any]:
    try:
        return [], read()
    except FormError as error:
        return _mistakes(number, error), None


def _mistakes(number: int, error: FormError) -> list[Mistake]:
    return [Mistake(f"line {number}, {place}" if place else f"line {number}", words) for place, words in error.problems]
