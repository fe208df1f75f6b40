"""The page's colours can be read: WCAG 2.2 asks 4.5:1 of text against its ground (success criterion 1.4.3)."""

import re

import pytest

from clusterwatch import resources

TONES = ("good", "busy", "doubtful", "bad", "quiet")
PAIRS = [
    *[(tone, f"{tone}-ground") for tone in TONES],
    *[(text, ground) for text in ("text", "soft", "link") for ground in ("ground", "card")],
    ("text", "code"),
]


def schemes() -> dict[str, dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", resources.page_template("style.css"), re.DOTALL)
    return {
        name: dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for name, block in (("light", light), ("dark", dark))
    }


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_stands_out_from_its_ground(scheme: str, text: str, ground: str):
    colours = schemes()[scheme]

    darker, lighter = sorted((luminance(colours[text]), luminance(colours[ground])))

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
