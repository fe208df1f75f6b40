"""How often each cause is: by Table 5 at first, and by the cluster's own incidents as those come to outnumber it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

from clusterwatch.model import TABLE5_ROW, Cause, History
from clusterwatch.model.same import Same

PRIOR_STRENGTH = 0.1
"""How much of the log base rate counts: enough to break ties, too little to outvote a line of evidence."""

OWN_PRIOR_STRENGTH = 0.2
"""The same for the cluster's own history, once it is long: what was never seen here may yet be there."""

TABLE5_WORTH = 50
"""How many incidents of its own weigh as much as Table 5."""


@lru_cache(maxsize=8)
def base_rates(history: Same[History]) -> Mapping[Cause, float]:
    """Return the log base rate of each cause; it changes only when an incident ends."""
    return {cause: _prior(cause, history.value, history.value.total) for cause in Cause}


def _prior(cause: Cause, history: History, total: int) -> float:
    """Return the log base rate of *cause*: of Table 5, and of the cluster's own incidents as they come to outnumber it.

    Causes that are no row of Table 5 have a base rate only where the cluster has seen them.
    """
    row = TABLE5_ROW[cause]
    published = PRIOR_STRENGTH * math.log(row.count / 10) if row is not None else 0.0
    share = total / (total + TABLE5_WORTH)
    expected = total / len(Cause)
    own = OWN_PRIOR_STRENGTH * math.log((history.causes.get(cause, 0) + 1) / (expected + 1))
    return (1 - share) * published + share * own
