"""Blocks of a log to the few lines of it that are worth decoding, each with its number.

1. The first lines of a file and the first of each block show whose they are.
2. A line that may say anything is taken; before it the nearest one with a time, so that it is known when it happened;
   behind it as many as belong to the text it opens.
3. A passage that many files hold, but for its numbers, is taken from the first ones only: of a thousand ranks that
   wait for the one that failed, some are enough. An earlier one than those is taken still, and so is one in which a
   kernel speaks of hardware that no taken one spoke of: each broken node is to be named, not some of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from clusterwatch.app.inputs import InputLine
from clusterwatch.detect import Selected, Selector
from clusterwatch.reading.blocks import Block
from clusterwatch.reading.splitting import kept

CARRIED_BYTES = 64 * 1024
"""How far behind a line its time still holds for lines without one."""

ALIKE_TAKEN = 24
"""So many passages that differ in numbers alone are taken; the others are counted."""

HARDWARE_TAKEN = 1_000
"""So many parts that kernels speak of alike are told apart."""

_HEAD_LINES = 5
_MOST_OPEN_LINES = 400
_PASSAGE_GAP_BYTES = 2 * 1024
_PASSAGE_BYTES = 32 * 1024
_BEYOND_BYTES = 400
_MOST_PASSAGES = 50_000
_TIMES_TRIED = 8
_NEAR_BYTES = 4 * 1024

_MAYBE_TIME = re.compile(rb"\d\d:\d\d:\d\d|^\W{0,3}[1-3]\d{9}", re.MULTILINE)
_NUMBER = re.compile(rb"0x[0-9a-f]+|\d+")


@dataclass(slots=True)
class _Passage:
    """What is known of passages that differ in numbers alone."""

    seen: int = 0
    earliest: datetime | None = None
    origins: tuple[str, ...] = ()
    passed_over: int = 0
    hardware: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Skim:
    """Blocks taken one by one, and the lines given on.

    Attributes:
        take: Takes a line, and tells whether the text it belongs to goes on behind it.
        take_placement: Takes the bytes of a line that only says where a rank runs.
        time_of: The time that the bytes of a line carry; None where they carry none.
        hardware_of: The hardware that a kernel speaks of in the bytes of a line; "" where it is no kernel's.
        lines: How many lines the blocks held.
    """

    selector: Selector
    take: Callable[[InputLine], bool]
    take_placement: Callable[[bytes], None]
    time_of: Callable[[bytes], datetime | None]
    hardware_of: Callable[[bytes], str]
    lines: int = 0
    _path: str = ""
    _number: int = 1
    _tail: bytes = b""
    _left_open: int = 0
    _is_inside: bool = False
    _sure_to: int = 0
    _firsts: set[int] = field(default_factory=set)
    _passages: dict[int, _Passage] = field(default_factory=dict)

    def read(self, path: str, block: Block) -> None:
        """Take the lines of *block* that are worth it."""
        if block.start == 0 or path != self._path:
            self._path, self._number, self._tail, self._left_open, self._is_inside = path, 1, b"", 0, False
            self._sure_to, self._firsts = 0, set()
        _Page(self, block).read()

    def passed_over(self) -> dict[str, int]:
        """Return how many alike passages were passed over for a line, by where it stands ("PATH:NUMBER")."""
        return {
            origin: passage.passed_over
            for passage in self._passages.values()
            if passage.passed_over
            for origin in passage.origins
        }


class _Page:
    """One block being read: the place in it, and the number of the line there."""

    def __init__(self, skim: Skim, block: Block) -> None:
        self._skim = skim
        self._block = block
        self._text, self._size = block.buffer, block.end
        self._at, self._number = 0, skim._number
        self._origins: list[str] = []

    def read(self) -> None:
        begin = self._begin_of_lines()
        selected = [each for each in self._skim.selector.lines(self._text, self._size) if each.start >= begin]
        self._take_open()
        self._take_first(selected)
        index = 0
        while index < len(selected):
            index = self._passage(selected, index)
        self._close()

    def _begin_of_lines(self) -> int:
        """Return where the first line begins: what stands before it is the rest of one that was given up."""
        if not self._skim._is_inside:
            return 0
        found = self._text.find(b"\n", 0, self._size)
        begin = self._size if found < 0 else found + 1
        self._skim._is_inside = found < 0
        self._number += found >= 0
        self._at = begin
        return begin

    def _take_first(self, selected: list[Selected]) -> None:
        """Take the lines that only show whose the file is; one that may say more is taken with its time."""
        first = selected[0].start if selected else self._size
        for _ in range(_HEAD_LINES if self._block.start == 0 else 1):
            if self._at < first and not self._skim._left_open:
                self._skim._firsts.add(self._block.start + self._at)
                self._take_next()

    def _take_open(self) -> None:
        while self._skim._left_open and self._at < self._size:
            self._skim._left_open -= 1
            if not self._take_next():
                self._skim._left_open = 0

    def _passage(self, selected: list[Selected], index: int) -> int:
        """Take the passage that begins with the line at *index*; return the index of what follows it."""
        first = selected[index]
        if first.start < self._at:
            return index + 1
        if first.is_placement:
            self._skim.take_placement(bytes(self._text[first.start : first.end]))
            return index + 1
        end = index + 1
        while end < len(selected) and _goes_on(selected[end - 1], selected[end], first):
            end += 1
        last = selected[end - 1]
        passage = self._known(first.start, last.end)
        if not self._is_worth_it(passage, selected[index:end]):
            self._move_to(first.start)
            self._move_to(min(last.end + 1, self._size))
            passage.passed_over += 1
            return end
        self._origins = []
        for each in selected[index:end]:
            self._take_at(each)
        passage.origins = tuple(self._origins)
        return end

    def _known(self, start: int, end: int) -> _Passage:
        passages = self._skim._passages
        # What an exception says stands behind its last frame.
        beyond = self._text.rfind(b"\n", end, min(end + _BEYOND_BYTES, self._size))
        shape = hash(_NUMBER.sub(b"0", self._text[start : max(beyond, end)]))
        if len(passages) >= _MOST_PASSAGES and shape not in passages:
            return _Passage()
        return passages.setdefault(shape, _Passage())

    def _is_worth_it(self, passage: _Passage, lines: list[Selected]) -> bool:
        passage.seen += 1
        at = self._skim.time_of(bytes(self._text[lines[0].start : lines[0].end]))
        is_earlier = at is not None and (passage.earliest is None or at < passage.earliest)
        if is_earlier:
            passage.earliest = at
        return self._names_more(passage, lines) or is_earlier or passage.seen <= ALIKE_TAKEN

    def _names_more(self, passage: _Passage, lines: list[Selected]) -> bool:
        """Return whether *lines* speak of hardware that no passage like theirs spoke of; note that they did."""
        # What differs in numbers alone is a kernel's word in all files or in none.
        is_no_kernels = passage.seen > 1 and not passage.hardware
        if is_no_kernels or len(passage.hardware) >= HARDWARE_TAKEN:
            return False
        spoken = {self._skim.hardware_of(bytes(self._text[each.start : each.end])) for each in lines} - {""}
        is_more = not spoken <= passage.hardware
        passage.hardware |= spoken
        return is_more

    def _take_at(self, line: Selected) -> None:
        if line.start < self._at:
            return
        self._take_time_before(line.start)
        self._move_to(line.start)
        if self._take_next():
            self._skim._left_open = _MOST_OPEN_LINES
            self._take_open()
        self._skim._sure_to = self._block.start + self._at

    def _take_time_before(self, start: int) -> None:
        """Take the nearest line before *start* that carries a time, unless the line there does, or one was taken."""
        end = self._text.find(b"\n", start, self._size)
        if self._block.start + start == self._skim._sure_to or self._is_timed(
            bytes(self._text[start : end if end >= 0 else self._size])
        ):
            return
        sure_to = self._skim._sure_to - self._block.start
        if sure_to > 0 or start >= CARRIED_BYTES:
            least = max(sure_to, start - CARRIED_BYTES)
            before, number = bytes(self._text[least:start]), self._number_at(least)
        else:
            tail = self._skim._tail
            least = max(sure_to, start - CARRIED_BYTES, -len(tail))
            before = tail[len(tail) + least :] + bytes(self._text[:start])
            number = self._skim._number - tail.count(b"\n", len(tail) + least)
        found = self._timed_line(before, is_whole=least in (sure_to, -self._block.start))
        begin = self._block.start + least + (found or 0)
        if found is not None and begin not in self._skim._firsts:
            raw = kept(before[found : before.index(b"\n", found)])
            self._skim.take(InputLine(self._skim._path, number + before.count(b"\n", 0, found), raw, begin))

    def _number_at(self, at: int) -> int:
        if at >= self._at:
            return self._number + self._text.count(b"\n", self._at, at)
        return self._number - self._text.count(b"\n", at, self._at)

    def _timed_line(self, text: bytes, is_whole: bool) -> int | None:
        """Return where the last line of *text* that carries a time begins; its first line may be half of one."""
        end = len(text)
        for _ in range(_TIMES_TRIED):
            places = [*_MAYBE_TIME.finditer(text, max(end - _NEAR_BYTES, 0), end)] or [
                *_MAYBE_TIME.finditer(text, 0, end)
            ]
            begin = text.rfind(b"\n", 0, places[-1].start()) + 1 if places else 0
            if not places or (begin == 0 and not is_whole):
                return None
            if self._is_timed(text[begin : text.index(b"\n", begin)]):
                return begin
            end = begin
        return None

    def _is_timed(self, raw: bytes) -> bool:
        return _MAYBE_TIME.search(raw) is not None and self._skim.time_of(raw) is not None

    def _move_to(self, at: int) -> None:
        if at > self._at:
            self._number += self._text.count(b"\n", self._at, at)
            self._at = at

    def _take_next(self) -> bool:
        """Take the line that begins here; return whether its text goes on behind it."""
        start = self._at
        end = self._text.find(b"\n", start, self._size)
        if end < 0:
            end = self._size
        self._at = min(end + 1, self._size)
        line = InputLine(self._skim._path, self._number, kept(bytes(self._text[start:end])), self._block.start + start)
        self._number += end < self._size
        self._origins.append(f"{line.path}:{line.number}")
        return self._skim.take(line)

    def _close(self) -> None:
        """Remember what the next block needs."""
        skim = self._skim
        begin = max(self._size - CARRIED_BYTES, 0)
        lines = self._text.count(b"\n", self._at, self._size)
        last = self._number + lines
        skim._tail = (skim._tail if begin == 0 else b"") + bytes(self._text[begin : self._size])
        skim._tail = skim._tail[-CARRIED_BYTES:]
        skim._firsts = {first for first in skim._firsts if first >= self._block.start + self._size - CARRIED_BYTES}
        ends_open = self._text[self._size - 1] != _LINE_FEED
        skim.lines += last - skim._number + ends_open
        skim._number = last
        skim._is_inside = skim._is_inside or not self._block.is_whole


def _goes_on(last: Selected, this: Selected, first: Selected) -> bool:
    is_near = this.start - last.end <= _PASSAGE_GAP_BYTES and this.end - first.start <= _PASSAGE_BYTES
    return is_near and not this.is_placement


_LINE_FEED = 10
