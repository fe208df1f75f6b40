"""Bytes of a dump of PyTorch's flight recorder, as a pickle or as JSON, to what the rank had asked for.

1. Versions 2.x whose entries have "collective_seq_id" are read (PyTorch 2.5 and newer, up to format 2.10 of PyTorch
   2.13 tried); a newer minor version only adds fields. https://github.com/pytorch/pytorch,
   torch/csrc/distributed/c10d/FlightRecorder.hpp
2. A rank's `record_id` and `pg_id` are its own counters: nothing is aligned by them. A group is its name and members.
3. Calls that were sent off together share a sequence number. Only the entry "coalesced" then has a state.
4. gloo leaves every call "scheduled" and names its one group "" in `pg_config`.
5. Of what is finished only the newest few calls of a group are kept: what comes later is what counts.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any

from clusterwatch.errors import SourceError
from clusterwatch.model.collectives import Call, CallState, Dump, GroupTrace, Recorded, Transfer
from clusterwatch.reading.plain_pickles import plain_value

LARGEST_DUMP_BYTES = 256 * 1024 * 1024
"""A dump beyond this is refused: 2,000 calls take 0.4 MB as a pickle and 2.6 MB as JSON."""

FINISHED_KEPT = 16
"""How many finished calls of a group are kept beside the unfinished ones."""

# A damaged dump may hold any two numbers; a buffer of more calls than this is not in use.
_LONGEST_TRACE = 65536

_RANK = re.compile(r"(\d+)(?:\.(?:json|pickle|pkl))?$")
_TRANSFER = re.compile(r"(send|recv) (\d+)(->|<-)(\d+)$")
# Lines inside these call the communicator for the program.
_LIBRARY = re.compile(r"/(?:torch|deepspeed|transformers|accelerate)/")
_TOGETHER = "coalesced"

_Entry = Mapping[str, Any]


def rank_in(name: str) -> int | None:
    """Return the global rank that the name of a dump's file ends in, as in "nccl_trace_rank_12"; None without one."""
    found = _RANK.search(name)
    return int(found[1]) if found else None


def dump_of(raw: bytes, rank: int) -> Dump:
    """Return what the recorder of *rank* held, from the bytes of its dump.

    Raises:
        SourceError: It is no dump, cut short, of a version that is not read, or too large; the message says which.
    """
    if len(raw) > LARGEST_DUMP_BYTES:
        raise SourceError(f"a dump of {len(raw) >> 20} MiB: no more than {LARGEST_DUMP_BYTES >> 20} are read")
    value = _value(raw)
    if not isinstance(value, dict) or "version" not in value:
        raise SourceError("no dump of a flight recorder: it has no version")
    _check_version(str(value["version"]))
    try:
        return _dump(value, rank)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise SourceError(f"a damaged dump: {type(error).__name__}: {error}") from error


def _value(raw: bytes) -> object:
    if raw.lstrip()[:1] != b"{":
        return plain_value(raw)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"not readable as JSON: {error}") from error


def _check_version(version: str) -> None:
    if version.partition(".")[0] != "2":
        raise SourceError(f"format version {version} is not read: dumps of PyTorch 2.5 and newer have 2.x")


def _dump(value: _Entry, rank: int) -> Dump:
    entries: Sequence[_Entry] = value.get("entries") or ()
    if entries and "collective_seq_id" not in entries[0]:
        raise SourceError(f"format version {value['version']} is too old: its calls have no collective_seq_id")
    configured = {str(name): _members(each) for name, each in (value.get("pg_config") or {}).items()}
    collectives: defaultdict[tuple[str, str], list[_Entry]] = defaultdict(list)
    between_two: defaultdict[tuple[str, str], list[_Entry]] = defaultdict(list)
    for entry in entries:
        name, description = entry["process_group"]
        chosen = between_two if entry.get("is_p2p") else collectives
        chosen[name, description].append(entry)
    return Dump(
        rank,
        tuple(_trace(*group, _members_of(group[0], configured), calls) for group, calls in collectives.items()),
        tuple(_pending(between_two, configured)),
        tuple((name, members) for name, members in configured.items() if name),
        max((int(entry["time_created_ns"]) for entry in entries), default=0),
    )


