"""A line that stands for many: who read it has folded it already, as `repeats` would have.

Fields of such a reading: ranks ("8-15"); count (one of each rank where it is missing); first_at and last_at (ISO 8601
with a zone; the reading's own time where they are missing). Who folded has also held it back, so it goes at once.
"""

from __future__ import annotations

from datetime import datetime

from clusterwatch.detect.repeats import changed, of_ranks
from clusterwatch.detect.states import whole
from clusterwatch.model import Event, Reading, Scalar
from clusterwatch.model import ranks as ranges


def folded(event: Event, reading: Reading) -> Event:
    """Return *event*, read from the one line of *reading*, as that of all occurrences the reading stands for."""
    ranks = _ranks(reading.fields.get("ranks"))
    count = max(whole(reading.fields.get("count")) or ranges.count(ranks), 1)
    first_at = _time(reading.fields.get("first_at")) or event.happened_at
    last_at = max(_time(reading.fields.get("last_at")) or first_at, first_at)
    until = last_at if count > 1 else None
    changes = {"count": count, "happened_at": first_at, "until": until}
    return changed(event, {**changes, **of_ranks(event, ranks)})


def _ranks(value: Scalar) -> ranges.Ranges:
    try:
        return ranges.ranges_in(str(value))
    except ValueError:
        return ()


def _time(value: Scalar) -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
