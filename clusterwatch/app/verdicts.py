"""What a check of this node found, as readings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from clusterwatch.model import Reading, Scalar
from clusterwatch.seams import Site

Verdict = tuple[str, str, Mapping[str, Scalar]]
"""The subject of a reading, its text, and the part that it is about as fields."""


def readings_of(source: str, site: Site, now: datetime, verdicts: Iterable[Verdict]) -> tuple[Reading, ...]:
    """Return a reading of *source* for each of *verdicts*, in their order."""
    return tuple(
        Reading(
            source=source,
            node=site.node,
            position=f"{now.isoformat()}/{number}",
            observed_at=now,
            happened_at=now,
            boot_id=site.boot_id,
            subject=subject,
            text=text,
            fields=part,
        )
        for number, (subject, text, part) in enumerate(verdicts)
    )
