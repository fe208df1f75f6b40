"""What really happened, as lines that only a scorer opens."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from clusterwatch.model import Cause


@dataclass(frozen=True, slots=True)
class Strike:
    """One interruption of the job as the world knows it.

    Attributes:
        id: Of the fault or planned stop; a strike of the same broken part again has ".2" and so on behind it.
        attempt: Of the job, which it ended.
        nodes: Struck, as they were called when it happened.
        neighbours: Everything on the same switch or power domain, where that is what broke.
        due, struck, interrupted: Seconds since the start: as scheduled, as it happened, and when the last step ended.
        repeat_of: Id of the first strike of the same part; "" for the first.
        harm: What it does to the job: crash, hang, slow or corrupt; "" for what is planned.
        unseen_wording: Its words come from sources that the detection catalogue does not cite.
    """

    id: str
    cause: Cause
    kind: str
    planned: bool
    attempt: int
    component: str
    nodes: tuple[str, ...]
    neighbours: tuple[str, ...]
    due: float
    struck: float
    interrupted: float
    repeat_of: str = ""
    unseen_wording: bool = False
    harm: str = ""

    def line(self) -> str:
        """Return the strike as a line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)
