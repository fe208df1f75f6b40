"""Pages as documents: text from outside means itself, whatever it holds."""

import pytest

from clusterwatch.cli.documents import html, markdown
from clusterwatch.cli.page import Phrase, Section, Table, Tone

PAGE = (
    Section("WHAT", ("one", Phrase("grave", Tone.BAD), Table(("A", "B"), (("1", "-"), ("node_1", "x | y"))))),
    Section("", ("- no list", "1. nor this", "# nor a heading", "-3 degrees")),
)


def test_markdown_has_headings_lists_and_tables():
    assert markdown("Title", PAGE).splitlines() == [
        "# Title",
        "",
        "## WHAT",
        "",
        "- one",
        "- **grave**",
        "",
        "| A | B |",
        "|---|---|",
        "| 1 | - |",
        "| node_1 | x \\| y |",
        "",
        "- \\- no list",
        "- 1\\. nor this",
        "- \\# nor a heading",
        "- -3 degrees",
    ]


def test_html_has_headings_and_tables_and_forbids_everything_else():
    text = html("Title", PAGE)

    assert "<h2>WHAT</h2>" in text
    assert '<p><span class="bad">grave</span></p>' in text
    assert "<td>x | y</td>" in text
    assert "default-src 'none'" in text


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        ("[x](javascript:alert)", "\\[x\\](javascript:alert)"),
        ("http://evil.example", "http&#58;//evil.example"),
        ("www.evil.example", "www&#46;evil.example"),
        ("@everyone :boom:", "&#64;everyone &#58;boom:"),
        ("_x_ gpu_hbm *y* `z`", "\\_x\\_ gpu_hbm \\*y\\* \\`z\\`"),
        ("\x1b[31mred\x1b[0m\x00", "red"),
        ("&#60;script&#62;", "&amp;\\#60;script&amp;\\#62;"),
    ],
)
def test_text_is_no_markup_in_markdown(hostile, harmless):
    assert markdown("T", (Section("", (hostile,)),)).splitlines()[2] == f"- {harmless}"
