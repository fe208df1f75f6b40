"""Two replays of one trace to a table: what a policy would have done, saved and broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from clusterwatch.app.backtesting import Backtest, Figure
from clusterwatch.cli.page import Page, Phrase, Section, Table, bad, good, quiet

Row = tuple[str | Phrase, ...]

_SHARES = frozenset({"ettr", "ettr_unplanned"})


def closed_loop_page(made: Backtest) -> Page:
    """Return what was saved and broken in one sentence each, and every figure beside that of the other policy."""
    headings = ("", made.policy_name, made.against_name, "DIFFERENCE")
    sections = [Section("", tuple(_summary(made)))]
    for title, names in _TABLES.items():
        rows = tuple(_row(each) for each in made.figures() if each.name in names)
        sections.append(Section(title, (Table(headings, rows),)))
    return tuple(sections)


def _summary(made: Backtest) -> Iterable[str | Phrase]:
    about = made.policy.about
    size = f"{about['days']:.3g} days of {about['nodes']:,} nodes"
    yield f"{about['trace']} seed {about['seed']}: {size}, the same faults for both"
    saved = made.saved_gpu_hours
    words = f"{made.policy_name} would have {'saved' if saved >= 0 else 'cost'} {abs(saved):,.1f} GPU-hours"
    yield good(words) if saved > 0 else bad(words) if saved < 0 else words
    yield from (bad(f"a brake was not kept: {sentence}") for sentence in made.policy.broken_brakes)
    seconds = made.policy.wall_seconds + made.against.wall_seconds
    yield quiet(f"both replayed in {seconds:.1f} s")


_TABLES: Mapping[str, Mapping[str, str]] = {
    "WHAT IT SAVES": {
        "ettr": "effective training time",
        "ettr_unplanned": "without planned stops",
        "lost_gpu_hours": "GPU-hours lost",
        "recover_p50_seconds": "new steps after, median, s",
        "recover_p95_seconds": "new steps after, 95 %, s",
        "repeats": "struck again by parts left in",
    },
    "WHAT IT BREAKS": {
        "manual_interventions": "times a person",
        "broken_brakes": "brakes not kept",
        "healthy_nodes_drained": "healthy nodes drained",
        "healthy_nodes_excluded": "healthy nodes left out",
        "false_restarts": "false restarts",
    },
    "WHAT IT DOES": {
        "restarts": "restarts",
        "nodes_excluded": "nodes left out",
        "nodes_drained": "nodes drained",
        "asked": "persons asked",
        "stopped": "jobs stopped",
    },
}
"""By title, the figures in it and what each is called."""

_TITLES = {name: title for figures in _TABLES.values() for name, title in figures.items()}


def _row(figure: Figure) -> Row:
    number = _share if figure.name in _SHARES else _number
    return _TITLES[figure.name], number(figure.policy), number(figure.against), _difference(figure, number)


def _difference(figure: Figure, number: Callable[[float | None], str]) -> str | Phrase:
    difference = figure.difference
    if difference is None or number(difference) == number(0.0):
        return ""
    words = f"{'+' if difference > 0 else ''}{number(difference)}"
    if figure.is_good_when_more is None:
        return words
    return good(words) if (difference > 0) is figure.is_good_when_more else bad(words)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.1f}"
