"""Figures of trace files to tables for people and JSON for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clusterwatch.cli.page import Page, Phrase, Section, Table, doubtful, quiet

_MISTAKES_SHOWN = 100
_KINDS_SHOWN = 15

_PLANNED = ("faults", "planned", "noise_records")
_COUNTED = ("events", "readings", "decisions")
_TOLD = ("name", "days", "job", "mode", "nodes", "gpus", *_COUNTED)

Figures = Mapping[str, Any]


def written_page(answer: Figures) -> Page:
    """Return what was written, as lines."""
    if answer.get("kind") == "recording":
        return (Section("", (f"{answer['trace']}: {_recorded(answer)}", _where(answer))),)
    what = (
        f"{answer['trace']}, seed {answer['seed']}: {answer['faults']:,} faults, {answer['planned']:,} planned stops, "
        f"{answer['noise_records']:,} records of noise in {answer['days']:g} days on {answer['gpus']:,} GPUs"
    )
    return (Section("", (what, _where(answer))),)


def _where(answer: Figures) -> str:
    return f"{answer['file']}: {answer['bytes']:,} bytes; SHA-256 of its lines {answer['sha256']}"


def _recorded(figures: Figures) -> str:
    counts = (
        f"{figures['events']:,} events, {figures['readings']:,} readings, {figures['decisions']:,} decisions in "
        f"{figures['days']:.3g} days"
    )
    return f"{counts}; job {figures['job']} on {figures['gpus']:,} GPUs"


def checked_json(file: Path, mistakes: Sequence[tuple[str, str]], figures: Figures) -> dict[str, Any]:
    """Return what became of checking *file*, as scripts read it."""
    told = [{"place": place, "problem": problem} for place, problem in mistakes]
    names = _COUNTED if figures.get("kind") == "recording" else _PLANNED
    counts = {name: figures.get(name) for name in ("name", "seed", "days", *names)}
    return {"file": str(file), "ok": not mistakes, "mistakes": told, **counts}


def checked_words(file: Path, mistakes: Sequence[tuple[str, str]], figures: Figures) -> list[str]:
    """Return what became of checking *file*, in words."""
    if not mistakes and figures.get("kind") == "recording":
        return [f"{file}: in order, {_recorded(figures)}"]
    if not mistakes:
        counts = (
            f"{figures['faults']:,} faults, {figures['planned']:,} planned stops, {figures['noise_records']:,} of noise"
        )
        return [f"{file}: in order, {counts}"]
    shown = [f"{file}: {place}: {problem}" for place, problem in mistakes[:_MISTAKES_SHOWN]]
    rest = len(mistakes) - len(shown)
    return [*shown, f"{file}: and {rest} more"] if rest else shown


def stats_page(figures: Figures) -> Page:
    """Return the figures, Table 5, and who and what fails most; of a recording what was noticed how often."""
    if figures.get("kind") == "recording":
        return _recording_page(figures)
    kinds = list(figures["kinds"].items())[:_KINDS_SHOWN]
    offenders = figures["repeat_offenders"].items()
    sections = (
        Section("FIGURES", (Table(("FIGURE", "VALUE"), tuple(_figures(figures))),)),
        Section("TABLE 5", (_rows_table(figures["rows"]),)),
        Section("KINDS", (Table(("KIND", "FAULTS"), tuple((kind, f"{count:,}") for kind, count in kinds)),)),
        Section("MOST FAULTS", (Table(("NODE", "FAULTS"), tuple((node, str(count)) for node, count in offenders)),)),
    )
    return tuple(section for section in sections if not isinstance(section.parts[0], Table) or section.parts[0].rows)


def _recording_page(figures: Figures) -> Page:
    told = [(name, figures[name] if isinstance(figures[name], str) else f"{figures[name]:,.8g}") for name in _TOLD]
    kinds = [(kind, f"{count:,}") for kind, count in list(figures["events_by_kind"].items())[:_KINDS_SHOWN]]
    return (
        Section("FIGURES", (Table(("FIGURE", "VALUE"), tuple(told)),)),
        Section("EVENTS", (Table(("KIND", "EVENTS"), tuple(kinds)),)),
    )


def _figures(figures: Figures) -> list[tuple[str, str]]:
    hours = figures["mean_hours_between_faults"]
    return [
        ("trace", f"{figures['name']}, seed {figures['seed']}"),
        ("days", f"{figures['days']:g}"),
        ("nodes, GPUs", f"{figures['nodes']:,}, {figures['gpus']:,}"),
        ("faults", f"{figures['faults']:,}"),
        ("planned stops", f"{figures['planned']:,} ({figures['announced']:,} announced)"),
        ("noise", f"{figures['noise_records']:,} records, seen {figures['noise_seen']:,} times"),
        ("mean time between faults", "-" if hours is None else f"{hours:.2f} h"),
        ("faults per 1,000 node-days", f"{figures['per_1000_node_days']:.2f}"),
        ("faults of nodes that had one before", f"{figures['repeated_share']:.0%}"),
    ]


def _rows_table(rows: Sequence[Figures]) -> Table:
    headings = ("ROW", "FAULTS", "AT LLAMA 3'S RATE", "95 % BAND", "MEAN TIME BETWEEN", "PER 1,000 NODE-DAYS", "CAUSES")
    return Table(headings, tuple(map(_row, rows)))


def _row(row: Figures) -> tuple[str | Phrase, ...]:
    hours, expected = row["mean_hours_between"], row["expected"]
    causes = ", ".join(f"{cause} {count}" for cause, count in row["causes"].items())
    return (
        row["row"],
        _count(row),
        quiet("-") if expected is None else f"{expected:g}",
        quiet("-") if expected is None else f"{row['least']}-{row['most']}",
        quiet("-") if hours is None else f"{hours:.1f} h",
        f"{row['per_1000_node_days']:.3f}",
        causes or quiet("-"),
    )


def _count(row: Figures) -> str | Phrase:
    is_usual = row["expected"] is None or row["least"] <= row["count"] <= row["most"]
    return str(row["count"]) if is_usual else doubtful(str(row["count"]))
