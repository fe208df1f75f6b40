"""Events to incidents: same fault, same neighbourhood, same time."""

from clusterwatch.correlate.grouping import Correlated, Limits, add_events, incident_for_interruption

__all__ = ["Correlated", "Limits", "add_events", "incident_for_interruption"]
