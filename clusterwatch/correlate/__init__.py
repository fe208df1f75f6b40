"""Events to incidents: same fault, same neighbourhood, same time."""

from clusterwatch.correlate.grouping import Correlated, Limits, add_events, incident_for_interruption
from clusterwatch.correlate.sameness import Suspected

__all__ = ["Correlated", "Limits", "Suspected", "add_events", "incident_for_interruption"]
