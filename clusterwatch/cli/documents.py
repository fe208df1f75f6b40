"""Pages to documents that are kept and sent on: Markdown and HTML.

Everything on a page comes from outside. In a document nothing of it is markup, a link or a script: escapes and control
characters are dropped, and what would mean something to a renderer is written so that it means itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from html import escape

import typer

from clusterwatch.cli.output import CELL_LIMIT, print_json, print_page
from clusterwatch.cli.page import Page, Phrase, Section, Table, Tone
from clusterwatch.reading.text import printable


class DocumentFormat(StrEnum):
    """How a command answers that makes a document."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


# Everywhere; inside a word an underscore means nothing, and most names hold one.
_MARKUP = re.compile(r"[\\`*\[\]|#~!$]|(?<!\w)_|_(?!\w)")
# At the beginning of a line only: lists, rules and headings.
_BLOCK = re.compile(r"^(\d{0,9})([-+=.)])(?=[\s=-]|$)")
_ESCAPED = r"\1\\\2"
_BLANK_LINES = re.compile(r"\n{3,}")
# What GitHub and others make a link, a mention or an emoji of without being asked.
_LINKED = re.compile(r"(?<=\w):(?=//)|(?<=www)\.|@|:(?=[a-z_+-][\w+-]*:)", re.IGNORECASE)

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "table{border-collapse:collapse;margin:.5rem 0}"
    "th,td{border-bottom:1px solid #d0d7de;padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top}"
    "td{overflow-wrap:anywhere}"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}"
    ".good{color:#116329}.bad{color:#a40e26;font-weight:600}.doubtful{color:#7d4e00}.quiet{color:#59636e}"
    ".strong{font-weight:600}"
)


def show_document(answer: object, title: str, page: Page, output: DocumentFormat) -> None:
    """Print *answer* as JSON, or *page* for people in the format asked for."""
    if output is DocumentFormat.JSON:
        print_json(answer)
    elif output is DocumentFormat.TABLE:
        print_page(page)
    else:
        typer.echo(_MAKERS[output](title, page), nl=False)


def markdown(title: str, page: Page) -> str:
    """Return *page* as GitHub-flavoured Markdown."""
    text = "\n".join([f"# {_markdown_text(title)}", "", *_markdown_lines(page)])
    return _BLANK_LINES.sub("\n\n", text).rstrip() + "\n"


def _markdown_lines(page: Page) -> Iterator[str]:
    for section in page:
        if section.title:
            yield from (f"## {_markdown_text(section.title)}", "")
        for part in section.parts:
            yield from (
                _markdown_table(part)
                if isinstance(part, Table)
                else (f"- {_BLOCK.sub(_ESCAPED, _markdown_text(part))}",)
            )
        yield ""


def _markdown_table(table: Table) -> Iterator[str]:
    yield from ("", f"| {' | '.join(map(_markdown_text, table.headings))} |", "|" + "---|" * len(table.headings))
    for row in table.rows:
        yield f"| {' | '.join(map(_markdown_text, row))} |"
    yield ""


def _markdown_text(part: str | Phrase) -> str:
    text, tone = _plain(part)
    meant = escape(_MARKUP.sub(r"\\\g<0>", text), quote=False)
    meant = _LINKED.sub(lambda sign: f"&#{ord(sign[0])};", meant)
    marks = "**" if tone in (Tone.STRONG, Tone.BAD) and meant else ""
    return f"{marks}{meant}{marks}"


def html(title: str, page: Page) -> str:
    """Return *page* as one HTML file that loads nothing and runs nothing."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_html_text(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{_html_text(title)}</h1>",
            *(line for section in page for line in _html_section(section)),
            "</body></html>",
            "",
        ]
    )


def _html_section(section: Section) -> Iterator[str]:
    if section.title:
        yield f"<h2>{_html_text(section.title)}</h2>"
    for part in section.parts:
        if isinstance(part, Table):
            yield from _html_table(part)
        else:
            yield f"<p>{_html_text(part)}</p>"


def _html_table(table: Table) -> Iterator[str]:
    yield f"<table><thead><tr>{''.join(f'<th>{_html_text(each)}</th>' for each in table.headings)}</tr></thead><tbody>"
    for row in table.rows:
        yield f"<tr>{''.join(f'<td>{_html_text(cell)}</td>' for cell in row)}</tr>"
    yield "</tbody></table>"


def _html_text(part: str | Phrase) -> str:
    text, tone = _plain(part)
    escaped = escape(text)
    return escaped if tone is Tone.PLAIN else f'<span class="{tone.value}">{escaped}</span>'


def _plain(part: str | Phrase) -> tuple[str, Tone]:
    phrase = part if isinstance(part, Phrase) else Phrase(part)
    line = phrase.text[: CELL_LIMIT * 9].replace("\n", " ").replace("\t", " ")
    return printable(line, CELL_LIMIT).strip(), phrase.tone


_MAKERS = {DocumentFormat.MARKDOWN: markdown, DocumentFormat.HTML: html}
