"""Advice on how often to save to the JSON that scripts rely on and to a page for people."""

from __future__ import annotations

from dataclasses import asdict
from math import isinf

from clusterwatch.app.advising import Advice, Spread
from clusterwatch.cli.page import Page, Section, Table, strong
from clusterwatch.cli.wording import amount, duration
from clusterwatch.goodput import SavingMeasured


def advice_json(found: Advice, measured: SavingMeasured | None = None) -> dict[str, object]:
    """Return the advice as scripts read it: seconds, and shares of 0-1."""

    def spread(value: Spread, digits: int) -> dict[str, float | None]:
        ends = {"value": value.value, "low": value.low, "high": value.high}
        return {name: None if isinf(end) else round(end, digits) for name, end in ends.items()}

    return {
        "advice_seconds": round(found.best.seconds, 1),
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
        "write_seconds": round(found.write_seconds, 3),
        "now": None
        if found.now is None
        else {"seconds": round(found.now.seconds, 1), "efficiency": spread(found.now.efficiency, 5)},
        "measured": None if measured is None else {**asdict(measured), "bandwidth": measured.bandwidth},
    }


_NAMES = {"young": "Young", "daly_first_order": "Daly, first order", "daly": "Daly", "exact": "exact"}


def advice_page(found: Advice, measured: SavingMeasured | None = None) -> Page:
    """Return the advice in a sentence, each method, and how fast a restart must be."""
    advised = found.best
    rows = tuple((_NAMES[each.method], duration(each.seconds), _share(each.efficiency)) for each in found.intervals)
    return (
        Section(
            "",
            (
                strong(f"Save every {duration(advised.seconds)}: {_share(advised.efficiency)} of the time is useful."),
                *_now(found),
                *_circumstances(found),
                *_count(measured),
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
    if found.write_seconds > found.save_seconds:
        told += f" It takes {duration(found.write_seconds)} until a checkpoint is whole."
    if found.confidence is None:
        return (told,)
    low, high = found.band_seconds
    return (
        told,
        f"The count leaves that open ({found.confidence:.0%} sure: {duration(mtbf.low)} to "
        f"{duration(mtbf.high)}), and the interval with it: {duration(low)} to {duration(high)}.",
    )


def _now(found: Advice) -> tuple[str, ...]:
    now = found.now
    return () if now is None else (f"It saves every {duration(now.seconds)} now: {_share(now.efficiency)}.",)


def _count(measured: SavingMeasured | None) -> tuple[str, ...]:
    if measured is None:
        return ()
    told = f"It was stopped unexpectedly {amount(measured.failures, 'time')} in {measured.hours:.1f} hours."
    if measured.bandwidth is None or measured.size_bytes is None:
        return (told,)
    return (
        told,
        f"A checkpoint has {measured.size_bytes / 1e9:.3g} GB, and storage took in "
        f"{measured.bandwidth / 1e9:.3g} GB/s.",
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
