from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading.text import CUT_MARK, printable, without_noise


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("plain text", "plain text"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\tb\r\n", "a\tb"),
        ("nul\x00 bell\x07 csi\x9b", "nul bell csi"),
        ("\x1b]0;never ends, not hidden", "0;never ends, not hidden"),
        ("lone escape \x1b", "lone escape "),
        ("right\u202eto left", "rightto left"),
    ],
)
def test_escapes_and_control_characters_are_taken_out(raw: str, clean: str):
    assert printable(raw) == clean


def test_long_text_is_cut_and_says_so():
    text = printable("x" * 5000)

    assert len(text) == 4096
    assert text.endswith(CUT_MARK)


def test_text_of_exactly_the_limit_stays_whole():
    assert printable("abcd", limit=4) == "abcd"


def test_text_that_fits_once_its_colours_are_gone_is_not_cut():
    assert printable("\x1b[31m" * 3 + "abcd", limit=4) == "abcd"


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_any_text_becomes_one_printable_line_within_the_limit(text: str, limit: int):
    clean = printable(text, limit)

    assert len(clean) <= limit
    assert not any(ord(character) < 32 and character != "\t" for character in clean)
    assert clean.encode("utf-8").decode("utf-8") == clean


def test_zeros_of_a_file_that_was_cut_while_it_was_written_cost_no_memory():
    zeros = bytes(8_000_000)

    tracemalloc.start()
    clean = without_noise(zeros + b"NVRM: Xid")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert clean == b"NVRM: Xid"
    assert most < 4 * len(zeros)
