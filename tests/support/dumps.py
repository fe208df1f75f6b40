"""What recorders of ranks hold, written by hand: as values, and as the raw value that PyTorch pickles."""

from __future__ import annotations

from dataclasses import replace

from clusterwatch.model.collectives import Call, CallState, Dump, GroupTrace, Recorded

ALL_REDUCE = Call("all_reduce", (1024,), (1024,), ("Float",), ("Float",))
SECOND = 1_000_000_000
NOON_NS = 1_795_262_400 * SECOND


def recorded(call: Call = ALL_REDUCE, state: str = "completed", is_retired: bool | None = None) -> Recorded:
    """Return one call and how far it came; what is completed is retired."""
    return Recorded((call,), CallState(state), state == "completed" if is_retired is None else is_retired)


def trace(members, last, unfinished=(), group="0", title="default_pg", first=1, at_ns=NOON_NS, **facts) -> GroupTrace:
    """Return what a rank recorded: all_reduce *first* to *last*, all finished but *unfinished* (number to a call)."""
    waiting = dict(unfinished)
    calls = tuple(waiting.get(number, recorded()) for number in range(first, last + 1))
    return GroupTrace(group, title, tuple(members), first, calls, since_ns=at_ns, **facts)


def dump(rank, *traces, transfers=()) -> Dump:
    """Return the dump of *rank*."""
    configured = tuple((each.name, each.members) for each in traces)
    return Dump(rank, traces, tuple(transfers), configured, newest_ns=NOON_NS)


def waiting_dump(rank, members, at, state="started", call=ALL_REDUCE, **facts) -> Dump:
    """Return the dump of a rank that waits in call number *at*."""
    return dump(rank, trace(members, at, {at: recorded(call, state)}, **facts))


def relabelled(each: Dump, numbers: dict[int, int]) -> Dump:
    """Return *each* with every rank renamed, members in the order of their new numbers."""

    def renamed(found: GroupTrace) -> GroupTrace:
        return replace(found, members=tuple(sorted(numbers[rank] for rank in found.members)))

    groups = tuple(map(renamed, each.groups))
    return Dump(numbers[each.rank], groups, (), tuple((one.name, one.members) for one in groups), each.newest_ns)


def entry(number, name="nccl:all_reduce", state="completed", **facts):
    """Return a call as PyTorch 2.13 writes it into a dump."""
    written = {
        "record_id": number - 1,
        "pg_id": 0,
        "process_group": ("0", "default_pg"),
        "thread_name": "pt_main_thread",
        "thread_id": "140",
        "collective_seq_id": number,
        "p2p_seq_id": 0,
        "op_id": number,
        "profiling_name": name,
        "time_created_ns": NOON_NS + number * SECOND,
        "input_sizes": [[1024]],
        "input_dtypes": ["Float"],
        "output_sizes": [[1024]],
        "output_dtypes": ["Float"],
        "state": state,
        "time_discovered_started_ns": None,
        "time_discovered_completed_ns": None,
        "retired": state == "completed",
        "timeout_ms": 600000,
        "is_p2p": False,
    }
    return written | facts


def written(*entries, ranks="[0, 1, 2, 3]", version="2.10"):
    """Return a whole dump as PyTorch pickles it."""
    return {
        "version": version,
        "comm_lib_version": "2.27.5",
        "pg_config": {"0": {"name": "0", "desc": "default_pg", "ranks": ranks}},
        "pg_status": {
            "0": {"last_enqueued_collective": 4, "last_started_collective": -1, "last_completed_collective": 3}
        },
        "entries": list(entries),
    }