def _members(configured: _Entry) -> tuple[int, ...]:
    return _ranks(str(configured["ranks"]))


@lru_cache(maxsize=4096)
def _ranks(written: str) -> tuple[int, ...]:
    return tuple(int(rank) for rank in re.findall(r"\d+", written))


def _members_of(name: str, configured: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    if name in configured:
        return configured[name]
    # gloo: the one group that it tells of is the default group, which is named "0".
    return configured.get("", ()) if name == "0" else ()


def _trace(name: str, description: str, members: tuple[int, ...], entries: Sequence[_Entry]) -> GroupTrace:
    tells_states = not str(entries[0]["profiling_name"]).startswith("gloo")
    by_sequence: defaultdict[int, list[_Entry]] = defaultdict(list)
    for entry in entries:
        by_sequence[int(entry["collective_seq_id"])].append(entry)
    last = max(by_sequence)
    unfinished = (number for number, calls in by_sequence.items() if tells_states and not _is_finished(calls))
    oldest = min(unfinished, default=last)
    first = max(min(by_sequence), oldest - FINISHED_KEPT, last - _LONGEST_TRACE)
    kept = (by_sequence.get(number) for number in range(first, last + 1))
    recorded = tuple(_recorded(calls) if calls else None for calls in kept)
    newest = by_sequence[oldest][0]
    return GroupTrace(
        *(name, "" if description == "undefined" else description, members, first, recorded, tells_states),
        since_ns=int(newest["time_created_ns"]),
        where=_where(newest.get("frames") or ()),
    )


def _is_finished(calls: Sequence[_Entry]) -> bool:
    return _state(calls) is CallState.COMPLETED


def _state(calls: Sequence[_Entry]) -> CallState:
    telling = [each for each in calls if each["profiling_name"].endswith(_TOGETHER)] or calls
    return CallState(telling[-1]["state"])


def _recorded(calls: Sequence[_Entry]) -> Recorded:
    return _shared(tuple(_call(each) for each in calls), _state(calls), all(each["retired"] for each in calls))


# The same few calls are made again and again, by every rank.
@lru_cache(maxsize=65536)
def _shared(calls: tuple[Call, ...], state: CallState, is_retired: bool) -> Recorded:
    return Recorded(calls, state, is_retired)


def _call(entry: _Entry) -> Call:
    return Call(
        str(entry["profiling_name"]).partition(":")[2],
        _elements(entry["input_sizes"]),
        _elements(entry["output_sizes"]),
        tuple(entry.get("input_dtypes") or ()),
        tuple(entry.get("output_dtypes") or ()),
    )


def _elements(sizes: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(prod(size) for size in sizes)


def _where(frames: Sequence[_Entry]) -> str:
    for frame in frames:
        if not _LIBRARY.search(str(frame["filename"])):
            return f"{frame['filename']}:{frame['line']}"
    return ""


def _pending(
    groups: Mapping[tuple[str, str], Sequence[_Entry]], configured: Mapping[str, tuple[int, ...]]
) -> Iterable[Transfer]:
    for (name, _), entries in groups.items():
        by_sequence: defaultdict[int, list[_Entry]] = defaultdict(list)
        for entry in entries:
            by_sequence[int(entry["p2p_seq_id"])].append(entry)
        for number, calls in sorted(by_sequence.items()):
            if not _is_finished(calls) and not str(calls[0]["profiling_name"]).startswith("gloo"):
                yield from _transfers(name, number, calls, _members_of(name, configured))


def _transfers(name: str, number: int, calls: Sequence[_Entry], members: Sequence[int]) -> Iterable[Transfer]:
    for entry in calls:
        found = _TRANSFER.search(str(entry["profiling_name"]))
        if not found:
            continue
        here, there = (_global(int(found[place]), members) for place in (2, 4))
        is_send = found[1] == "send"
        source, target = (here, there) if is_send else (there, here)
        sizes = entry["input_sizes" if is_send else "output_sizes"]
        since, where = int(entry["time_created_ns"]), _where(entry.get("frames") or ())
        yield Transfer(name, number, is_send, source, target, sum(_elements(sizes)), since, where)


def _global(rank: int, members: Sequence[int]) -> int:
    return members[rank] if members else rank
