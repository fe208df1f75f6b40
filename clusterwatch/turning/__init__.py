"""What happens within one turn of the responder: the stages composed over the open state, a module for each part.

`Turning` is the state of a turn; everything else here is a function over it, in the order in which
`pipeline.respond` calls them. Everything is a value; a turn that is not committed never happened.
"""

from clusterwatch.turning.care import call_people, note_nodes, return_nodes
from clusterwatch.turning.deciding import decide
from clusterwatch.turning.diagnosing import diagnose
from clusterwatch.turning.following import close_if_over, follow_plan, settle_again
from clusterwatch.turning.grouping import group
from clusterwatch.turning.limits import Limits
from clusterwatch.turning.linking import link_interruptions
from clusterwatch.turning.outcome import changes_of, world_after
from clusterwatch.turning.recalling import ask_ranks
from clusterwatch.turning.settling import settle
from clusterwatch.turning.situations import situations
from clusterwatch.turning.state import Turning
from clusterwatch.turning.taking_over import note_resumed, note_steps

__all__ = [
    "Limits",
    "Turning",
    "ask_ranks",
    "call_people",
    "changes_of",
    "close_if_over",
    "decide",
    "diagnose",
    "follow_plan",
    "group",
    "link_interruptions",
    "note_nodes",
    "note_resumed",
    "note_steps",
    "return_nodes",
    "settle",
    "settle_again",
    "situations",
    "world_after",
]
