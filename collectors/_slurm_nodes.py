"""Nodes and reservations as they were and as they are, to readings of what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from clusterwatch.model import LINE, Reading, Scalar, kinds
from clusterwatch.reading.slurm import SlurmNode, SlurmReservation
from clusterwatch.reading.text import printable

OWN_MARK = "[clusterwatch]"
"""How a reason begins that ClusterWatch wrote."""

NOT_RESPONDING = "slurm.node.not_responding"
"""Subject of the reading that a node does not answer; the catalogue says what that means."""

LOOKBACK = timedelta(minutes=5)
"""How old a reason may be that is still told as evidence at the very first look."""

# A clock that is set moves the time of the boot by as much.
_BOOT_TOLERANCE_SECONDS = 60

UP, DRAINED, DOWN, SILENT = "up", "drained", "down", "silent"
_SUBJECTS = {UP: kinds.NODE_BACK, DRAINED: kinds.NODE_DRAINED, DOWN: kinds.NODE_DOWN, SILENT: NOT_RESPONDING}


@dataclass(frozen=True, slots=True)
class Look:
    """Where and when is looked; *is_first* where nobody looked before."""

    node: str
    now: datetime
    is_first: bool


def standing(node: SlurmNode) -> str:
    """Return how *node* stands: down, drained, silent (it does not answer) or up."""
    if node.is_down:
        return DOWN
    if not node.responds:
        return SILENT
    return DRAINED if node.is_drained else UP


def remembered(node: SlurmNode) -> list[object]:
    """Return what the next look has to know of *node*: how it stands, why, and when it was booted."""
    booted = int(node.booted_at.timestamp()) if node.booted_at else 0
    return [standing(node), node.reason, booted]


def node_readings(nodes: tuple[SlurmNode, ...], known: Mapping[str, Any], look: Look) -> Iterator[Reading]:
    """Yield what changed of each node since *known*, what `remembered` gave, by name."""
    for node in nodes:
        before = known.get(node.name)
        if not isinstance(before, list) or len(before) != 3:
            before = [UP, "", 0]
        is_rebooted = _is_rebooted(node, before)
        if is_rebooted:
            yield _rebooted(node, before, look)
        if [standing(node), node.reason] != before[:2] or (is_rebooted and standing(node) != UP):
            yield from _changed(node, str(before[0]), str(before[1]), look)


def _is_rebooted(node: SlurmNode, before: list[Any]) -> bool:
    booted = node.booted_at.timestamp() if node.booted_at else 0
    return bool(before[2]) and booted > float(before[2]) + _BOOT_TOLERANCE_SECONDS


def _rebooted(node: SlurmNode, before: list[Any], look: Look) -> Reading:
    assert node.booted_at is not None
    fields: dict[str, Scalar] = {"booted_at": node.booted_at.isoformat(), "asked_for": "REBOOT_ISSUED" in node.flags}
    where = f"boot/{node.booted_at.isoformat()}"
    return _reading(look, node.name, kinds.REBOOTED, where, node.booted_at, f"node {node.name} started anew", fields)


def _changed(node: SlurmNode, was: str, reason_was: str, look: Look) -> Iterator[Reading]:
    stands = standing(node)
    is_new_reason = bool(node.reason) and node.reason != reason_was
    at = node.reason_at if is_new_reason or look.is_first else look.now
    when = (at or look.now).isoformat()
    if stands != was or is_new_reason:
        yield _state(node, stands, was, at, when, look)
    is_news = not look.is_first or (node.reason_at is not None and look.now - node.reason_at <= LOOKBACK)
    if is_new_reason and stands != UP and is_news and not node.reason.startswith(OWN_MARK):
        # As slurmctld's log has it, so that the rules for its reasons apply.
        by = f" [{node.reason_by}@{when}]" if node.reason_by else ""
        line = printable(f"node {node.name} reason set to: {node.reason}{by}")
        yield _reading(look, node.name, LINE, f"reason/{when}", at, line, {"origin": f"scontrol show node {node.name}"})


def _state(node: SlurmNode, stands: str, was: str, at: datetime | None, when: str, look: Look) -> Reading:
    state = "+".join((node.state, *sorted(node.flags)))
    fields: dict[str, Scalar] = {
        "state": state,
        "before": was,
        "reason": printable(node.reason, 300),
        "by": node.reason_by,
        "own": node.reason.startswith(OWN_MARK),
    }
    why = f": {printable(node.reason, 300)}" if node.reason else ""
    return _reading(
        look, node.name, _SUBJECTS[stands], f"{stands}/{when}", at, f"node {node.name} is {state}{why}", fields
    )


def _reading(
    look: Look, node: str, subject: str, where: str, at: datetime | None, text: str, fields: Mapping[str, Scalar]
) -> Reading:
    return Reading(
        source="slurm",
        node=node,
        position=f"node/{node}/{where}",
        observed_at=look.now,
        happened_at=min(at, look.now) if at is not None else look.now,
        subject=subject,
        text=text,
        fields=fields,
    )


def announced(reservation: SlurmReservation) -> list[object] | None:
    """Return what the next look has to know of announced work; None for a reservation that announces none."""
    if "MAINT" not in reservation.flags or not reservation.nodes:
        return None
    if reservation.starts_at is None or reservation.ends_at is None:
        return None
    nodes = ",".join(sorted(reservation.nodes))
    return [nodes, reservation.starts_at.isoformat(), reservation.ends_at.isoformat()]


def maintenance_readings(
    reservations: tuple[SlurmReservation, ...], known: Mapping[str, Any], look: Look
) -> Iterator[Reading]:
    """Yield the announced work that is new, changed or over since *known*, what `announced` gave, by name."""
    works = {each.name: work for each in reservations if (work := announced(each)) is not None}
    for name, work in works.items():
        if known.get(name) != work:
            yield _maintenance(name, work, look, over=False)
    for name, work in known.items():
        if name not in works and isinstance(work, list) and len(work) == 3:
            yield _maintenance(name, work, look, over=True)


def _maintenance(name: str, work: list[Any], look: Look, *, over: bool) -> Reading:
    nodes, starts_at, ends_at = (str(part) for part in work)
    fields: dict[str, Scalar] = {"name": name, "nodes": nodes, "starts_at": starts_at, "ends_at": ends_at, "over": over}
    said = "is over" if over else f"is announced for {nodes} from {starts_at} to {ends_at}"
    where = f"{'over' if over else 'announced'}/{nodes}/{starts_at}/{ends_at}"
    return Reading(
        source="slurm",
        node=look.node,
        position=f"reservation/{name}/{where}" + (f"/{look.now.isoformat()}" if over else ""),
        observed_at=look.now,
        happened_at=look.now,
        subject=kinds.MAINTENANCE,
        text=printable(f"work ({name}) {said}", 400),
        fields=fields,
    )
