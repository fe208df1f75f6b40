"""What a simulation says to JSON for scripts, a page for people, and lines for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from clusterwatch.cli.output import encode
from clusterwatch.cli.page import Page, Phrase, Section, Table, bad, good, quiet
from clusterwatch.cli.wording import duration, percent
from clusterwatch.seams import Answer, Estimate, Estimated

_LEAST_SHARE = 0.0005
"""A reason that takes less of everybody's time has no column."""


def answer_json(answer: Answer, price: float | None) -> dict[str, Any]:
    """Return the answer as scripts read it: ratios 0-1, differences in points and GPU-hours, means of a run."""
    return {
        "settings": answer.settings,
        "seed": answer.seed,
        "confidence": 0.95,
        "gpu_hour_price": price,
        "policies": [_estimate_json(each, price) for each in answer.policies],
        "what_if": [_estimate_json(each, price) for each in answer.changes],
        "notes": answer.notes,
    }


def _estimate_json(estimate: Estimate, price: float | None) -> dict[str, Any]:
    found: dict[str, Any] = encode(estimate)
    dollars = None if price is None or estimate.gpu_hours is None else estimate.gpu_hours.mean * price
    return {**_rounded(found), "dollars": None if dollars is None else round(dollars)}


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    return round(value, 5 if abs(value) < 100 else 1) if isinstance(value, float) else value


def answer_page(answer: Answer, price: float | None) -> Page:
    """Return the policies, what each change would bring, and where the time goes."""
    base = answer.policies[0]
    sections = [
        Section("", (_circumstances(answer),)),
        Section("POLICIES", (_policies(answer.policies, base, price),)),
    ]
    if answer.changes:
        sections.append(Section(f"WHAT IF, WITH {base.label}", (_changes(answer.changes, base, price),)))
    sections.append(Section("WHERE THE TIME GOES", (_reasons(answer),)))
    return tuple(sections)


def _circumstances(answer: Answer) -> str:
    told = answer.settings
    runs = answer.policies[0].runs
    return (
        f"{told['gpus']:,} GPUs for {told['days']:g} days, {told['failures_per_1000_node_days']:.2f} failures "
        f"per 1,000 node-days, {told['spares']} nodes stand by; {runs:,} runs of each, seed {answer.seed}."
    )


def _policies(estimates: tuple[Estimate, ...], base: Estimate, price: float | None) -> Table:
    headings = ("POLICY", "ETTR", "5-95 % OF RUNS", "SAVES EVERY", "STOPS", "REPEATS", "BY A PERSON")
    rows = tuple(
        (
            each.title,
            _share(each.ettr),
            f"{percent(each.quantiles['p05'], 1)} to {percent(each.quantiles['p95'], 1)}",
            duration(each.interval_seconds),
            f"{each.counts['interruptions']:.0f}",
            f"{each.counts['repeats']:.1f}",
            f"{each.counts['manual']:.1f}",
            *_difference(each, price),
        )
        for each in estimates
    )
    return Table((*headings, *_difference_headings(base, price)), rows)


def _changes(estimates: tuple[Estimate, ...], base: Estimate, price: float | None) -> Table:
    rows = tuple((each.label, _share(each.ettr), *_difference(each, price), _idle(each, base)) for each in estimates)
    return Table(("CHANGE", "ETTR", *_difference_headings(base, price), "MORE STANDS BY"), rows)


def _difference_headings(base: Estimate, price: float | None) -> tuple[str, ...]:
    return (f"POINTS OVER {base.label}", "GPU-HOURS", *(("DOLLARS",) if price is not None else ()))


def _difference(estimate: Estimate, price: float | None) -> tuple[str | Phrase, ...]:
    points, hours = estimate.points, estimate.gpu_hours
    if points is None or hours is None:
        return ("-",) * (2 if price is None else 3)
    told = f"{points.mean:+.2f} ± {(points.high - points.low) / 2:.2f}"
    tone = good if points.low > 0 else bad if points.high < 0 else quiet
    dollars = () if price is None else (f"{hours.mean * price:+,.0f}",)
    return (tone(told), f"{hours.mean:+,.0f}", *dollars)


def _idle(estimate: Estimate, base: Estimate) -> str:
    more = estimate.idle_gpu_hours - base.idle_gpu_hours
    return f"{more:+,.0f} GPU-hours" if round(more) else "-"


def _reasons(answer: Answer) -> Table:
    estimates = (*answer.policies, *answer.changes)
    shares = {each.label: _shares(each) for each in estimates}
    names = [name for name in shares[estimates[0].label] if any(of[name] >= _LEAST_SHARE for of in shares.values())]
    rows = tuple(
        (each.label, percent(each.ettr.mean, 2), *(percent(shares[each.label][name], 2) for name in names))
        for each in estimates
    )
    return Table(("", "PRODUCTIVE", *(name.upper() for name in names)), rows)


def _shares(estimate: Estimate) -> dict[str, float]:
    """Return the share of the elapsed time that goes to each reason."""
    lost = sum(estimate.lost_gpu_hours_by_reason.values())
    whole = lost / max(1.0 - estimate.ettr.mean, 1e-12)
    return {reason: hours / whole if whole else 0.0 for reason, hours in estimate.lost_gpu_hours_by_reason.items()}


def _share(share: Estimated) -> str:
    return f"{share.mean:.2%} ± {100 * (share.high - share.low) / 2:.2f}"


def answer_csv(answer: Answer, price: float | None) -> str:
    """Return a line for each policy and each change, with a line of headings; ratios 0-1."""
    file = io.StringIO()
    rows = [
        *(_csv_row("policy", each, price) for each in answer.policies),
        *(_csv_row("what_if", each, price) for each in answer.changes),
    ]
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _csv_row(kind: str, estimate: Estimate, price: float | None) -> dict[str, object]:
    points, hours = estimate.points, estimate.gpu_hours
    return {
        "kind": kind,
        "label": estimate.label,
        "policy": estimate.policy,
        "runs": estimate.runs,
        "interval_seconds": round(estimate.interval_seconds, 1),
        **_three("ettr", estimate.ettr, 6),
        **_three("points", points, 4),
        **_three("gpu_hours", hours, 0),
        "dollars": "" if hours is None or price is None else round(hours.mean * price),
        "idle_gpu_hours": round(estimate.idle_gpu_hours),
        **{name: round(count, 3) for name, count in estimate.counts.items()},
        **{f"lost_{name}_gpu_hours": round(lost) for name, lost in estimate.lost_gpu_hours_by_reason.items()},
    }


def _three(name: str, value: Estimated | None, digits: int) -> dict[str, object]:
    names = (name, f"{name}_low", f"{name}_high")
    if value is None:
        return dict.fromkeys(names, "")
    ends = (value.mean, value.low, value.high)
    return {each: round(end, digits) if digits else round(end) for each, end in zip(names, ends, strict=True)}
