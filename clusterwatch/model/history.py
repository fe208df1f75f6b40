"""What incidents of late came to: how often each cause, and who was blamed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from clusterwatch.model.causes import UNDETERMINED_CAUSES, Cause
from clusterwatch.model.component import Component
from clusterwatch.model.diagnosis import Diagnosis

SURE_ENOUGH = 0.6
"""A diagnosis that was less sure than this teaches nothing."""


@dataclass(frozen=True, slots=True)
class History:
    """Ended incidents of the last weeks, as far as their diagnoses were sure.

    Attributes:
        causes: How many of those that concerned a job had each cause: what goes wrong elsewhere all day, and nobody
            waits for it, says little of what stops one.
        blamed: For each component that was the first suspect, how often and for which cause.
    """

    causes: Mapping[Cause, int] = field(default_factory=dict)
    blamed: Mapping[Component, Mapping[Cause, int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many incidents there were."""
        return sum(self.causes.values())

    def after(self, ended: Iterable[Diagnosis], of_jobs: Collection[str]) -> History:
        """Return the history with the last diagnoses of incidents that *ended* since; those *of_jobs* concerned one."""
        causes, blamed = dict(self.causes), dict(self.blamed)
        for diagnosis in ended:
            if diagnosis.confidence < SURE_ENOUGH or diagnosis.cause in UNDETERMINED_CAUSES | {Cause.BENIGN}:
                continue
            # Anyone can print a fault of hardware: what no node's own source said is nothing to learn from.
            if diagnosis.blames_hardware and not diagnosis.node_confirmed:
                continue
            if diagnosis.incident_id in of_jobs:
                causes[diagnosis.cause] = causes.get(diagnosis.cause, 0) + 1
            for suspect in diagnosis.suspects[:1] if diagnosis.blames_hardware else ():
                times = blamed.get(suspect.component, {})
                blamed[suspect.component] = {**times, diagnosis.cause: times.get(diagnosis.cause, 0) + 1}
        return History(causes, blamed)
