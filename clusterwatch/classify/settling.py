"""How long to wait for evidence that is still under way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from clusterwatch.model import Diagnosis, Incident, Knowledge, Role


@dataclass(frozen=True, slots=True)
class SettleLimits:
    """Patience, and the lead a cause needs to end it early.

    *hang* counts from the last step of a job that hangs unexplained. Drivers tell what they waited for when they give
    up: the firmware of a GPU after 45 s (Xid 119), a NIC's firmware and the kernel's own watchdogs after 60 s.
    """

    minimum: timedelta = timedelta(seconds=2)
    explicit: timedelta = timedelta(seconds=20)
    symptoms: timedelta = timedelta(seconds=60)
    hang: timedelta = timedelta(seconds=70)
    margin: float = 0.3


@dataclass(frozen=True, slots=True)
class Settling:
    """Whether the diagnosis may be acted on; if not, when to look again."""

    is_over: bool
    wake_at: datetime


def settling(
    incident: Incident,
    diagnosis: Diagnosis,
    knowledge: Knowledge,
    *,
    alternatives_agree: bool,
    hung_since: datetime | None = None,
    limits: SettleLimits,
    now: datetime,
) -> Settling:
    """Return whether to stop waiting for more evidence.

    *alternatives_agree*: every cause that is still likely would lead to the same plan, so that nothing that may
    yet arrive changes what is done. *hung_since*: a job hangs since then, and nothing is to be changed for its restart.
    """
    earliest = incident.observed_at + limits.minimum
    if now < earliest:
        return Settling(False, earliest)
    explicit = any(knowledge[evidence.kind].role in (Role.FAULT, Role.SUSPECT) for evidence in incident.evidence)
    latest = incident.observed_at + (limits.explicit if explicit else limits.symptoms)
    decided = alternatives_agree or diagnosis.margin >= limits.margin
    if hung_since is not None and diagnosis.is_undetermined:
        # That the causes agree on nothing, and none is told, is no reason to stop listening.
        told_at = hung_since + limits.hang
        return Settling(now >= told_at, told_at)
    return Settling(decided or now >= latest, latest)
