"""Events to jobs, attempts, placements, checkpoints, interruptions and nodes."""

from clusterwatch.track.follow import Tracked, follow
from clusterwatch.track.nodes import node_states

__all__ = ["Tracked", "follow", "node_states"]
