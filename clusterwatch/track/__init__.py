"""Events to jobs, attempts, placements, checkpoints and interruptions."""

from clusterwatch.track.follow import Tracked, follow

__all__ = ["Tracked", "follow"]
