"""What the ranks of a job recorded of their collectives, to the ranks that hold up all others.

1. Ranks are compared within a process group and by its sequence numbers; sends and receives by their two ends.
2. Only the frontier counts: the first call of a group that not every rank has finished.
3. There: ranks that asked for something else are *mismatched*; ranks that never called while others wait are *absent*
   (*host_stuck* where all that they had asked for is done, so that nothing but their own program holds them up);
   where all have called, ranks whose device has not come as far as the others' are *device_stuck*.
4. A rank that waits in one group cannot come to another: it is no culprit there. The groups whose culprits wait for
   nobody are where it began.
5. A rank without a dump is a suspect only where all others of its group wait: *no_dump*, or *died* where that is known.
"""

from clusterwatch.localise.localising import STRAGGLES_BELOW_SECONDS, localised
from clusterwatch.localise.result import Culprit, CulpritKind, Localisation, Place, Status
from clusterwatch.localise.telling import events_of

__all__ = [
    "STRAGGLES_BELOW_SECONDS",
    "Culprit",
    "CulpritKind",
    "Localisation",
    "Place",
    "Status",
    "events_of",
    "localised",
]
