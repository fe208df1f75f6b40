"""Lines to the rules that match them, without trying every rule on every line.

1. The lines are joined and searched once for all literals of all rules; most lines hold none and are done.
2. On a line that holds some, the rules that these literals stand for are confirmed with their patterns.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from clusterwatch.detect.rules import Rule

# A log line of a megabyte is seldom an error message; what is, says so at its beginning.
LONGEST_LINE = 8_192

Prefilter = Callable[[Sequence[str]], Mapping[int, set[int]]]
"""Lines to the literals they hold, both by index; lines that hold none are left out."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that matches a line, and what its pattern captured."""

    rule: Rule
    match: re.Match[str]


class Matcher:
    """Finds the rules that match lines. Made by `compile_rules`."""

    def __init__(self, rules: Iterable[Rule], literals: Sequence[str], prefilter: Prefilter) -> None:
        self._rules = tuple(rules)
        self._prefilter = prefilter
        # By index of literal: the indices of the rules that look for it.
        self._looking_for = [
            [index for index, rule in enumerate(self._rules) if literal in rule.literals] for literal in literals
        ]

    def hits(self, lines: Sequence[str]) -> dict[int, tuple[Hit, ...]]:
        """Return, by index of line, its hits in the order of the rules; lines without one are left out."""
        short = [line[:LONGEST_LINE] for line in lines]
        found = {index: self._confirmed(short[index], held) for index, held in sorted(self._prefilter(short).items())}
        return {index: hits for index, hits in found.items() if hits}

    def _confirmed(self, line: str, literals: Iterable[int]) -> tuple[Hit, ...]:
        candidates = sorted({index for literal in literals for index in self._looking_for[literal]})
        tried = ((self._rules[index], self._rules[index].pattern.search(line)) for index in candidates)
        return tuple(Hit(rule, match) for rule, match in tried if match is not None)


def compile_rules(rules: Iterable[Rule], engine: str = "auto") -> Matcher:
    """Return the matcher of *rules*.

    Args:
        engine: "hyperscan", "python", or "auto" for hyperscan where it is installed. All give the same hits.
    """
    known = tuple(rules)
    literals = sorted({literal for rule in known for literal in rule.literals})
    return Matcher(known, literals, _prefilter(literals, engine))


def unbeaten(hits: Iterable[Hit]) -> tuple[Hit, ...]:
    """Return *hits* of one line without the rules that another of them beats."""
    found = tuple(hits)
    beaten = frozenset[str]().union(*(hit.rule.beats for hit in found))
    return tuple(hit for hit in found if hit.rule.name not in beaten)


def _prefilter(literals: Sequence[str], engine: str) -> Prefilter:
    if not literals:
        return lambda lines: {}
    if engine == "python":
        return _with_find(literals)
    try:
        return _with_hyperscan(literals)
    except ImportError:
        if engine == "hyperscan":
            raise
        return _with_find(literals)


def _with_find(literals: Sequence[str]) -> Prefilter:
    # One pass of str.find per literal over all lines beats one alternation of all literals by far.
    def literals_of_lines(lines: Sequence[str]) -> Mapping[int, set[int]]:
        starts = [0, *accumulate(len(line) + 1 for line in lines)]
        joined = "\n".join(lines)
        found: dict[int, set[int]] = {}
        for index, literal in enumerate(literals):
            for at in _occurrences(joined, literal):
                found.setdefault(bisect_right(starts, at) - 1, set()).add(index)
        return found

    return literals_of_lines


def _occurrences(text: str, literal: str) -> Iterator[int]:
    at = text.find(literal)
    while at >= 0:
        yield at
        at = text.find(literal, at + 1)


def _with_hyperscan(literals: Sequence[str]) -> Prefilter:
    import hyperscan

    database = hyperscan.Database()
    # Expressions, not HS literals: hexadecimal escapes say every byte without a quoting rule of its own.
    expressions = ["".join(f"\\x{byte:02x}" for byte in _bytes(literal)).encode() for literal in literals]
    database.compile(expressions=expressions, ids=list(range(len(literals))), flags=0)

    def literals_of_lines(lines: Sequence[str]) -> Mapping[int, set[int]]:
        encoded = [_bytes(line) for line in lines]
        starts = [0, *accumulate(len(line) + 1 for line in encoded)]
        found: dict[int, set[int]] = {}

        def note(literal: int, _start: int, end: int, _flags: int, _context: object) -> None:
            found.setdefault(bisect_right(starts, end - 1) - 1, set()).add(literal)

        database.scan(b"\n".join(encoded), match_event_handler=note)
        return found

    return literals_of_lines


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
