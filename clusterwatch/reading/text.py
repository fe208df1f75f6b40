"""Text from outside to text that is safe to store, print and show."""

from __future__ import annotations

import re

CUT_MARK = "…"
"""What the end of a cut text looks like."""

# ECMA-48: CSI sequences (colours, cursor), OSC/DCS/PM/APC strings (titles, links) with their terminator, and the
# two-byte escapes. A string that never ends loses only its opening, so that nobody can hide the rest of a line.
_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[ -/]*[0-~]"
)
# C0 without tab, DEL, C1, lone surrogates (no encoding takes them), and the bidirectional controls that make a line
# read differently from what it holds (CVE-2021-42574).
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

NOISE = (
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",
    rb"\xc2[\x80-\x9f]",
    rb"\xd8\x9c",
    rb"\xe2\x80[\x8e\x8f\xa8-\xae]",
    rb"\xe2\x81[\xa6-\xa9]",
)
"""What bytes of UTF-8 hold where `printable` would take anything out of their text, as regular expressions."""

_ESCAPED_NOISE = re.compile(
    # Zeros in a row are what a file holds that was cut while a program wrote to it: a gigabyte is one match, not many.
    rb"\x00+|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|" + b"|".join(NOISE)
)


def without_noise(raw: bytes) -> bytes:
    """Return lines in UTF-8 without what `printable` takes out of each; line ends stay."""
    return _ESCAPED_NOISE.sub(b"", raw)


def printable(text: str, limit: int = 4096) -> str:
    """Return *text* without ANSI escapes and control characters, cut to *limit* characters.

    Tabs stay, line breaks go. A cut text ends with `CUT_MARK`, which counts towards *limit*.
    """
    # Escapes beyond a few times the limit cannot matter to what is kept, and a line of a user may be a megabyte.
    clean = _CONTROL.sub("", _ESCAPE.sub("", text[: limit * 8 + 64]))
    was_cut = len(clean) > limit or (len(text) > limit * 8 + 64)
    return clean[: max(limit - len(CUT_MARK), 0)] + CUT_MARK if was_cut else clean
