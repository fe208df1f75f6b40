"""Stems are parts of literals: every literal holds one, what is common is none, and what is shared is preferred."""

from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.detect.stems import STEM_BYTES, stems

HEALTHY = b"step 5 of training done, connection to storage open\n" * 100


@given(
    st.lists(st.text("abc ", min_size=1, max_size=20).map(str.encode), max_size=20),
    st.text("abc ", max_size=200).map(str.encode),
)
def test_every_literal_holds_a_stem(literals: list[bytes], sample: bytes):
    found = stems(literals, sample)

    assert [literal for literal in literals if not any(stem in literal for stem in found)] == []


def test_part_that_many_literals_share_stands_for_all_of_them():
    (stem,) = stems([b"error: timed out", b"read timed out", b"write timed out!"], HEALTHY)

    assert stem in b" timed out"
    assert len(stem) == STEM_BYTES


def test_what_the_sample_holds_often_is_no_stem():
    literals = [b"connection to storage lost", b"connection to storage broken"]

    assert [stem for stem in stems(literals, HEALTHY) if stem in HEALTHY] == []


def test_literal_of_common_parts_stays_whole():
    assert stems([b"training done"], HEALTHY) == [b"training done"]


def test_literal_that_is_shorter_than_a_stem_stays_whole():
    assert stems([b"Xid"], b"") == [b"Xid"]
