"""A line to its shape, which many lines share, and a rule to whether it can match lines of a shape.

1. The shape of a line is the line with all its digits made zeros.
2. The shadow of a pattern matches the shape of every line that the pattern matches. Most patterns do not tell one digit
   from another and are their own shadow. In the others, what takes some digits takes all, and what must not stand
   somewhere but for some of its digits is left out.
"""

from __future__ import annotations

import re
from functools import cache

# How CPython reads and builds patterns; the public modules of the same content are deprecated.
from re import _compiler as compiler  # type: ignore[attr-defined]  # typeshed does not know it
from re import _constants as sre  # type: ignore[attr-defined]  # typeshed does not know it
from typing import Any

from clusterwatch.detect.patterns import Items, characters, inside, parsed
from clusterwatch.detect.rules import Rule
from clusterwatch.reading.lines import unprefixed

_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_DIGITS = sum(1 << code for code in range(ord("0"), ord("9") + 1))
_ANY_DIGIT = (sre.RANGE, (ord("0"), ord("9")))
_ANYTHING = (sre.IN, [(sre.CATEGORY, sre.CATEGORY_SPACE), (sre.CATEGORY, sre.CATEGORY_NOT_SPACE)])
_REFERENCES = (sre.GROUPREF, sre.GROUPREF_EXISTS)
_LOOKS = (sre.ASSERT, sre.ASSERT_NOT)


class Match:
    """What a pattern matched in a line, as much of `re.Match` as is asked for.

    Attributes:
        string: The line; without what carried it, where the pattern matched behind that.
        tried: The match on a line of the same shape, whose groups stand at the same places.
    """

    __slots__ = ("string", "tried")

    def __init__(self, line: str, tried: re.Match[str]) -> None:
        self.string = line[len(line) - len(tried.string) :]
        self.tried = tried

    def __getitem__(self, group: int | str) -> str | None:
        start, end = self.tried.span(group)
        return self.string[start:end] if start >= 0 else None

    def span(self, group: int | str = 0) -> tuple[int, int]:
        """Return where *group* begins and ends in `string`; (-1, -1) where it took no part."""
        return self.tried.span(group)

    def groupdict(self) -> dict[str, str | None]:
        """Return the named groups; None for one that took no part."""
        string, places = self.string, self.tried.regs
        return {
            name: string[start:end] if start >= 0 else None
            for name, group in self.tried.re.groupindex.items()
            for start, end in [places[group]]
        }


def shape_of(text: bytes) -> bytes:
    """Return *text* (UTF-8), of one or more lines, with all digits of ASCII made zeros."""
    return text.translate(_ZEROS)


def may_match(rule: Rule, shape: str) -> bool:
    """Return whether *rule* may match a line of *shape*; where not, it surely matches none."""
    pattern = shadow(rule.pattern)
    if pattern is None or pattern.search(shape):
        return True
    # As in `Rule.found_in`; what carries a line is of the same shape, too.
    return "^" in rule.pattern.pattern and pattern.search(unprefixed(shape)) is not None


def is_told_by_shape(rule: Rule) -> bool:
    """Return whether *rule* matches either all lines of a shape, and that at the same place, or none."""
    return shadow(rule.pattern) is rule.pattern


@cache
def shadow(pattern: re.Pattern[str]) -> re.Pattern[str] | None:
    """Return what matches the shapes of all lines that *pattern* matches, and maybe others.

    None for a pattern that refers to a group: what it matched in the line is not what it matches in the shape.
    """
    items: Any = parsed(pattern)
    if _refers(items):
        return None
    if _is_digit_blind(items, pattern.flags):
        return pattern
    _widen(items, pattern.flags)
    widened: re.Pattern[str] = compiler.compile(items, pattern.flags)
    return widened


def _is_digit_blind(items: Items, flags: int) -> bool:
    """Return whether *items*, which refer to no group, match a line just where they match its shape."""
    return all(
        characters(kind, value, flags) & _DIGITS in (0, _DIGITS)
        and all(_is_digit_blind(inner, flags) for inner in _within(kind, value))
        for kind, value in items
    )


def _refers(items: Items) -> bool:
    return any(kind in _REFERENCES or any(_refers(inner) for inner in _within(kind, value)) for kind, value in items)


def _within(kind: Any, value: Any) -> list[Items]:
    return [value[1]] if kind in _LOOKS else [*inside(kind, value)]


def _widen(items: Any, flags: int) -> None:
    """Make what takes some digits in *items*, a tree that nothing else uses, take all."""
    for place, (kind, value) in enumerate(items):
        if kind is sre.ASSERT_NOT:
            if not _is_digit_blind(value[1], flags):
                items[place] = (sre.SUBPATTERN, (None, 0, 0, items[:0]))
            continue
        for inner in _within(kind, value):
            _widen(inner, flags)
        if characters(kind, value, flags) & _DIGITS not in (0, _DIGITS):
            items[place] = _with_all_digits(kind, value)
        elif kind is sre.POSSESSIVE_REPEAT:
            # What never gives back may, being wider, take what must follow it.
            items[place] = (sre.MAX_REPEAT, value)
        elif kind is sre.ATOMIC_GROUP:
            items[place] = (sre.SUBPATTERN, (None, 0, 0, value))


def _with_all_digits(kind: Any, value: Any) -> tuple[Any, Any]:
    if kind is sre.LITERAL:
        return sre.IN, [_ANY_DIGIT]
    if kind is sre.NOT_LITERAL:
        return _ANYTHING
    if value[0][0] is not sre.NEGATE:
        return sre.IN, [*value, _ANY_DIGIT]
    refused = [each for each in value[1:] if not characters(sre.IN, [each], 0) & _DIGITS]
    return (sre.IN, [value[0], *refused]) if refused else _ANYTHING
