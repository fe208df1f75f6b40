from datetime import UTC, datetime, timedelta

from clusterwatch.model import Event, NodeState, World, kinds, node_component
from clusterwatch.track import follow, node_states

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def announced(at: datetime = NOON, **fields: object) -> Event:
    told = {"name": "fw", "nodes": "node3,node4", "starts_at": (NOON + HOUR).isoformat()}
    told |= {"ends_at": (NOON + 2 * HOUR).isoformat(), "over": False, **fields}
    return event(kinds.MAINTENANCE, "head", at, **told)


def event(kind: str, node: str, at: datetime = NOON, **fields: object) -> Event:
    return Event(
        id=f"{kind}{at}",
        kind=kind,
        component=node_component(node),
        happened_at=at,
        observed_at=at,
        source="slurm",
        fields=fields,
    )


def test_reservation_is_a_window_that_changes_and_ends():
    first = follow(World(NOON), [announced()])
    longer = follow(first.world, [announced(ends_at=(NOON + 3 * HOUR).isoformat())])
    over = follow(longer.world, [announced(NOON + HOUR / 2, over=True)])

    (window,) = first.world.maintenance
    assert (window.nodes, window.starts_at, window.ends_at, window.made_by) == (
        ("node3", "node4"),
        NOON + HOUR,
        NOON + 2 * HOUR,
        "slurm",
    )
    assert [each.ends_at for each in longer.world.maintenance] == [NOON + 3 * HOUR]
    assert [each.ends_at for each in over.changes.maintenance] == [NOON + HOUR / 2]


def test_announcement_without_a_time_or_a_node_is_none():
    assert follow(World(NOON), [announced(starts_at="soon"), announced(nodes="")]).changes.maintenance == ()


def test_scheduler_takes_nodes_out_and_gives_them_back():
    def state_after(kind: str) -> NodeState:
        (node,) = node_states(World(NOON), [event(kind, "node3")], {}, frozenset(), NOON)
        return node.state

    assert [state_after(kind) for kind in (kinds.NODE_DRAINED, kinds.NODE_DOWN, kinds.NODE_BACK)] == [
        NodeState.DRAINED,
        NodeState.SILENT,
        NodeState.IN_SERVICE,
    ]
