"""The detection rules as people ask about them: which there are, what is wrong with them, what a line means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from clusterwatch import pipeline
from clusterwatch.app.inputs import InputLine, Problem, lines_in
from clusterwatch.detect import Catalog, ObserverState, Rule, body, unbeaten
from clusterwatch.model import Cause, Event, Reading, Role, Signal
from clusterwatch.reading.lines import decode
from clusterwatch.reading.sources import SourcedLine, sourced
from clusterwatch.reading.text import printable

_LINES_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Matched:
    """A rule that matches a line; *counts* unless another rule beats it or it is for another source."""

    rule: Rule
    counts: bool


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line, what it was taken for, the rules that match it and the events it gives."""

    place: str
    line: SourcedLine
    matched: tuple[Matched, ...]
    events: tuple[Event, ...]


def broken_examples(catalog: Catalog) -> Iterator[str]:
    """Yield a sentence for each example line that its rule does not treat as it says."""
    for rule in catalog.rules:
        expected = [*((line, True) for line in rule.match), *((line, False) for line in rule.no_match)]
        hits = catalog.matcher.hits([line for line, _ in expected])
        for index, (line, should_match) in enumerate(expected):
            names = {hit.rule.name for hit in unbeaten(hits.get(index, ()))}
            if (rule.name in names) is not should_match:
                does = "is not recognised" if should_match else "is recognised, and must not be"
                beaten_by = f" (recognised by {', '.join(sorted(names))})" if names and should_match else ""
                yield f"{rule.file}: rule {rule.name!r}: example {does}{beaten_by}: {line!r}"


def read_line(text: str, catalog: Catalog, now: datetime, place: str = "line") -> ReadLine:
    """Return what *catalog* makes of the line *text*, as `clusterwatch diagnose` would."""
    line = sourced(printable(text), now)
    hits = catalog.matcher.hits([body(line.text)[1]]).get(0, ())
    counting = {hit.rule.name for hit in unbeaten(hit for hit in hits if hit.rule.applies_to(line.source))}
    reading = Reading(
        source=line.source,
        node=line.node,
        position=place,
        observed_at=now,
        happened_at=line.at,
        trust=line.trust,
        text=line.text,
        rank=line.rank,
    )
    _, events, _ = pipeline.observe(ObserverState(), [reading], catalog, now)
    return ReadLine(place, line, tuple(Matched(hit.rule, hit.rule.name in counting) for hit in hits), tuple(events))


def recognised(paths: list[str], catalog: Catalog, now: datetime) -> Iterator[ReadLine | Problem]:
    """Yield the lines under *paths* ("-" for standard input) that any rule matches, and what could not be read."""
    held: list[tuple[str, str]] = []
    for found in lines_in(paths):
        if isinstance(found, Problem):
            yield found
        elif isinstance(found, InputLine):
            held.append((f"{found.path}:{found.number}", decode(found.raw)))
        if len(held) >= _LINES_AT_ONCE:
            yield from _matched(held, catalog, now)
            held.clear()
    yield from _matched(held, catalog, now)


def likelihoods(signal: Signal) -> list[tuple[Cause, float]]:
    """Return what *signal* weighs for and against each cause, heaviest first, in nats."""
    return sorted(signal.weights.items(), key=lambda pair: (-pair[1], pair[0]))


def opens_incident(signal: Signal) -> bool:
    """Return whether an event of this meaning is evidence; what gives only context opens and weighs nothing."""
    return signal.role is not Role.CONTEXT


def _matched(held: list[tuple[str, str]], catalog: Catalog, now: datetime) -> Iterator[ReadLine]:
    hits = catalog.matcher.hits([text for _, text in held])
    for index in sorted(hits):
        place, text = held[index]
        yield read_line(text, catalog, now, place)
