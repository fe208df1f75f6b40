"""What the samples of one look share: where, when, and whether somebody looked shortly before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from clusterwatch.model import Reading, Scalar
from clusterwatch.seams import Site

LONGEST_PAUSE = timedelta(minutes=10)
"""What a counter moved over a longer pause has no time, so it is no evidence for what happens now."""

SETTLING = timedelta(minutes=3)
"""How long after the first look of a boot links may still be coming up."""


def looked_before(position: Mapping[str, object], boot_id: str) -> dict[str, datetime]:
    """Return the first and the last look of this boot; {} where there was none."""
    if position.get("boot_id") != boot_id:
        return {}
    names = ("first_look_at", "last_look_at")
    return {name: datetime.fromisoformat(str(position[name])) for name in names if name in position}


class Looks:
    """Makes the samples of one look of the collector *source*."""

    def __init__(self, source: str, site: Site, now: datetime, before: Mapping[str, datetime]) -> None:
        self._source = source
        self._site = site
        self._now = now
        self._first = before.get("first_look_at", now)
        last = before.get("last_look_at")
        # The stored time is up to a minute early, see `position`.
        self.is_continuous = last is not None and timedelta(0) <= now - last <= LONGEST_PAUSE + timedelta(minutes=1)

    def reading(
        self, subject: str, key: str, fields: Mapping[str, Scalar], text: str, *, was_answered: bool = True
    ) -> Reading:
        """Return the sample of the thing *key*. *was_answered* is whether it answered shortly before, too."""
        shared: dict[str, Scalar] = {
            "key": key,
            "is_continuous": self.is_continuous and was_answered,
            "is_settling": self._now - self._first < SETTLING,
        }
        return Reading(
            source=self._source,
            node=self._site.node,
            position=f"{self._now.isoformat()}/{key}",
            observed_at=self._now,
            happened_at=self._now,
            boot_id=self._site.boot_id,
            subject=subject,
            text=text,
            fields={**fields, **shared},
        )

    def position(self) -> dict[str, object]:
        """Return what the next look has to know of this one; by the minute, as a changed position is written."""
        last = self._now.replace(second=0, microsecond=0)
        times = {"first_look_at": self._first.isoformat(), "last_look_at": last.isoformat()}
        return {"boot_id": self._site.boot_id, **times}
