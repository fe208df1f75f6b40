"""One line of a log to sightings: through the rules, and through the texts that are open in its stream."""

from __future__ import annotations

import re
from collections.abc import Mapping

from clusterwatch.detect.assembling import NOTHING_OPEN, Assembled, assemble, cut_at, headed
from clusterwatch.detect.matcher import Located
from clusterwatch.detect.progress import progress_fields
from clusterwatch.detect.reports import reported
from clusterwatch.detect.rules import Rule
from clusterwatch.detect.sayings import Saying, Sayings
from clusterwatch.detect.sightings import PCI_NAMED, Sighting, component_of, default_component, sighting_with
from clusterwatch.detect.signals import ending
from clusterwatch.detect.state import Assembly
from clusterwatch.detect.states import rank_in, whole
from clusterwatch.model import Component, ComponentKind, Reading, Scalar, node_component
from clusterwatch.model.kinds import EXCEPTION, PROGRESS, TRACEBACK_CUT
from clusterwatch.reading.reports import MARK, report_in

# As written before each line by torchrun's tee ("[rank2]: ") and by srun --label ("2: ").
_RANK_PREFIX = re.compile(r"\[rank(?P<torch>\d{1,6})\]: ?|(?P<srun>\d{1,6}): ")
# Behind what a launcher or a logger put before it.
_RANK_INSIDE = re.compile(r"\[rank(\d{1,6})\]:|\bRank (\d{1,6})\]")
_LOOKED_AT_FOR_RANK = 200

_FRAME = 'File "'


def body(text: str) -> tuple[int | None, str]:
    """Return the rank a line is labelled with (None without a label), and the line without the label."""
    label = _RANK_PREFIX.match(text)
    return (int(label["torch"] or label["srun"]), text[label.end() :]) if label else (None, text)


def stream_of(reading: Reading, labelled: int | None) -> str:
    """Return what a line's neighbours share: the same file of the same attempt, the same rank.

    *labelled* is the rank that the line is labelled with.
    """
    path = str(reading.fields.get("origin") or "").rpartition(":")[0]
    rank = reading.rank if reading.rank is not None else labelled
    return f"{reading.source}|{reading.node}|{reading.job}|{reading.attempt}|{path}|{rank}"


def read_line(
    reading: Reading,
    body_of_line: tuple[int | None, str],
    located: tuple[Located, ...],
    open_text: Assembly | None,
    sayings: Sayings,
) -> tuple[Assembly | None, list[Sighting]]:
    """Return what is open after the line, and what the line says.

    *body_of_line* is what `body` gives for it.
    *located* are the rules that match it, of all sources, as `Matcher.located` gives them; *sayings* of the same
    catalogue know what they say.
    """
    labelled, line = body_of_line
    known = rank_in(reading)
    rank = known if known is not None else labelled
    report = report_in(line, is_cut=bool(reading.fields.get("is_cut"))) if MARK in line else None
    if report is not None:
        # A path in it may read like an error, and is none.
        return open_text, reported(report, reading, rank)
    sort = sayings.of(reading.source, located, line)
    assembled = NOTHING_OPEN if open_text is None and sort.is_alone else assemble(open_text, line, rank)
    if assembled.consumed:
        located = _of_frames(located)
        if not located:
            return assembled.open, _failure(reading, assembled)
        sort = sayings.of(reading.source, located, line)
    if rank is None and (located or assembled.exception):
        rank = _rank_inside(line)
    owner = rank if rank is not None or not assembled.exception or open_text is None else open_text.rank
    under = open_text if open_text is not None and open_text.form == "heading" else None
    found = [
        sighting
        for saying in sort.told
        if (sighting := _sighting(reading, saying, line, owner, assembled.exception, under, sayings))
    ]
    if assembled.exception and not found:
        found = [_exception(reading, assembled.exception, owner)]
    if assembled.cut_at and open_text is not None:
        found.append(_cut(reading, assembled.cut_at, open_text.rank))
    return _headed(reading, sort.heading, line) if sort.heading else assembled.open, found


