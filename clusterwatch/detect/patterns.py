"""A regular expression to what keeps it from being used: reasons why its time may grow faster than the line.

Python's engine tries one way after the other. Where a text can be read in many ways, all of them are tried before it
says no, and one careless rule stalls a node. Refused is what allows that:

1. A repeat without a bound in a repeat, unless something between two turns ends the inner one: "(a+)+", "(.*,){11}".
2. Two branches of a repeat that can begin alike: "(a|ab)*", "(a|a)+".
3. Two repeats without a bound that can both take the same text, with nothing between them that this text cannot hold:
   "\\d+\\d+", ".*foo.*bar".
4. A search begins at every character, which is a repeat as well: "\\d+ foo" reads a million digits a million times, and
   "foo.*bar" reads the line again from every "foo". What stops that is "^" or "\\b" before it, or something before it
   that the repeat cannot hold.
5. References to groups, whose cost nobody can tell from the pattern.

A bound of more than `WIDEST` counts as none; bounded repeats that can share a text are refused where they can do so in
more than `MOST_WAYS` ways, which in a repeat without a bound they always can. What is not refused takes time that grows
with the line, not faster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

# How CPython reads patterns; the public module of the same content is deprecated.
from re import _constants as sre  # type: ignore[attr-defined]  # typeshed does not know it
from re import _parser as parser  # type: ignore[attr-defined]  # typeshed does not know it
from typing import Any

WIDEST = 4_096
"""A repeat may be bounded by this much and still count as bounded."""

MOST_WAYS = 12_000_000
"""In so many ways repeats with bounds may share one text: a second of trying, at worst."""

FEW = 8
"""So many turns of a repeat may be read in two ways without harm."""

_MATTERS = MOST_WAYS.bit_length()

_ALPHABET = 257
"""The first 256 characters, and one that stands for all others."""

_ANY = (1 << _ALPHABET) - 1
_LINE = _ANY & ~(1 << ord("\n"))


def _set_of(pattern: str) -> int:
    compiled = re.compile(pattern)
    letters = [*map(chr, range(256)), "ā"]
    return sum(1 << index for index, letter in enumerate(letters) if compiled.fullmatch(letter))


_CATEGORIES: dict[object, int] = {
    sre.CATEGORY_DIGIT: _set_of(r"\d"),
    sre.CATEGORY_NOT_DIGIT: _set_of(r"\D"),
    sre.CATEGORY_SPACE: _set_of(r"\s"),
    sre.CATEGORY_NOT_SPACE: _set_of(r"\S"),
    sre.CATEGORY_WORD: _set_of(r"\w"),
    sre.CATEGORY_NOT_WORD: _set_of(r"\W"),
}
_WORD = _CATEGORIES[sre.CATEGORY_WORD]
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)


Items = Sequence[tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class _Run:
    """A repeat without a bound, as it stands further on in the pattern.

    Attributes:
        takes: Characters it takes.
        needs: Sets of which the text must hold a character to be read on behind the repeat instead of by it.
        has_edge: There is an end or a beginning of a word between.
        ways: In how many ways it and the bounded repeats before it may share a text between them.
    """

    takes: int
    words: str
    needs: frozenset[int] = frozenset()
    has_edge: bool = False
    ways: int = 1
    is_bounded: bool = False

    def behind(self, taken: int) -> _Run:
        return self if taken in self.needs else replace(self, needs=self.needs | {taken})

    def meets(self, other: _Run) -> bool:
        both = self.takes & other.takes
        has_edges = bool(both & _WORD and both & ~_WORD)
        return bool(both) and all(both & each for each in self.needs | other.needs) and (has_edges or not self.has_edge)


_SEARCH = _Run(_ANY, "the search, which begins at every character: begin with ^ or \\b, or bound the repeat: {0,80}")
_Runs = frozenset[_Run]
_NONE: _Runs = frozenset()


def why_not_linear(pattern: re.Pattern[str]) -> tuple[str, ...]:
    """Return why the time of searching for *pattern* may grow faster than the line; nothing where it does not."""
    walk = _Walk(pattern.flags | (re.IGNORECASE if "(?i" in pattern.pattern else 0))
    walk.through(parsed(pattern), frozenset({_SEARCH}))
    return tuple(dict.fromkeys(walk.reasons))


def linear(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """Return a pattern that finds the same as *pattern*, in less time where it begins with a repeat without a bound.

    Such a repeat takes everything from where its characters begin, so a search has to try only there.
    """
    if pattern.pattern[:1].isalnum() or "+" not in pattern.pattern:
        return pattern
    items = parsed(pattern)
    while items and items[0][0] is sre.SUBPATTERN and items[0][1][1:3] == (0, 0):
        items = items[0][1][3]
    if not items or items[0][0] is not sre.MAX_REPEAT or items[0][1][0] != 1 or items[0][1][1] is not sre.MAXREPEAT:
        return pattern
    takes = _Walk(pattern.flags).takes(items[0][1][2])
    is_one = len(items[0][1][2]) == 1 and not list(inside(*items[0][1][2][0]))
    if not is_one or pattern.pattern.startswith("(?i)"):
        return pattern
    return re.compile(f"(?<!{_class_of(takes)}){pattern.pattern}", pattern.flags)


def parsed(pattern: re.Pattern[str]) -> Items:
    """Return the items of *pattern* as CPython reads them: pairs of what it is and its value."""
    items: Items = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    return items


def characters(kind: Any, value: Any, flags: int) -> int:
    """Return the characters that an item takes, one bit for each; none for what takes no character by itself."""
    return _Walk(flags).set_of(kind, value)


@dataclass(slots=True)
class _Walk:
    """A walk through a pattern, and the reasons found on it."""

    flags: int
    reasons: list[str] = field(default_factory=list)

    def through(self, items: Items, runs: _Runs, can_fail: bool = False) -> _Runs:
        """Return the runs that still matter behind *items*: of those before them, and of those in them.

        *can_fail*: what follows may not be there. Where nothing can fail any more, nothing is tried again.
        """
        for place, (kind, value) in enumerate(items):
            handle = self._BEHIND.get(kind)
            if handle is not None:
                runs = handle(self, value, runs, can_fail or self._fails(items[place + 1 :]))
            elif taken := self.set_of(kind, value):
                runs = frozenset(run.behind(taken) for run in runs if run.takes & taken)
        return runs

    def _group(self, value: Any, runs: _Runs, can_fail: bool) -> _Runs:
        return self.through(value[3], runs, can_fail)

    def _atomic(self, value: Any, runs: _Runs, can_fail: bool) -> _Runs:
        return self.through(value, runs, can_fail)

    def _branch(self, value: Any, runs: _Runs, can_fail: bool) -> _Runs:
        return _NONE.union(*(self.through(branch, runs, can_fail) for branch in value[1]))

    def _anchor(self, where: Any, runs: _Runs, can_fail: bool) -> _Runs:
        if where in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
            return _NONE
        return frozenset(replace(run, has_edge=True) for run in runs) if where is sre.AT_BOUNDARY else runs

    def _look(self, value: Any, runs: _Runs, can_fail: bool, *, is_not: bool = False) -> _Runs:
        direction, items = value
        if direction > 0 or len(items) != 1:
            self.through(items, runs, can_fail)
            return runs
        before = self.set_of(*items[0])
        return frozenset(run.behind(_ANY & ~before if is_not else before) for run in runs) if before else runs

    def _look_not(self, value: Any, runs: _Runs, can_fail: bool) -> _Runs:
        return self._look(value, runs, can_fail, is_not=True)

    def _reference(self, value: Any, runs: _Runs, can_fail: bool) -> _Runs:
        self.reasons.append("it refers back to a group, and what that costs nobody can tell")
        return runs

    def _repeat(self, value: tuple[int, Any, Items], runs: _Runs, can_fail: bool) -> _Runs:
        least, most, items = value
        behind = self.through(items, runs, can_fail) | (_NONE if least else runs)
        if most == 1:
            return behind
        at_end = _Walk(self.flags).through(items, _NONE)
        if can_fail:
            self._turns(items, at_end, most)
        if most is not sre.MAXREPEAT and most <= WIDEST:
            return behind | at_end | self._bounded(most - least + 1, items, runs, can_fail)
        mine = _Run(self.takes(items), f"{_class_of(self.takes(items))}{'+' if least else '*'}", self._needed(items))
        for run in sorted(runs, key=lambda each: each.words):
            if can_fail and not run.is_bounded and run.meets(mine):
                self.reasons.append(f"{mine.words} can take the same text as {run.words}")
        return behind | at_end | {mine}

    def _bounded(self, width: int, items: Items, runs: _Runs, can_fail: bool) -> _Runs:
        """Return a repeat with a bound as a run, and note where many such can share a text in too many ways."""
        takes = self.takes(items)
        mine = _Run(takes, f"{_class_of(takes)}{{0,{width - 1}}}", self._needed(items), ways=width, is_bounded=True)
        ways = width * max((run.ways for run in runs if can_fail and run.is_bounded and run.meets(mine)), default=1)
        if ways > MOST_WAYS:
            self.reasons.append(f"{mine.words} and the repeats before it can share a text in {ways} ways")
        return frozenset({replace(mine, ways=min(ways, MOST_WAYS))}) if width > 1 else _NONE

    def _turns(self, items: Items, at_end: _Runs, most: int) -> None:
        """Note what makes one turn of a repeat read again what the turn before it read."""
        turns = most if most <= FEW else MOST_WAYS
        self.through(items, frozenset(replace(run, ways=_power(run.ways, turns)) for run in at_end), can_fail=True)
        if most <= FEW:
            return
        if self._optional_tail(items) & self._first(items):
            self.reasons.append("what a turn of a repeat may end with, the next one may begin with")
        for kind, value in items:
            inner = [*inside(kind, value)] if kind is sre.SUBPATTERN else [[(kind, value)]]
            branches = [branch for part in inner for each in part if each[0] is sre.BRANCH for branch in each[1][1]]
            firsts = [self._first(branch) for branch in branches]
            can_be_nothing = sum(not self._fails(branch) for branch in branches) > 1
            if can_be_nothing or any(one & other for n, one in enumerate(firsts) for other in firsts[:n]):
                self.reasons.append("two branches of a repeat can begin alike")

    def _fails(self, items: Items) -> bool:
        """Return whether *items* may be missing behind a place; what is optional never is."""
        return not all(self._is_optional(kind, value) for kind, value in items)

    def _is_optional(self, kind: Any, value: Any) -> bool:
        if kind in _REPEATS:
            return bool(value[0] == 0)
        if kind is sre.BRANCH:
            return any(not self._fails(branch) for branch in value[1])
        return kind is sre.SUBPATTERN and not self._fails(value[3])

    def _optional_tail(self, items: Items) -> int:
        """Return the characters that *items* may end with or not."""
        found = 0
        for kind, value in reversed(items):
            inner = [*inside(kind, value)] if kind is sre.SUBPATTERN else []
            found |= self.takes([(kind, value)]) if self._is_optional(kind, value) else 0
            found |= self._optional_tail(inner[0]) if inner else 0
            if not self._is_optional(kind, value):
                break
        return found

    def _first(self, items: Items) -> int:
        for kind, value in items:
            inner = [*inside(kind, value)]
            found = self.set_of(kind, value) or sum({self._first(part) for part in inner})
            if found:
                return found
        return 0

    def takes(self, items: Items) -> int:
        """Return every character that *items* can take."""
        found = 0
        for kind, value in items:
            found |= self.set_of(kind, value)
            for inner in inside(kind, value):
                found |= self.takes(inner)
        return found

    def _needed(self, items: Items) -> frozenset[int]:
        """Return the sets of which every text that *items* take holds a character."""
        found: frozenset[int] = frozenset()
        for kind, value in items:
            taken = self.set_of(kind, value)
            if taken:
                found |= {taken}
            elif kind is sre.SUBPATTERN or (kind in _REPEATS and value[0]):
                found |= self._needed(value[3] if kind is sre.SUBPATTERN else value[2])
        return found

    def set_of(self, kind: Any, value: Any) -> int:
        """Return the characters that one item takes; none for what takes no character by itself."""
        if kind is sre.ANY:
            return _ANY if self.flags & re.DOTALL else _LINE
        if kind is sre.NOT_LITERAL:
            return _ANY & ~(_bit(value) if value < _ALPHABET - 1 else 0)
        if kind is sre.LITERAL:
            return self._cased(_bit(value))
        return self._cased(_members(value)) if kind is sre.IN else 0

    def _cased(self, found: int) -> int:
        if not self.flags & re.IGNORECASE:
            return found
        letters = [chr(code) for code in range(_ALPHABET - 1) if found >> code & 1]
        for letter in letters:
            found |= _bit(ord(letter.swapcase()[0]))
        return found

    _BEHIND = {
        sre.MAX_REPEAT: _repeat,
        sre.MIN_REPEAT: _repeat,
        sre.POSSESSIVE_REPEAT: _repeat,
        sre.SUBPATTERN: _group,
        sre.ATOMIC_GROUP: _atomic,
        sre.BRANCH: _branch,
        sre.AT: _anchor,
        sre.ASSERT: _look,
        sre.ASSERT_NOT: _look_not,
        sre.GROUPREF: _reference,
        sre.GROUPREF_EXISTS: _reference,
    }


def _power(ways: int, turns: int) -> int:
    """Return *ways* times itself, *turns* times, as far as it matters."""
    return min(ways ** min(turns, _MATTERS), MOST_WAYS) if ways > 1 else 1


def _bit(code: int) -> int:
    return 1 << min(code, _ALPHABET - 1)


def _members(value: Items) -> int:
    found = 0
    for kind, inner in value:
        if kind is sre.LITERAL:
            found |= _bit(inner)
        elif kind is sre.RANGE:
            found |= sum({_bit(code) for code in range(inner[0], min(inner[1], _ALPHABET) + 1)})
        elif kind is sre.CATEGORY:
            found |= _CATEGORIES[inner]
    return _ANY & ~found if value and value[0][0] is sre.NEGATE else found


def inside(kind: Any, value: Any) -> Iterator[Items]:
    """Return what an item repeats, groups or chooses from."""
    if kind in _REPEATS:
        yield value[2]
    elif kind is sre.SUBPATTERN:
        yield value[3]
    elif kind is sre.BRANCH:
        yield from value[1]
    elif kind is sre.ATOMIC_GROUP:
        yield value


def _class_of(takes: int) -> str:
    """Return the characters as a class of a regular expression."""
    for written, category in _NAMED:
        if takes == category:
            return written
    is_most = takes >> (_ALPHABET - 1) & 1
    listed = _ANY & ~takes if is_most else takes
    return f"[{'^' if is_most else ''}{''.join(_ranges(listed))}]"


def _ranges(listed: int) -> Iterator[str]:
    codes = [code for code in range(_ALPHABET - 1) if listed >> code & 1]
    begins = [code for code in codes if code - 1 not in codes]
    ends = [code for code in codes if code + 1 not in codes]
    for begin, end in zip(begins, ends, strict=True):
        yield _quoted(begin) if begin == end else f"{_quoted(begin)}-{_quoted(end)}"


def _quoted(code: int) -> str:
    return re.escape(chr(code)) if 32 <= code < 127 else f"\\x{code:02x}"


_NAMED = (
    (".", _LINE),
    *((f"\\{name}", _set_of(f"\\{name}")) for name in "dDsSwW"),
)
