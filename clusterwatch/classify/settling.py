"""How long to wait for evidence that is still under way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from clusterwatch.model import Diagnosis, Incident, Knowledge, Role


@dataclass(frozen=True, slots=True)
class SettleLimits:
    """Seconds of patience, and the lead a cause needs to end it early."""

    minimum: timedelta = timedelta(seconds=2)
    explicit: timedelta = timedelta(seconds=20)
    symptoms: timedelta = timedelta(seconds=60)
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
    limits: SettleLimits,
    now: datetime,
) -> Settling:
    """Return whether to stop waiting for more evidence.

    *alternatives_agree*: every cause that is still likely would lead to the same plan, so that nothing that may
    yet arrive changes what is done.
    """
    earliest = incident.observed_at + limits.minimum
    if now < earliest:
        return Settling(False, earliest)
    explicit = any(knowledge[evidence.kind].role in (Role.FAULT, Role.SUSPECT) for evidence in incident.evidence)
    latest = incident.observed_at + (limits.explicit if explicit else limits.symptoms)
    decided = alternatives_agree or diagnosis.margin >= limits.margin
    return Settling(decided or now >= latest, latest)
