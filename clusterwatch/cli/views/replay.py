"""A replay to tables: what was interrupted, what was said of it, what was done, and what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clusterwatch.app.replay import Replayed
from clusterwatch.app.replay_scoring import Automation, Judged, Quantiles, row_of
from clusterwatch.cli.page import Page, Phrase, Section, Table, bad, doubtful, good, quiet
from clusterwatch.cli.wording import three_figures
from clusterwatch.model import TABLE5_ROW, Table5Row

_MISSES_SHOWN = 20


def replay_page(replayed: Replayed) -> Page:
    """Return the figures, Table 5 beside what was injected and named, where the time went, and the misses."""
    sections = (
        Section("", tuple(_summary(replayed))),
        Section("TABLE 5", (Table(("ROW", "PUBLISHED", "INJECTED", "NAMED", "TAKEN FOR"), tuple(_rows(replayed))),)),
        Section("LOST TIME", (Table(("REASON", "GPU-HOURS", "SHARE"), tuple(_lost(replayed))),)),
        Section("SECONDS", (Table(("UNTIL", "MEDIAN", "95 %", "99 %"), tuple(_latencies(replayed))),)),
        Section("MISSES", (Table(("STRIKE", "CAUSE", "SAID", "CULPRIT"), tuple(_misses(replayed))),)),
    )
    return tuple(section for section in sections if not _is_empty(section))


def _is_empty(section: Section) -> bool:
    return any(isinstance(part, Table) and not part.rows for part in section.parts)


def _summary(replayed: Replayed) -> Iterable[str | Phrase]:
    about, score = replayed.about, replayed.score
    counts, made, done = score.interruptions, score.classification, score.automation
    size = f"{about['days']:g} days of {about['nodes']:,} nodes, {about['gpus']:,} GPUs"
    yield f"{about['trace']}: {size}" if replayed.is_recorded else f"{about['trace']} seed {about['seed']}: {size}"
    yield (
        f"interruptions {counts['total']}: {counts['planned']} planned, {counts['unexpected']} unexpected; "
        f"{counts['repeats']} more by parts that were left in the job"
    )
    yield (
        f"named right {_percent(made.accuracy)} (macro-F1 {_number(made.macro_f1)}; in wordings the rules do not cite "
        f"{_percent(made.unseen_wording_accuracy)}), culprit {_percent(made.culprit_node_accuracy)}"
    )
    yield from _taken_out(done)
    yield (
        f"{done.decisions} plans carried out, {done.nodes_drained} nodes drained, "
        f"{done.false_restarts} false restarts, {done.manual_interventions} times a person"
    )
    yield from _followed(replayed)
    goodput, volume = score.goodput, replayed.volume
    yield f"effective training time {_percent(goodput.ettr)}, without planned stops {_percent(goodput.ettr_unplanned)}"
    if power := replayed.power:
        yield (
            f"{three_figures(power.training_megawatts)} MW while it trains, "
            f"{three_figures(power.waiting_megawatts)} MW while it does not: "
            f"{three_figures(power.swing_megawatts)} MW down and up again {power.stops} times; "
            f"{three_figures(power.lost_megawatt_hours)} of {three_figures(power.megawatt_hours)} MWh without new steps"
        )
    through = f"{volume.readings:,} readings, {volume.events:,} events, {replayed.incidents:,} incidents"
    yield quiet(f"{through} in {replayed.wall_seconds:.1f} s")


def _taken_out(done: Automation) -> Iterable[str | Phrase]:
    if done.healthy_nodes_drained is None:
        yield f"{done.nodes_excluded} nodes left out of the job"
        return
    healthy = f"{done.healthy_nodes_drained} healthy nodes drained"
    yield good(healthy) if done.healthy_nodes_drained == 0 else bad(healthy)
    yield f"{done.nodes_excluded} nodes left out of the job, {done.healthy_nodes_excluded} of them healthy"


def _followed(replayed: Replayed) -> Iterable[str | Phrase]:
    if replayed.diverged_at is not None:
        at = f"{replayed.diverged_at:%Y-%m-%d %H:%M:%S} UTC"
        yield doubtful(f"the policy decides otherwise than was recorded from {at} on: what follows counts up to then")
    elif replayed.is_recorded:
        yield good("the policy decides as was recorded, all the time")


def _rows(replayed: Replayed) -> Iterable[tuple[str | Phrase, ...]]:
    judged = [each for each in replayed.score.judged if each.strike.is_first]
    published = {row.name: row for row in TABLE5_ROW.values() if row is not None}
    injected = dict.fromkeys([*published, *(row_of(each.strike.cause) for each in judged)])
    for name in injected:
        of_row = [each for each in judged if row_of(each.strike.cause) == name]
        if of_row:
            yield _row(name, published.get(name), of_row)


def _row(name: str, published: Table5Row | None, of_row: Sequence[Judged]) -> tuple[str | Phrase, ...]:
    right = sum(each.is_right for each in of_row)
    others: dict[str, int] = {}
    for each in of_row:
        if not each.is_right:
            others[each.said] = others.get(each.said, 0) + 1
    taken = ", ".join(f"{said} {count}" for said, count in sorted(others.items(), key=lambda pair: -pair[1]))
    count = str(published.count) if published else ""
    return name, count, str(len(of_row)), good(str(right)) if right == len(of_row) else str(right), taken


def _lost(replayed: Replayed) -> Iterable[tuple[str, str, str]]:
    about = replayed.about
    held = float(str(about["days"])) * 24 * int(str(about["gpus"]))
    for reason, hours in sorted(replayed.score.goodput.lost_gpu_hours_by_reason.items(), key=lambda pair: -pair[1]):
        yield reason, three_figures(hours), f"{hours / held:.2%}"


def _latencies(replayed: Replayed) -> Iterable[tuple[str, ...]]:
    for name, times in replayed.score.latency_seconds.items():
        yield (_UNTIL[name], *_seconds(times))


_UNTIL = {"detect": "noticed", "decide": "decided", "recover": "new steps"}


def _seconds(times: Quantiles) -> tuple[str, str, str]:
    return tuple("" if value is None else f"{value:.0f}" for value in (times.p50, times.p95, times.p99))  # type: ignore[return-value] # three


def _misses(replayed: Replayed) -> Iterable[tuple[str, ...]]:
    wrong = [each for each in replayed.score.judged if each.strike.is_first and not _is_fine(each)]
    for each in wrong[:_MISSES_SHOWN]:
        yield each.strike.id, each.strike.cause.value, each.said, "" if each.is_located else "not found"


def _is_fine(each: Judged) -> bool:
    return each.is_right and (each.is_located or not each.strike.nodes)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
