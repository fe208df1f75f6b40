"""Lines to the rules that match them, without trying every rule on every line.

1. A text of many lines is searched once, as bytes, for the literals of all rules; most lines hold none and are done.
2. Lines that differ in digits alone have one shape. What matches none of them, and what matches all of them at the same
   place, is found out on the first one.
3. Only where a rule asks for certain digits is it tried on each line, unless one that matches all of them beats it.
4. In a burst the same line comes again and again: what was found on it is remembered.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, TypeVar

from clusterwatch.detect.engines import Scan, scanner
from clusterwatch.detect.finding import Finder, lines_at
from clusterwatch.detect.rules import Rule
from clusterwatch.detect.shapes import Match, is_told_by_shape, may_match, shape_of

# A log line of a megabyte is seldom an error message; what is, says so at its beginning.
LONGEST_LINE = 8_192
_LONGEST_LINE_BYTES = 4 * LONGEST_LINE

_MOST_REMEMBERED = 4_096
LONGEST_REMEMBERED = 2_048
"""Bytes of a line: what was found on a longer one is found out anew, even if the same line comes again."""


Value = TypeVar("Value")
Found = TypeVar("Found", "Hit", "Located")


class Hit(NamedTuple):
    """A rule that matches a line, and what its pattern captured."""

    rule: Rule
    match: Match


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """A rule that matches a line, and where: what it captured is cut out of the line when it is asked for.

    Attributes:
        tried: The match on a line of the same shape, whose groups stand at the same places.
    """

    rule: Rule
    tried: re.Match[str]

    def hit(self, line: str) -> Hit:
        """Return the hit on *line*."""
        return Hit(self.rule, Match(line, self.tried))


HitLine = tuple[int, int, tuple[Located, ...]]
"""A line with hits: offsets of its first byte and of its line feed, and what matches it in the order of the rules."""


class Try(NamedTuple):
    """A rule to be tried on a line.

    Attributes:
        place: Among all rules.
        find: Finds the rule's pattern, see `Rule.found_in`.
        beats: Names of those that need not be tried where it matches.
        literals: One of which the line must hold, where its shape does not tell.
    """

    place: int
    rule: Rule
    find: Callable[[str], re.Match[str] | None]
    beats: frozenset[str]
    literals: tuple[str, ...]


Tries = tuple[Try, ...]
"""In the turn they are tried: what beats most goes first."""


class Matcher:
    """Finds the rules that match lines. Made by `compile_rules`. Not for two threads at once."""

    def __init__(self, rules: Iterable[Rule], engine: str = "auto") -> None:
        self._rules = tuple(rules)
        self._engine = engine
        self.literals = sorted({literal for rule in self._rules for literal in rule.literals})
        """What is searched for, in order."""
        self._finder = Finder([_bytes(literal) for literal in self.literals], engine)
        self._tries_for: dict[tuple[int, ...], Tries] = {}
        self._told_by: dict[bytes, tuple[Located, ...]] = {}
        self._left_of: dict[bytes, Tries] = {}
        self._remembered: dict[bytes, tuple[Located, ...]] = {}
        self._alike: dict[tuple[bytes, tuple[object, ...]], tuple[Located, ...]] = {}

    def hits_in(self, text: bytes | bytearray, size: int | None = None) -> list[HitLine]:
        """Return the lines of *text* (UTF-8, lines ended by line feeds) that a rule matches, and where it does.

        *size* is how much of *text* counts; None for all. Rules that another hit of the line beats for certain may be
        missing.
        """
        ends = self._finder.line_ends(text, len(text) if size is None else size)
        if not ends:
            return []
        lines = lines_at(text, ends)
        shapes = shape_of(b"\n".join(lines)).split(b"\n")
        return [
            (end - len(line), end, located)
            for end, line, shape, told in zip(ends, lines, shapes, map(self._told_by.get, shapes), strict=True)
            if (located := self._located_in(bytes(line), shape) if told is None else told)
        ]

    def hits(self, lines: Sequence[str]) -> dict[int, tuple[Hit, ...]]:
        """Return, by index of line, its hits in the order of the rules; lines without one are left out.

        Rules that another hit of the line beats for certain may be missing.
        """
        located = enumerate(self.located(lines))
        return {index: tuple([one.hit(lines[index][:LONGEST_LINE]) for one in each]) for index, each in located if each}

    def located(self, lines: Sequence[str]) -> list[tuple[Located, ...]]:
        """Return for each line what matches it and where; what `hits` gives is cut out of the line by that.

        Two lines for which the same is returned are the same, or differ in digits that no rule asks for.
        """
        # Half of a pair of surrogates is no text; where one stands the line must stay as long as it is.
        texts = "\n".join(lines).encode("utf-8", "replace").split(b"\n")
        if len(texts) != len(lines):  # what was written as one line may be several
            texts = [line.encode("utf-8", "replace") for line in lines]
        shapes = [shape_of(text) for text in texts]
        told = [self._told_by.get(shape, self._remembered.get(text)) for shape, text in zip(shapes, texts, strict=True)]
        for index in self._held([index for index, each in enumerate(told) if each is None], texts):
            told[index] = self._located_in(texts[index], shapes[index])
        return [each or () for each in told]

    def _held(self, indices: Sequence[int], texts: Sequence[bytes]) -> set[int]:
        """Return those of *indices* whose texts may hold a literal."""
        joined = b"\n".join([texts[index] for index in indices])
        stops = list(accumulate(len(texts[index]) + 1 for index in indices))
        return {indices[bisect_left(stops, end)] for end in self._finder.line_ends(joined, len(joined))}

    def _located_in(self, line: bytes, shape: bytes) -> tuple[Located, ...]:
        """Return what matches *line*, which is of *shape* and may hold a literal."""
        # Of many lines that came together the first told it.
        located = self._told_by.get(shape, self._remembered.get(line))
        if located is not None:
            return located
        left = self._left_of.get(shape)
        if left is None:
            left = self._left_in(shape)
            if all(map(_is_told_by_shape, left)):
                return _remember(self._told_by, shape, _tried_on(_text(shape), left))
            _remember(self._left_of, shape, left)
        return _remember(self._remembered, line, self._told_alike(shape, _tried_on(_text(line), left)))

    def _told_alike(self, shape: bytes, located: tuple[Located, ...]) -> tuple[Located, ...]:
        """Return what an earlier line of *shape* was given that the same rules match at the same places."""
        key = shape, tuple([(each.rule.name, each.tried.regs) for each in located])
        if len(self._alike) >= _MOST_REMEMBERED:
            self._alike.clear()
        return self._alike.setdefault(key, located) if len(shape) <= LONGEST_REMEMBERED else located

    def _left_in(self, shape: bytes) -> Tries:
        """Return the rules that may match lines of *shape*."""
        held = tuple(sorted({literal for _, literal in self._scan_shape(memoryview(shape))}))
        line = _text(shape)
        return _unsettled(each for each in self._tries(held) if may_match(each.rule, line))

    def _tries(self, held: tuple[int, ...]) -> Tries:
        """Return the rules that shapes of literals stand for; lines hold few different sets of them."""
        tries = self._tries_for.get(held)
        if tries is None:
            looking = {order: self._rules[order] for shape in held for order in self._looking_for[shape]}
            by_name = {rule.name: rule for rule in looking.values()}
            found = [
                Try(order, rule, rule.finder(), _surely_beaten(rule, by_name), _told_by_digits(rule))
                for order, rule in looking.items()
            ]
            tries = tuple(sorted(found, key=lambda each: (-len(each.beats), each.place)))
            if len(self._tries_for) >= _MOST_REMEMBERED:
                self._tries_for.clear()
            self._tries_for[held] = tries
        return tries

    @cached_property
    def _scan_shape(self) -> Scan:
        return scanner(self._shapes, self._engine)

    @cached_property
    def _shapes(self) -> list[bytes]:
        return sorted({shape_of(_bytes(literal)) for literal in self.literals})

    @cached_property
    def _looking_for(self) -> list[list[int]]:
        """The places of rules, by the index of a literal's shape."""
        number = {shape: index for index, shape in enumerate(self._shapes)}
        looking_for: list[list[int]] = [[] for _ in self._shapes]
        for order, rule in enumerate(self._rules):
            for shape in {shape_of(_bytes(literal)) for literal in rule.literals}:
                looking_for[number[shape]].append(order)
        return looking_for


