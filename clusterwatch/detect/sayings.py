"""What the rules read off a line: found out on the first line of its sort, and cut out of all others.

Lines of a sort are the same but for digits that no rule asks for, see `Matcher.located`. Which of the rules count,
where in the line their fields stand, and of which kind the line is unless a field says so, holds for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from clusterwatch.detect.assembling import may_open
from clusterwatch.detect.matcher import LONGEST_LINE, LONGEST_REMEMBERED, Located, unbeaten
from clusterwatch.detect.refining import Refinements
from clusterwatch.detect.rules import Rule, field_name, number_in
from clusterwatch.detect.sightings import kind_from
from clusterwatch.model import Scalar
from clusterwatch.model.kinds import EXCEPTION
from clusterwatch.reading.reports import MARK

_MOST_REMEMBERED = 4_096


class Place(NamedTuple):
    """Where in a line a field stands, without the blanks around it."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Saying:
    """What one rule reads off the lines of a sort.

    Attributes:
        kind: Of all of them; "" where a field tells it, or a refinement may.
        begins: Where the part of a line begins that the rule's pattern was searched in.
        places: Where its fields stand.
        numbers: Names of those that are numbers.
    """

    rule: Rule
    kind: str
    begins: int
    places: tuple[Place, ...]
    numbers: tuple[str, ...]

    def fields(self, line: str) -> dict[str, Scalar]:
        """Return what stands in *line*, as `Rule.fields` does of a match."""
        found: dict[str, Scalar] = {}
        for name, start, end in self.places:
            found[name] = line[start:end]
        for name in self.numbers:
            found[name] = number_in(str(found[name]))
        return found

    def searched(self, line: str) -> str:
        """Return the part of *line* that the rule's pattern was searched in."""
        return line[self.begins : LONGEST_LINE]


@dataclass(frozen=True, slots=True)
class Sort:
    """What lines of a sort say.

    Attributes:
        told: By the rules that count, in their order, but for headings.
        heading: What names what the lines after it are about, if one does.
        is_alone: They open no text, and are no report.
    """

    told: tuple[Saying, ...]
    heading: Saying | None
    is_alone: bool


def says_nothing(line: str) -> bool:
    """Return whether *line*, which no rule matches, says nothing where no text is open: most lines are of that kind."""
    return MARK not in line and not may_open(line)


class Sayings:
    """The sorts of lines of late."""

    def __init__(self, refinements: Refinements) -> None:
        self.refinements = refinements
        self._known: dict[tuple[str, tuple[Located, ...]], Sort] = {}

    def of(self, source: str, located: tuple[Located, ...], line: str) -> Sort:
        """Return what lines that *source* saw say, where *located* is what `Matcher.located` gives for one, *line*."""
        key = source, located
        sort = self._known.get(key)
        if sort is None:
            sort = self._sort(source, located, line)
            if located and len(line) <= LONGEST_REMEMBERED:
                self._remember(key, sort)
        return sort

    def _remember(self, key: tuple[str, tuple[Located, ...]], sort: Sort) -> None:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = sort

    def _sort(self, source: str, located: tuple[Located, ...], line: str) -> Sort:
        counted = _telling(tuple(each for each in located if each.rule.applies_to(source)))
        told = [self._saying(each, line) for each in counted]
        headings = (saying for saying in told if saying.rule.heading)
        others = tuple(saying for saying in told if not saying.rule.heading)
        return Sort(others, next(headings, None), says_nothing(line))

    def _saying(self, located: Located, line: str) -> Saying:
        rule, begins = located.rule, len(line[:LONGEST_LINE]) - len(located.tried.string)
        places = {place.name: place for place in _places(located, begins)}
        is_fixed = "{" not in rule.kind and not self.refinements.may_refine(rule.kind)
        numbers = tuple(name for name in places if name in rule.ints)
        return Saying(rule, rule.kind if is_fixed else "", begins, tuple(places.values()), numbers)

    def kind_and_fields(self, saying: Saying, line: str, fields: dict[str, Scalar]) -> tuple[str, Mapping[str, Scalar]]:
        """Return the most special kind of *line*, and *fields* with what was read to find it out."""
        if saying.kind:
            return saying.kind, fields
        return self.refinements.refined(kind_from(saying.rule.kind, fields), fields, saying.searched(line))


def _places(located: Located, begins: int) -> Iterator[Place]:
    tried = located.tried
    for group, index in tried.re.groupindex.items():
        start, end = tried.span(index)
        if start >= 0:
            text = tried.string[start:end]
            start += len(text) - len(text.lstrip())
            yield Place(field_name(group), begins + start, begins + start + len(text.strip()))


def _telling(located: tuple[Located, ...]) -> tuple[Located, ...]:
    """Return *located* that no other beats, without the one that only says that something was raised."""
    if len(located) < 2:
        return located
    left = unbeaten(located)
    # Where another knows what was raised.
    return tuple(each for each in left if each.rule.kind != EXCEPTION) or left
