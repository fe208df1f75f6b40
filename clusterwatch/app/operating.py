"""What people tell automation: approve, veto, hold, release, announce work; each with who and why."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from clusterwatch.errors import ClusterWatchError
from clusterwatch.model import (
    CLUSTER,
    ENDED_STEP_STATES,
    Component,
    ComponentKind,
    Decision,
    Event,
    Hold,
    MaintenanceWindow,
    Mode,
    Step,
    event_id,
    kinds,
)
from clusterwatch.store import Store


def decision_named(store: Store, text: str) -> Decision:
    """Return the decision whose id starts with *text*.

    Raises:
        ClusterWatchError: There is none.
    """
    found = store.read.decision(text) or store.read.decision(f"dec-{text}")
    if found is None:
        raise ClusterWatchError(f'there is no decision "{text}": "clusterwatch policy explain INCIDENT" names them')
    return found


def approve(store: Store, text: str, who: str, why: str, now: datetime) -> Decision:
    """Let a decision that waits be carried out.

    Raises:
        ClusterWatchError: It does not wait for approval, has ended, or its evidence is too old by now.
    """
    decision = decision_named(store, text)
    waiting = [step for step in decision.steps if step.state not in ENDED_STEP_STATES]
    if decision.mode is not Mode.APPROVE:
        raise ClusterWatchError(f"{decision.id} does not wait for approval: its mode is {decision.mode}")
    if not waiting:
        raise ClusterWatchError(f"{decision.id} has no step left to do")
    if now > waiting[0].not_after:
        raise ClusterWatchError(
            f"{decision.id} waited too long: its evidence is of {decision.made_at:%Y-%m-%d %H:%M} UTC"
        )
    store.approve(decision.id, who, why, now)
    return decision


def veto(store: Store, text: str, who: str, why: str, now: datetime) -> tuple[Decision, list[Step]]:
    """Cancel what has not begun of a decision; return it, and the steps that were cancelled.

    Raises:
        ClusterWatchError: Nothing of it can be cancelled any more.
    """
    decision = decision_named(store, text)
    cancelled = store.veto(decision.id, who, why, now, lambda step: _told(step, now))
    if not cancelled:
        raise ClusterWatchError(f"{decision.id} has no step left to cancel: everything was begun or has ended")
    return decision, cancelled


def _told(step: Step, now: datetime) -> Event:
    """Return the cancellation as the event by which the responder learns of it."""
    return Event(
        id=event_id("", "", "operator", step.id, step.state.value),
        kind=kinds.STEP_CHANGED,
        component=Component(ComponentKind.JOB, step.target),
        happened_at=now,
        observed_at=now,
        source="operator",
        origin=f"step {step.id}",
        text=f"{step.kind.value} of {step.target}: {step.detail}",
        fields={
            "step_id": step.id,
            "step_kind": step.kind.value,
            "state": step.state.value,
            "detail": step.detail,
        },
        job=step.target,
    )


def hold(store: Store, subject: str, who: str, why: str, now: datetime) -> Hold:
    """Keep automation from "job:ID" or "node:NAME"."""
    made = Hold(subject, why, who, now)
    store.hold(made, now)
    return made


def release(store: Store, subject: str, who: str, now: datetime) -> Hold:
    """Let automation act on "job:ID", "node:NAME" or "cluster" again.

    Raises:
        ClusterWatchError: Nothing keeps it from that.
    """
    found = next((each for each in store.read.holds() if each.subject == subject and each.is_active), None)
    if found is None:
        what = "the breaker is closed" if subject == CLUSTER else f"nothing holds {subject.replace(':', ' ')}"
        raise ClusterWatchError(what)
    lifted = replace(found, lifted_at=now, lifted_by=who)
    store.hold(lifted, now)
    return lifted


def announce(
    store: Store, nodes: Sequence[str], starts_at: datetime, ends_at: datetime, who: str, why: str, now: datetime
) -> MaintenanceWindow:
    """Announce work on *nodes*: what happens to them meanwhile is no fault."""
    names = tuple(sorted(set(nodes)))
    digest = hashlib.sha256(f"{now.isoformat()}{names}{who}".encode()).hexdigest()[:8]
    window = MaintenanceWindow(f"mw-{digest}", names, starts_at, ends_at, why, who)
    store.add_maintenance(window, now)
    store.audit(who, "maintenance announced", window.id, why, now)
    return window


def end_maintenance(store: Store, text: str, who: str, now: datetime) -> MaintenanceWindow:
    """Say that announced work is over.

    Raises:
        ClusterWatchError: There is no such window, or it has ended.
    """
    found = next((each for each in store.read.maintenance() if each.id.startswith(text) and each.ends_at > now), None)
    if found is None:
        raise ClusterWatchError(
            f'no work that has not ended is called "{text}": "clusterwatch maintenance list" names it'
        )
    ended = replace(found, ends_at=now, starts_at=min(found.starts_at, now))
    store.add_maintenance(ended, now)
    store.audit(who, "maintenance ended", ended.id, "", now)
    return ended
