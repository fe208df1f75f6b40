"""One line of a log to sightings: through the rules, and through the texts that are open in its stream."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from clusterwatch.detect.assembling import Assembled, assemble, cut_at, headed, may_open
from clusterwatch.detect.matcher import Hit, unbeaten
from clusterwatch.detect.progress import progress_fields
from clusterwatch.detect.refining import Refinements
from clusterwatch.detect.reports import reported
from clusterwatch.detect.sightings import PCI_NAMED, Sighting, component_of, default_component, kind_from, sighting_with
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

_NONE = Refinements()


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


def says_nothing(line: str) -> bool:
    """Return whether *line*, which no rule matches, says nothing where no text is open: most lines are of that kind."""
    return MARK not in line and not may_open(line)


def read_line(
    reading: Reading,
    body_of_line: tuple[int | None, str],
    hits: Sequence[Hit],
    open_text: Assembly | None,
    refinements: Refinements = _NONE,
) -> tuple[Assembly | None, list[Sighting]]:
    """Return what is open after the line, and what the line says.

    *body_of_line* is what `body` gives for it.
    *hits* are the rules that match it, of all sources; those of other sources and beaten ones do not count.
    *refinements* make their kinds more special.
    """
    labelled, line = body_of_line
    known = rank_in(reading)
    rank = known if known is not None else labelled
    report = report_in(line, is_cut=bool(reading.fields.get("is_cut"))) if MARK in line else None
    if report is not None:
        # A path in it may read like an error, and is none.
        return open_text, reported(report, reading, rank)
    assembled = assemble(open_text, line, rank)
    if assembled.consumed:
        hits = _of_frames(hits)
        if not hits:
            return assembled.open, _failure(reading, assembled)
    if rank is None and (hits or assembled.exception):
        rank = _rank_inside(line)
    counted = _telling([hit for hit in hits if hit.rule.applies_to(reading.source)])
    owner = rank if rank is not None or not assembled.exception or open_text is None else open_text.rank
    told = [hit for hit in counted if not hit.rule.heading]
    under = open_text if open_text is not None and open_text.form == "heading" else None
    found = [
        sighting
        for hit in told
        if (sighting := _sighting(reading, hit, owner, assembled.exception, under, refinements))
    ]
    if assembled.exception and not found:
        found = [_exception(reading, assembled.exception, owner)]
    if assembled.cut_at and open_text is not None:
        found.append(_cut(reading, assembled.cut_at, open_text.rank))
    return _heading(reading, counted) or assembled.open, found


def cut_off(reading: Reading, open_text: Assembly) -> Sighting | None:
    """Return what the end of a stream says of the text that is still open in it; *reading* is its last line."""
    where = cut_at(open_text)
    rank = rank_in(reading) if rank_in(reading) is not None else open_text.rank
    return _cut(reading, where, rank) if where else None


def _cut(reading: Reading, where: str, rank: int | None) -> Sighting:
    text = f"a traceback ends at {where} without its exception"
    return Sighting(reading, TRACEBACK_CUT, default_component(reading, rank), {"where": where}, text=text, rank=rank)


def _heading(reading: Reading, hits: Sequence[Hit]) -> Assembly | None:
    for hit in hits:
        if hit.rule.heading:
            return headed(component_of(hit.rule, hit.rule.fields(hit.match), reading, None))
    return None


def _component(
    hit: Hit, fields: dict[str, Scalar], reading: Reading, rank: int | None, under: Assembly | None
) -> Component:
    """Return what a line is about: what it names, else what the heading above it names, else the default."""
    found = component_of(hit.rule, fields, reading, rank)
    kind = hit.rule.component_kind
    # A rule for a node always finds one: that of its reading.
    named = "node" in fields if kind is ComponentKind.NODE else found.kind is kind
    if under is None or kind is None or named or kind not in under.values:
        return found
    return (
        node_component(under.values[kind])
        if kind is ComponentKind.NODE
        else Component(kind, under.values[kind], reading.node)
    )


def _sighting(
    reading: Reading,
    hit: Hit,
    rank: int | None,
    exception: dict[str, Scalar],
    under: Assembly | None,
    refinements: Refinements,
) -> Sighting | None:
    fields = {**exception, **hit.rule.fields(hit.match)}
    if hit.rule.kind == PROGRESS:
        progress = progress_fields(fields)
        return (
            Sighting(reading, PROGRESS, default_component(reading, None), progress, hit.rule.name) if progress else None
        )
    rank = _rank_of(reading, fields, rank)
    component = _component(hit, fields, reading, rank, under)
    if "pci" in fields and component.kind in PCI_NAMED:
        fields["pci"] = component.id
    kind, known = refinements.refined(kind_from(hit.rule.kind, fields), fields, hit.match.string)
    return sighting_with((reading, kind, component, known, hit.rule.name, "", rank))


def _of_frames(hits: Sequence[Hit]) -> Sequence[Hit]:
    """Return those of *hits* that read a frame of a traceback: where it went tells when its end was cut off."""
    return [hit for hit in hits if _FRAME in (hit.match[0] or "")]


def _rank_inside(line: str) -> int | None:
    found = _RANK_INSIDE.search(line, 0, _LOOKED_AT_FOR_RANK) if "ank" in line else None
    return int(found[1] or found[2]) if found else None


def _telling(hits: Sequence[Hit]) -> Sequence[Hit]:
    """Return *hits* that no other beats, without the one that only says that something was raised."""
    if len(hits) < 2:
        return hits
    left = unbeaten(hits)
    # Where another knows what was raised.
    return [hit for hit in left if hit.rule.kind != EXCEPTION] or left


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
