"""Lines to the rules that match them, without trying every rule on every line.

1. A text of many lines is searched once, as bytes, for all literals of all rules; most lines hold none and are done.
2. Only a line that holds some is decoded, and only the rules that these literals stand for are tried on it.
3. In a burst the same line comes again and again: what was found on it is remembered. Lines that differ in numbers
   alone share what was not found on one, as far as the patterns do not ask for certain digits.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from clusterwatch.detect.engines import Found, scanner
from clusterwatch.detect.patterns import is_digit_blind
from clusterwatch.detect.rules import Rule

# A log line of a megabyte is seldom an error message; what is, says so at its beginning.
LONGEST_LINE = 8_192

_BURST = 32
_MOST_REMEMBERED = 4_096


class Hit(NamedTuple):
    """A rule that matches a line, and what its pattern captured."""

    rule: Rule
    match: re.Match[str]


HeldLine = tuple[int, int, tuple[int, ...]]
"""A line that holds literals: offsets of its first byte and of its line feed, and the literals, by index."""

HitLine = tuple[int, int, tuple[Hit, ...]]
"""A line with hits: offsets of its first byte and of its line feed, and the hits in the order of the rules."""


Tried = tuple[tuple[int, Rule, frozenset[str]], ...]
"""Rules in the turn they are tried: place among the rules, rule, names that need not be tried where it matches."""


class Matcher:
    """Finds the rules that match lines. Made by `compile_rules`."""

    def __init__(self, rules: Iterable[Rule], engine: str = "auto") -> None:
        self._rules = tuple(rules)
        self.literals = sorted({literal for rule in self._rules for literal in rule.literals})
        """What is searched for; `HeldLine` counts in it."""
        self._scan = scanner([_bytes(literal) for literal in self.literals], engine)
        number = {literal: index for index, literal in enumerate(self.literals)}
        self._looking_for: list[list[tuple[int, Rule]]] = [[] for _ in self.literals]
        for order, rule in enumerate(self._rules):
            for literal in dict.fromkeys(rule.literals):
                self._looking_for[number[literal]].append((order, rule))
        self._tried_for: dict[tuple[int, ...], Tried] = {}
        self._remembered: dict[str, tuple[Hit, ...]] = {}
        self._left_for: dict[tuple[str, tuple[int, ...]], Tried] = {}

    def held_lines(self, text: bytes | bytearray, size: int | None = None) -> list[HeldLine]:
        """Return the lines of *text* (UTF-8, lines ended by line feeds) that hold a literal, in order.

        *size* is how much of *text* counts; None for all.
        """
        size = len(text) if size is None else size
        return held_lines(text, size, self._scan(memoryview(text)[:size]))

    def hits_in(self, text: bytes | bytearray, size: int | None = None) -> list[HitLine]:
        """Return the lines of *text* (UTF-8, lines ended by line feeds) that a rule matches, with their hits.

        *size* is how much of *text* counts; None for all.
        """
        held_lines = self.held_lines(text, size)
        if len(held_lines) > _BURST:
            return self._hits_of_burst(text, held_lines)
        return [
            (start, end, hits)
            for start, end, held in held_lines
            if (hits := self._confirmed(text[start:end].decode("utf-8", "replace"), held))
        ]

    def _hits_of_burst(self, text: bytes | bytearray, held_lines: Iterable[HeldLine]) -> list[HitLine]:
        found: list[HitLine] = []
        left_for, remembered = self._left_for, self._remembered
        for start, end, held in held_lines:
            line = text[start:end].decode("utf-8", "replace")[:LONGEST_LINE]
            hits = remembered.get(line)
            if hits is None:
                shape = (line.translate(_ZEROS), held)
                left = left_for.get(shape)
                hits = _tried_on(line, left) if left is not None else self._first_of_its_shape(line, shape)
                if len(remembered) >= _MOST_REMEMBERED:
                    remembered.clear()
                remembered[line] = hits
            if hits:
                found.append((start, end, hits))
        return found

    def _first_of_its_shape(self, line: str, shape: tuple[str, tuple[int, ...]]) -> tuple[Hit, ...]:
        if len(self._left_for) >= _MOST_REMEMBERED:
            self._left_for.clear()
        tried = self._tried_for.get(shape[1]) or self._remember_rules(shape[1])
        hits = _tried_on(line, tried)
        names = {hit.rule.name for hit in hits}
        beaten = frozenset[str]().union(*(beats for _, rule, beats in tried if rule.name in names))
        # What was beaten was not tried: it stays.
        self._left_for[shape] = tuple(
            each for each in tried if each[1].name in names or each[1].name in beaten or not _is_digit_blind(each[1])
        )
        return hits

    def hits(self, lines: Sequence[str]) -> dict[int, tuple[Hit, ...]]:
        """Return, by index of line, its hits in the order of the rules; lines without one are left out.

        Rules that another hit of the line beats for certain may be missing.
        """
        joined = "\n".join(lines)
        starts = list(accumulate((_size(line) + 1 for line in lines), initial=0))
        found: dict[int, tuple[int, ...]] = {}
        for start, _, literals in self.held_lines(_bytes(joined)):
            index = bisect_right(starts, start) - 1
            found[index] = (*found.get(index, ()), *literals)
        return {index: hits for index, held in found.items() if (hits := self._confirmed(lines[index], held))}

    def _confirmed(self, line: str, literals: tuple[int, ...]) -> tuple[Hit, ...]:
        return _tried_on(line[:LONGEST_LINE], self._tried_for.get(literals) or self._remember_rules(literals))

    def _remember_rules(self, literals: tuple[int, ...]) -> Tried:
        """Return the rules that *literals* stand for; lines hold few different sets of literals."""
        if len(self._tried_for) >= _MOST_REMEMBERED:
            self._tried_for.clear()
        looking = {order: rule for literal in literals for order, rule in self._looking_for[literal]}
        by_name = {rule.name: rule for rule in looking.values()}
        tried = [(order, rule, _surely_beaten(rule, by_name)) for order, rule in looking.items()]
        self._tried_for[literals] = in_turn = tuple(sorted(tried, key=lambda each: (-len(each[2]), each[0])))
        return in_turn


def _tried_on(line: str, tried: Tried) -> tuple[Hit, ...]:
    if len(tried) == 1:
        rule = tried[0][1]
        match = rule.found_in(line)
        return () if match is None else (Hit(rule, match),)
    found: list[tuple[int, Hit]] = []
    beaten: frozenset[str] = frozenset()
    for order, rule, beats in tried:
        if rule.name not in beaten and (match := rule.found_in(line)) is not None:
            found.append((order, Hit(rule, match)))
            beaten |= beats
    found.sort(key=_order)
    return tuple([hit for _, hit in found])


def _order(found: tuple[int, Hit]) -> int:
    return found[0]


@cache
def _blind(pattern: re.Pattern[str]) -> bool:
    return is_digit_blind(pattern)


def _is_digit_blind(rule: Rule) -> bool:
    return _blind(rule.pattern)


_ZEROS = str.maketrans("123456789", "000000000")


def _surely_beaten(rule: Rule, others: Mapping[str, Rule]) -> frozenset[str]:
    """Return the names of *others* that need not be tried where *rule* matches, whatever the source of the line."""
    beaten = (others[name] for name in rule.beats if name in others)
    return frozenset(other.name for other in beaten if not rule.collectors or rule.collectors == other.collectors)


def held_lines(text: bytes | bytearray, size: int, found: Found) -> list[HeldLine]:
    """Return the lines of the first *size* bytes of *text* that hold one of *found*, in order."""
    lines: list[HeldLine] = []
    rfind, find = text.rfind, text.find
    start, line_end, held = 0, -1, list[int]()
    for end, literal in found:
        if end <= line_end:
            held.append(literal)
            continue
        if held:
            lines.append((start, line_end, tuple(held)))
        start = rfind(b"\n", line_end + 1, end) + 1 or line_end + 1
        line_end = find(b"\n", end, size)
        if line_end < 0:
            line_end = size
        held = [literal]
    if held:
        lines.append((start, line_end, tuple(held)))
    return lines


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


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(_bytes(text))