def _remember(known: dict[bytes, Value], key: bytes, value: Value) -> Value:
    if len(key) <= LONGEST_REMEMBERED:
        if len(known) >= _MOST_REMEMBERED:
            known.clear()
        known[key] = value
    return value


def _tried_on(line: str, tries: Tries) -> tuple[Located, ...]:
    found: list[tuple[int, Located]] = []
    beaten: frozenset[str] = frozenset()
    for place, rule, find, beats, literals in tries:
        if rule.name in beaten or (match := find(line)) is None:
            continue
        if not literals or any(literal in line for literal in literals):
            found.append((place, Located(rule, match)))
            beaten = beats | beaten if beaten else beats
    if len(found) > 1:
        found.sort(key=_place)
    return tuple([located for _, located in found])


def _place(found: tuple[int, Located]) -> int:
    return found[0]


def _surely_beaten(rule: Rule, others: Mapping[str, Rule]) -> frozenset[str]:
    """Return the names of *others* that need not be tried where *rule* matches, whatever the source of the line."""
    beaten = (others[name] for name in rule.beats if name in others)
    return frozenset(other.name for other in beaten if not rule.collectors or rule.collectors == other.collectors)


def _is_told_by_shape(each: Try) -> bool:
    return is_told_by_shape(each.rule) and not each.literals


def _unsettled(tries: Iterable[Try]) -> Tries:
    """Return those of *tries* on a shape, in their turn, that no rule surely beats which matches all its lines."""
    left: list[Try] = []
    beaten, doubted = frozenset[str](), frozenset[str]()
    for each in tries:
        if each.rule.name in beaten:
            continue
        left.append(each)
        if not _is_told_by_shape(each):
            doubted |= each.beats
        elif each.rule.name not in doubted:
            beaten |= each.beats
    return tuple(left)


def _told_by_digits(rule: Rule) -> tuple[str, ...]:
    """Return the literals of *rule*, where lines of one shape may hold one or not."""
    return rule.literals if any(character.isdigit() for character in "".join(rule.literals)) else ()


def compile_rules(rules: Iterable[Rule], engine: str = "auto") -> Matcher:
    """Return the matcher of *rules*.

    Args:
        engine: "hyperscan", "ahocorasick", "python", or "auto" for the fastest that is installed. All give the same
            hits.
    """
    return Matcher(rules, engine)


def unbeaten(hits: Iterable[Found]) -> tuple[Found, ...]:
    """Return *hits* of one line without the rules that another of them beats."""
    found = tuple(hits)
    beaten = frozenset[str]().union(*(hit.rule.beats for hit in found))
    return tuple(hit for hit in found if hit.rule.name not in beaten)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(line: bytes | bytearray) -> str:
    return line[:_LONGEST_LINE_BYTES].decode("utf-8", "replace")[:LONGEST_LINE]
