"""The one place where commands print: JSON or pages on standard output, words on standard error.

1. JSON is one document of plain ASCII: times are ISO 8601 in UTC, enums their values, severities their names.
2. Colours appear on a terminal only and obey NO_COLOR, FORCE_COLOR and TERM=dumb, as rich does.
3. Into a pipe or a file nothing is wrapped or cut to a terminal's width; a single cell is cut to `CELL_LIMIT`.
4. Everything shown comes from outside: no markup in it is obeyed, escapes and control characters are dropped.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import typer

from clusterwatch.cli.page import Page, Phrase, Section, Table, Tone

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

T = TypeVar("T")

CELL_LIMIT = 2000
"""Longest text of one cell or line of a page, in characters; JSON holds it in full."""

_PIPED_WIDTH = 1_000_000

_STYLES: dict[Tone, str] = {
    Tone.PLAIN: "",
    Tone.STRONG: "bold",
    Tone.GOOD: "green",
    Tone.BAD: "bold red",
    Tone.DOUBTFUL: "yellow",
    Tone.QUIET: "dim",
}


class Format(StrEnum):
    """How a command answers."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column of a list: its heading and what it says about a record."""

    heading: str
    text_of: Callable[[T], str | Phrase]


def emit(records: Sequence[T], output: Format, columns: Sequence[Column[T]], empty: str = "") -> None:
    """Print *records* as one JSON list or as a table; where a table would be empty, say *empty* instead."""
    if output is Format.JSON:
        print_json(records)
    elif records:
        print_page((Section("", (table_of(records, columns),)),))
    else:
        say(empty)


def show(answer: object, page: Page, output: Format) -> None:
    """Print *answer* as one JSON document, or *page* for people."""
    if output is Format.JSON:
        print_json(answer)
    else:
        print_page(page)


def table_of(records: Sequence[T], columns: Sequence[Column[T]]) -> Table:
    """Return *records* as a table, one row each."""
    rows = tuple(tuple(column.text_of(record) for column in columns) for record in records)
    return Table(tuple(column.heading for column in columns), rows)


def say(words: str) -> None:
    """Print *words* to standard error: what is meant for a person and not for a script."""
    from clusterwatch.reading.text import printable

    for line in words.splitlines():
        typer.echo(printable(line), err=True)


def print_json(answer: object, *, one_line: bool = False) -> None:
    """Print *answer* as one JSON document, on one line if asked."""
    typer.echo(json.dumps(encode(answer), indent=None if one_line else 2))


def encode(value: object) -> Any:
    """Return *value* as JSON's own types: records as objects with their fields' names, times as ISO 8601 in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        # The number of a severity says nothing to a script's author.
        return value.name.lower() if isinstance(value, IntEnum) else value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(encode(key)): encode(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        members = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [encode(member) for member in members]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def clear_screen() -> None:
    """Begin a new screen on a terminal; elsewhere an empty line."""
    typer.echo("\x1b[H\x1b[2J" if sys.stdout.isatty() else "", nl=not sys.stdout.isatty())


def print_line(line: str | Phrase) -> None:
    """Print one line at once, however it is looked at: for what comes little by little."""
    print_page((Section("", (line,)),))


def print_page(page: Page) -> None:
    """Print *page* to standard output: in colour and as wide as the terminal, or plain and unwrapped elsewhere."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        _draw(page, console)
        return
    console.width = _PIPED_WIDTH
    with console.capture() as capture:
        _draw(page, console)
    # Cells are padded to their column's width; nobody wants to diff or grep that.
    typer.echo("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()), nl=False)


def _draw(page: Page, console: Console) -> None:
    from rich.padding import Padding

    for number, section in enumerate(page):
        if number:
            console.print()
        if section.title:
            console.print(_text(Phrase(section.title, Tone.STRONG)))
        for part in section.parts:
            drawn = _table(part) if isinstance(part, Table) else _text(part)
            console.print(Padding(drawn, (0, 0, 0, 2), expand=False) if section.title else drawn)


def _table(table: Table) -> RenderableType:
    from rich.table import Table as Drawn

    drawn = Drawn(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in table.headings:
        # "fold" breaks a long word over lines, where the default would cut an id off.
        drawn.add_column(heading, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(_text(cell) for cell in row))
    return drawn


def _text(part: str | Phrase) -> Text:
    from rich.text import Text

    from clusterwatch.reading.text import printable

    phrase = part if isinstance(part, Phrase) else Phrase(part)
    line = phrase.text[: CELL_LIMIT * 9].replace("\n", " ")
    return Text(printable(line, CELL_LIMIT), style=_STYLES[phrase.tone], overflow="fold")
