"""What a command shows to a person, before anybody decides how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """How a piece of text is meant; drawn as a colour where there are colours."""

    PLAIN = "plain"
    STRONG = "strong"
    GOOD = "good"
    BAD = "bad"
    DOUBTFUL = "doubtful"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Phrase:
    """Text with a tone. The text may hold anything: whoever draws it makes it harmless."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; a row has as many cells as there are headings."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str | Phrase, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A title and what stands under it, line by line; without a title the parts stand at the margin."""

    title: str
    parts: tuple[str | Phrase | Table, ...]


Page = tuple[Section, ...]


def good(text: str) -> Phrase:
    """Return *text* as good news."""
    return Phrase(text, Tone.GOOD)


def bad(text: str) -> Phrase:
    """Return *text* as bad news."""
    return Phrase(text, Tone.BAD)


def doubtful(text: str) -> Phrase:
    """Return *text* as something to keep an eye on."""
    return Phrase(text, Tone.DOUBTFUL)


def quiet(text: str) -> Phrase:
    """Return *text* as a side remark."""
    return Phrase(text, Tone.QUIET)


def strong(text: str) -> Phrase:
    """Return *text* as what the eye should find first."""
    return Phrase(text, Tone.STRONG)
