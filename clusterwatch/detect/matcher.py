"""Lines to the rules that match them, without trying every rule on every line.

1. A text of many lines is searched once, as bytes, for the literals of all rules; most lines hold none and are done.
2. Lines that differ in digits alone have one shape. What matches none of them, and what matches all of them at the same
   place, is found out on the first one.
3. Only where a rule asks for certain digits is it tried on each line.
4. In a burst the same line comes again and again: what was found on it is remembered.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, TypeVar

from clusterwatch.detect.engines import Scan, scanner
from clusterwatch.detect.finding import Finder
from clusterwatch.detect.rules import Rule
from clusterwatch.detect.shapes import Match, is_told_by_shape, may_match, shape_of

# A log line of a megabyte is seldom an error message; what is, says so at its beginning.
LONGEST_LINE = 8_192
_LONGEST_LINE_BYTES = 4 * LONGEST_LINE

_MOST_REMEMBERED = 4_096
_LONGEST_REMEMBERED = 2_048


Key = TypeVar("Key")
Value = TypeVar("Value")


class Hit(NamedTuple):
    """A rule that matches a line, and what its pattern captured."""

    rule: Rule
    match: Match


HitLine = tuple[int, int, tuple[Hit, ...]]
"""A line with hits: offsets of its first byte and of its line feed, and the hits in the order of the rules."""


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


class Known(NamedTuple):
    """What is known of all lines of a shape.

    Attributes:
        hits: The rules that match them, and where; nothing is tried on them any more.
        left: Otherwise the rules to be tried on each.
    """

    hits: tuple[tuple[Rule, re.Match[str]], ...] = ()
    left: Tries = ()


_NOTHING = Known()


class Matcher:
    """Finds the rules that match lines. Made by `compile_rules`. Not for two threads at once."""

    def __init__(self, rules: Iterable[Rule], engine: str = "auto") -> None:
        self._rules = tuple(rules)
        self._engine = engine
        self.literals = sorted({literal for rule in self._rules for literal in rule.literals})
        """What is searched for, in order."""
        self._finder = Finder([_bytes(literal) for literal in self.literals], engine)
        self._tries_for: dict[tuple[int, ...], Tries] = {}
        self._known_of: dict[bytes, Known] = {}
        self._remembered: dict[str, tuple[Hit, ...]] = {}

    def hits_in(self, text: bytes | bytearray, size: int | None = None) -> list[HitLine]:
        """Return the lines of *text* (UTF-8, lines ended by line feeds) that a rule matches, with their hits.

        *size* is how much of *text* counts; None for all. Rules that another hit of the line beats for certain may be
        missing.
        """
        spans = self._finder.spans(text, len(text) if size is None else size)
        if not spans:
            return []
        lines = [text[start : min(end, start + _LONGEST_LINE_BYTES)] for start, end in spans]
        shapes = shape_of(b"\n".join(lines)).split(b"\n")
        return [
            (*span, hits)
            for span, line, shape in zip(spans, lines, shapes, strict=True)
            if (known := self._known(shape)) is not _NOTHING
            and (hits := self._hits_on(line.decode("utf-8", "replace"), known))
        ]

    def hits(self, lines: Sequence[str]) -> dict[int, tuple[Hit, ...]]:
        """Return, by index of line, its hits in the order of the rules; lines without one are left out.

        Rules that another hit of the line beats for certain may be missing.
        """
        texts = _bytes("\n".join(lines)).split(b"\n")
        if len(texts) != len(lines):  # what was written as one line may be several
            texts = [_bytes(line) for line in lines]
        known = [self._known_of.get(shape_of(text)) for text in texts]
        for index in self._held([index for index, each in enumerate(known) if each is None], texts):
            known[index] = self._known(shape_of(texts[index]))
        return {
            index: hits
            for index, each in enumerate(known)
            if each is not None and each is not _NOTHING and (hits := self._hits_on(lines[index], each))
        }

    def _held(self, indices: Sequence[int], texts: Sequence[bytes]) -> set[int]:
        """Return those of *indices* whose texts may hold a literal."""
        joined = b"\n".join([texts[index] for index in indices])
        starts = list(accumulate((len(texts[index]) + 1 for index in indices), initial=0))
        return {indices[bisect_right(starts, start) - 1] for start, _ in self._finder.spans(joined, len(joined))}

    def _known(self, shape: bytes) -> Known:
        known = self._known_of.get(shape)
        if known is None:
            known = self._learned(shape)
            if len(shape) <= _LONGEST_REMEMBERED:
                _remember(self._known_of, shape, known)
        return known

    def _learned(self, shape: bytes) -> Known:
        held = tuple(sorted({literal for _, literal in self._scan_shape(memoryview(shape))}))
        line = shape.decode("utf-8", "replace")[:LONGEST_LINE]
        left = tuple(each for each in self._tries(held) if may_match(each.rule, line))
        if not left:
            return _NOTHING
        if any(each.literals or not is_told_by_shape(each.rule) for each in left):
            return Known(left=left)
        return Known(hits=tuple((hit.rule, hit.match.tried) for hit in _tried_on(line, left)))

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
            _remember(self._tries_for, held, tries)
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

    def _hits_on(self, line: str, known: Known) -> tuple[Hit, ...]:
        line = line[:LONGEST_LINE]
        if not known.left:
            return tuple([Hit(rule, Match(line, tried)) for rule, tried in known.hits])
        hits = self._remembered.get(line)
        if hits is None:
            hits = _tried_on(line, known.left)
            _remember(self._remembered, line, hits)
        return hits


def _remember(known: dict[Key, Value], key: Key, value: Value) -> None:
    if len(known) >= _MOST_REMEMBERED:
        known.clear()
    known[key] = value


def _tried_on(line: str, tries: Tries) -> tuple[Hit, ...]:
    found: list[tuple[int, Hit]] = []
    beaten: frozenset[str] = frozenset()
    for place, rule, find, beats, literals in tries:
        if rule.name in beaten or (match := find(line)) is None:
            continue
        if not literals or any(literal in line for literal in literals):
            found.append((place, Hit(rule, Match(line, match))))
            beaten = beats | beaten if beaten else beats
    if len(found) > 1:
        found.sort(key=_place)
    return tuple([hit for _, hit in found])


def _place(found: tuple[int, Hit]) -> int:
    return found[0]


def _surely_beaten(rule: Rule, others: Mapping[str, Rule]) -> frozenset[str]:
    """Return the names of *others* that need not be tried where *rule* matches, whatever the source of the line."""
    beaten = (others[name] for name in rule.beats if name in others)
    return frozenset(other.name for other in beaten if not rule.collectors or rule.collectors == other.collectors)


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


def unbeaten(hits: Iterable[Hit]) -> tuple[Hit, ...]:
    """Return *hits* of one line without the rules that another of them beats."""
    found = tuple(hits)
    beaten = frozenset[str]().union(*(hit.rule.beats for hit in found))
    return tuple(hit for hit in found if hit.rule.name not in beaten)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
