"""Advice on how often to save to the JSON that scripts rely on and to a page for people."""

from __future__ import annotations

from math import isinf

from clusterwatch.app.advising import Advice, Spread
from clusterwatch.cli.page import Page, Section, Table, strong
from clusterwatch.cli.wording import duration


def advice_json(found: Advice) -> dict[str, object]:
    """Return the advice as scripts read it: seconds, and shares of 0-1."""

    def spread(value: Spread, digits: int) -> dict[str, float | None]:
        ends = {"value": value.value, "low": value.low, "high": value.high}
        return {name: None if isinf(end) else round(end, digits) for name, end in ends.items()}

    return {
        "advice_seconds": round(found.intervals[-1].seconds, 1),
        "save_seconds": found.save_seconds,
        "restart_seconds": found.restart_seconds,
        "mtbf_seconds": spread(found.mtbf_seconds, 1),
        "confidence": found.confidence,
        "band_seconds": [round(end, 1) for end in found.band_seconds],
        "intervals": [
            {"method": each.method, "seconds": round(each.seconds, 1), "efficiency": spread(each.efficiency, 5)}
            for each in found.intervals
        ],
        "restart_seconds_for": {
            target: None if seconds is None else round(seconds, 1)
            for target, seconds in found.restart_seconds_for.items()
        },
    }


_NAMES = {"young": "Young", "daly_first_order": "Daly, first order", "daly": "Daly", "exact": "exact"}


def advice_page(found: Advice) -> Page:
    """Return the advice in a sentence, each method, and how fast a restart must be."""
    advised = found.intervals[-1]
    rows = tuple((_NAMES[each.method], duration(each.seconds), _share(each.efficiency)) for each in found.intervals)
    return (
        Section(
            "",
            (
                strong(f"Save every {duration(advised.seconds)}: {_share(advised.efficiency)} of the time is useful."),
                *_circumstances(found),
            ),
        ),
        Section("INTERVALS", (Table(("METHOD", "INTERVAL", "USEFUL TIME"), rows),)),
        Section("A RESTART MAY TAKE", (Table(("FOR", "AT MOST"), _bearable(found)),)),
    )


def _circumstances(found: Advice) -> tuple[str, ...]:
    mtbf = found.mtbf_seconds
    told = (
        f"A save stops training for {duration(found.save_seconds)}, a restart takes "
        f"{duration(found.restart_seconds)}, and {duration(mtbf.value)} pass between failures."
    )
    if found.confidence is None:
        return (told,)
    low, high = found.band_seconds
    return (
        told,
        f"The count leaves that open ({found.confidence:.0%} sure: {duration(mtbf.low)} to "
        f"{duration(mtbf.high)}), and the interval with it: {duration(low)} to {duration(high)}.",
    )


def _bearable(found: Advice) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"{float(target):.0%} useful time", "no restart is fast enough" if seconds is None else duration(seconds))
        for target, seconds in found.restart_seconds_for.items()
    )


def _share(share: Spread) -> str:
    if share.low == share.high:
        return f"{share.value:.1%}"
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"
