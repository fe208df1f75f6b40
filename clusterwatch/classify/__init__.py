"""Incident to diagnosis: weigh the evidence, say how sure."""

from clusterwatch.classify.circumstances import Circumstances
from clusterwatch.classify.diagnose import diagnose
from clusterwatch.classify.settling import SettleLimits, Settling, settling

__all__ = ["Circumstances", "SettleLimits", "Settling", "diagnose", "settling"]
