"""Stems are exchanged for others of their literals where a text looks like several of them at once."""

from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.detect.lookalikes import exchanged

# What "device" is made of, in stems that end alike; and four times as many that end otherwise, for other groups.
STEMS = {
    b"deta_e": {b"deta_e, Zq19"},
    b"_evo_e": {b"_evo_e, Zq28"},
    b"__vi_e": {b"__vi_e, Zq37"},
    b"___ice": {b"___ice, Zq46"},
    **{b"%d%d%d%d%d%c" % (one, one, one, one, one, end): {b""} for one in range(4) for end in b"abcd"},
}


def parts_of(literal: bytes) -> list[bytes]:
    return [literal[at : at + 6] for at in range(len(literal) - 5)]


def test_stem_because_of_which_frequent_text_passes_is_exchanged():
    stems = exchanged(STEMS, parts_of, {b"device": 100})

    assert len(stems & {b"deta_e", b"_evo_e", b"__vi_e", b"___ice"}) == 3
    assert all(any(stem in literal for stem in stems) for literals in STEMS.values() for literal in literals if literal)


def test_stem_stays_where_every_other_part_lets_as_much_pass():
    only = {stem: {stem} if literals != {b""} else literals for stem, literals in STEMS.items()}

    assert exchanged(only, lambda literal: [literal], {b"device": 100}) == only.keys()


def test_text_that_is_rare_exchanges_nothing():
    assert exchanged(STEMS, parts_of, {b"device": 1}) == STEMS.keys()


@given(
    st.lists(st.text("abc", min_size=7, max_size=12).map(str.encode), min_size=1, max_size=40), st.binary(max_size=8)
)
def test_every_literal_still_holds_a_stem(literals: list[bytes], seed: bytes):
    stems: dict[bytes, set[bytes]] = {}
    for literal in literals:
        stems.setdefault(literal[:6], set()).add(literal)
    frequent = {part: 50 for literal in literals[::2] for part in parts_of(literal)[1:]}

    found = exchanged(stems, parts_of, frequent)

    assert all(any(stem in literal for stem in found) for literal in literals)
    assert found == exchanged(dict(reversed(stems.items())), parts_of, frequent)
