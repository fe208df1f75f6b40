"""Literals to what finds them in bytes: one pass for all of them, by the fastest library that is installed.

1. hyperscan: x86-64 only, several times as fast as a search tool.
2. ahocorasick_rs: everywhere, about as fast as a search tool.
3. bytes.find, one pass for each literal: slow, always there.

All give the same: every occurrence of every literal, those that overlap included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Found = list[tuple[int, int]]
"""Occurrences as (offset behind the last byte, index of the literal), in the order of the text."""

Scan = Callable[[memoryview], Found]
"""A text to the occurrences in it. Not for two threads at once: hyperscan works in one scratch space."""

Mark = Callable[[memoryview], list[int]]
"""A text to the offsets behind the occurrences in it, in order; one for each, at least."""

LineEnds = Callable[[bytes | bytearray, int], list[int]]
"""A text, and how much of it counts, to where the lines with occurrences end: offsets of line feeds, in order."""

Made = TypeVar("Made", Scan, Mark, LineEnds)

ENGINES = ("hyperscan", "ahocorasick", "python")
"""Fastest first."""

# Never in UTF-8. So short a literal makes hyperscan look at every place of a text instead of every second one, where
# each literal would have to be found in two ways: with thousands of literals that is up to twice as fast.
_TOO_SHORT = b"\xf5\xc0"

_TO_LINE_FEED = rb"[^\n]*\n"
# To be made it takes a third of a second for 1,400, and grows with the square: five seconds for 4,300.
_MOST_READ_ON = 2_000


def scanner(literals: Sequence[bytes], engine: str = "auto") -> Scan:
    """Return what finds *literals*.

    Args:
        literals: None of them empty.
        engine: One of `ENGINES`, or "auto" for the fastest that is installed.

    Raises:
        ImportError: If the engine asked for is not installed.
        ValueError: If there is no such engine.
    """
    return _made(_SCANS, literals, engine)


def marker(literals: Sequence[bytes], engine: str = "auto") -> Mark:
    """Return what finds where *literals* are, not which; faster than a `scanner`, and asked for and failing alike."""
    return _made(_MARKS, literals, engine)


def line_marker(literals: Sequence[bytes], engine: str = "auto") -> LineEnds:
    """Return what finds the lines that hold any of *literals*; asked for and failing like a `scanner`.

    With hyperscan it is faster than a `marker`, and takes a few times as long to make.
    """
    return _made(_LINE_MARKS, literals, engine)


def line_ends(text: bytes | bytearray, size: int, mark: Mark) -> list[int]:
    """Return where the lines end that hold what *mark* finds in the first *size* bytes of *text*, in order."""
    with memoryview(text) as view, view[:size] as part:
        marks = mark(part)
    ends: list[int] = []
    find, line_end = text.find, -1
    for at in marks:
        if at > line_end:
            line_end = find(b"\n", at, size)
            if line_end < 0:
                line_end = size
            ends.append(line_end)
    return ends


def _made(makers: Mapping[str, Callable[[Sequence[bytes]], Made]], literals: Sequence[bytes], engine: str) -> Made:
    if engine not in ("auto", *ENGINES):
        raise ValueError(f"unknown engine {engine!r}; known are {', '.join(ENGINES)}")
    for name in ENGINES if engine == "auto" else (engine,):
        try:
            return makers[name](literals)
        except ImportError:
            if engine != "auto":
                raise
    raise AssertionError("the last engine needs nothing that is not always there")


def sensor(patterns: Sequence[bytes], engine: str = "auto") -> Callable[[memoryview], bool]:
    """Return what tells whether a text holds any of *patterns*: short regular expressions of bytes."""
    if engine in ("auto", "hyperscan"):
        try:
            return _sensor_of_hyperscan(patterns)
        except ImportError:
            if engine != "auto":
                raise
    search = re.compile(b"|".join(patterns)).search
    return lambda text: search(text) is not None


def _sensor_of_hyperscan(patterns: Sequence[bytes]) -> Callable[[memoryview], bool]:
    import hyperscan

    database = hyperscan.Database()
    # "." of hyperscan's classes is a byte, as here; a newline is taken by no pattern.
    flags = hyperscan.HS_FLAG_SINGLEMATCH
    database.compile(expressions=list(patterns), ids=list(range(len(patterns))), flags=[flags] * len(patterns))
    found: list[int] = []

    def note(pattern: int, _start: int, _end: int, _flags: int, _context: object) -> bool:
        found.append(pattern)
        return True

    def holds_any(text: memoryview) -> bool:
        found.clear()
        try:
            database.scan(text, match_event_handler=note)  # type: ignore[type-var]  # any buffer will do
        except hyperscan.ScanTerminated:
            return True
        return bool(found)

    return holds_any


def _scan_of_hyperscan(literals: Sequence[bytes]) -> Scan:
    found: Found = []
    append, known = found.append, len(literals)

    def note(literal: int, _start: int, end: int, _flags: int, _context: object) -> None:
        if literal < known:
            append((end, literal))

    search = _search_of_hyperscan(literals, note)

    def occurrences(text: memoryview) -> Found:
        found.clear()
        search(text)
        return sorted(found)

    return occurrences


def _mark_of_hyperscan(literals: Sequence[bytes]) -> Mark:
    ends: list[int] = []
    append, known = ends.append, len(literals)

    def note(literal: int, _start: int, end: int, _flags: int, _context: object) -> None:
        if literal < known:
            append(end)

    search = _search_of_hyperscan(literals, note)

    def marks(text: memoryview) -> list[int]:
        ends.clear()
        search(text)
        return sorted(ends)

    return marks


def _line_marks_of_hyperscan(literals: Sequence[bytes]) -> LineEnds:
    import hyperscan

    if len(literals) > _MOST_READ_ON:
        return _line_marks_by(_mark_of_hyperscan)(literals)
    database = hyperscan.Database()
    # Hyperscan reads on to the line feed by itself; and for one number it calls at most once at a place (see its
    # src/rose/rose_build_dedupe.cpp), which is once for a line.
    expressions = [_quoted(literal) + _TO_LINE_FEED for literal in (*literals, _TOO_SHORT)]
    database.compile(expressions=expressions, ids=[0] * len(expressions), flags=0)
    ends: list[int] = []
    append, scan = ends.append, database.scan

    def note(_literal: int, _start: int, end: int, _flags: int, _context: object) -> None:
        append(end - 1)

    def found(text: bytes | bytearray, size: int) -> list[int]:
        if text[max(size - 1, 0) : size] != b"\n":
            text, size = text[:size] + b"\n", size + 1
        ends.clear()
        with memoryview(text) as view, view[:size] as part:
            scan(part, match_event_handler=note)  # type: ignore[type-var]  # any buffer will do
        return sorted(ends)

    return found


def _quoted(literal: bytes) -> bytes:
    return b"".join([b"\\x%02x" % byte for byte in literal])


def _search_of_hyperscan(
    literals: Sequence[bytes], note: Callable[[int, int, int, int, object], None]
) -> Callable[[memoryview], None]:
    """Return what calls *note* for each occurrence, and for those of a last literal, which text never holds."""
    import hyperscan

    database = hyperscan.Database()
    searched = [*literals, _TOO_SHORT]
    # As literals, not as expressions: they need no quoting, and are compiled ten times as fast.
    database.compile(expressions=searched, ids=list(range(len(searched))), flags=0, literal=True)
    scan = database.scan

    def search(text: memoryview) -> None:
        scan(text, match_event_handler=note)  # type: ignore[type-var]  # any buffer will do

    return search


def _scan_of_ahocorasick(literals: Sequence[bytes]) -> Scan:
    search = _search_of_ahocorasick(literals)

    def occurrences(text: memoryview) -> Found:
        return sorted((end, literal) for literal, _, end in search(text, overlapping=True))

    return occurrences


def _mark_of_ahocorasick(literals: Sequence[bytes]) -> Mark:
    search = _search_of_ahocorasick(literals)

    def marks(text: memoryview) -> list[int]:
        return [end for _, _, end in search(text, overlapping=True)]

    return marks


def _search_of_ahocorasick(literals: Sequence[bytes]) -> Callable[..., list[tuple[int, int, int]]]:
    from ahocorasick_rs import BytesAhoCorasick, Implementation

    # The table of all transitions is what makes it as fast as a search tool; a thousand literals take some megabytes.
    return BytesAhoCorasick(list(literals), implementation=Implementation.DFA).find_matches_as_indexes


def _scan_of_python(literals: Sequence[bytes]) -> Scan:
    sized = [(index, literal, len(literal)) for index, literal in enumerate(literals)]

    def occurrences(text: memoryview) -> Found:
        found: Found = []
        find = bytes(text).find
        for index, literal, length in sized:
            at = find(literal)
            while at >= 0:
                found.append((at + length, index))
                at = find(literal, at + 1)
        return sorted(found)

    return occurrences


def _mark_of_python(literals: Sequence[bytes]) -> Mark:
    scan = _scan_of_python(literals)
    return lambda text: [end for end, _ in scan(text)]


def _line_marks_by(mark_of: Callable[[Sequence[bytes]], Mark]) -> Callable[[Sequence[bytes]], LineEnds]:
    def made(literals: Sequence[bytes]) -> LineEnds:
        mark = mark_of(literals)
        return lambda text, size: line_ends(text, size, mark)

    return made


_SCANS: dict[str, Callable[[Sequence[bytes]], Scan]] = {
    "hyperscan": _scan_of_hyperscan,
    "ahocorasick": _scan_of_ahocorasick,
    "python": _scan_of_python,
}
_MARKS: dict[str, Callable[[Sequence[bytes]], Mark]] = {
    "hyperscan": _mark_of_hyperscan,
    "ahocorasick": _mark_of_ahocorasick,
    "python": _mark_of_python,
}
_LINE_MARKS: dict[str, Callable[[Sequence[bytes]], LineEnds]] = {
    **{name: _line_marks_by(mark) for name, mark in _MARKS.items()},
    "hyperscan": _line_marks_of_hyperscan,
}