def cut_off(reading: Reading, open_text: Assembly) -> Sighting | None:
    """Return what the end of a stream says of the text that is still open in it; *reading* is its last line."""
    where = cut_at(open_text)
    rank = rank_in(reading) if rank_in(reading) is not None else open_text.rank
    return _cut(reading, where, rank) if where else None


def _cut(reading: Reading, where: str, rank: int | None) -> Sighting:
    text = f"a traceback ends at {where} without its exception"
    return Sighting(reading, TRACEBACK_CUT, default_component(reading, rank), {"where": where}, text=text, rank=rank)


def _headed(reading: Reading, heading: Saying, line: str) -> Assembly:
    return headed(component_of(heading.rule, heading.fields(line), reading, None))


def _component(
    rule: Rule, fields: dict[str, Scalar], reading: Reading, rank: int | None, under: Assembly | None
) -> Component:
    """Return what a line is about: what it names, else what the heading above it names, else the default."""
    found = component_of(rule, fields, reading, rank)
    kind = rule.component_kind
    if under is None or kind is None or kind not in under.values:
        return found
    # A rule for a node always finds one: that of its reading.
    if "node" in fields if kind is ComponentKind.NODE else found.kind is kind:
        return found
    return (
        node_component(under.values[kind])
        if kind is ComponentKind.NODE
        else Component(kind, under.values[kind], reading.node)
    )


def _sighting(
    reading: Reading,
    saying: Saying,
    line: str,
    rank: int | None,
    exception: dict[str, Scalar],
    under: Assembly | None,
    sayings: Sayings,
) -> Sighting | None:
    rule, fields = saying.rule, saying.fields(line)
    if exception:
        fields = {**exception, **fields}
    if rule.kind == PROGRESS:
        progress = progress_fields(fields)
        return Sighting(reading, PROGRESS, default_component(reading, None), progress, rule.name) if progress else None
    rank = _rank_of(reading, fields, rank)
    component = _component(rule, fields, reading, rank, under)
    if "pci" in fields and component.kind in PCI_NAMED:
        fields["pci"] = component.id
    kind, known = sayings.kind_and_fields(saying, line, fields)
    return sighting_with((reading, kind, component, known, rule.name, "", rank))


def _of_frames(located: tuple[Located, ...]) -> tuple[Located, ...]:
    """Return those of *located* that read a frame of a traceback: where it went tells when its end was cut off."""
    return tuple(each for each in located if _FRAME in each.tried[0])


def _rank_inside(line: str) -> int | None:
    found = _RANK_INSIDE.search(line, 0, _LOOKED_AT_FOR_RANK) if "ank" in line else None
    return int(found[1] or found[2]) if found else None


def _rank_of(reading: Reading, fields: Mapping[str, Scalar], rank: int | None) -> int | None:
    """Return the rank that *fields* name, else *rank*, else the local rank, the same on the job's first node.

    Of a job whose attempts are followed the ranks are placed: there a local rank would name another node's.
    """
    named = whole(fields.get("rank"))
    if named is not None or rank is not None:
        return named if named is not None else rank
    return whole(fields.get("local_rank")) if reading.attempt is None else None


def _exception(reading: Reading, exception: dict[str, Scalar], rank: int | None) -> Sighting:
    return Sighting(reading, EXCEPTION, default_component(reading, rank), exception, rank=rank)


def _failure(reading: Reading, assembled: Assembled) -> list[Sighting]:
    failure = assembled.failure
    if not failure:
        return []
    fields = {name: value for name, value in failure.items() if name != "root"}
    rank = whole(fields["rank"])
    table = "root_cause" if failure["root"] else "failure"
    text = f"rank {rank} failed with exit code {fields['exit_code']}: {fields['reason']}"
    kind = f"torchelastic.{table}.{ending(fields)}"
    return [Sighting(reading, kind, default_component(reading, rank), fields, text=text, rank=rank)]
