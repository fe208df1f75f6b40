"""What two ranks must have asked for alike to take part in the same collective.

1. The operation is always the same.
2. NCCL counts elements, not shapes: [4, 2] and [8] fit together.
3. Some operations let sizes differ by rank, as where only the root has inputs; those sizes are not compared.
"""

from __future__ import annotations

from functools import lru_cache

from clusterwatch.model.collectives import Call, Recorded

Demand = tuple[tuple[object, ...], ...]
"""What of a recorded call must be equal on all ranks."""

# https://docs.pytorch.org/docs/2.13/distributed.html: where ranks may pass tensors of different sizes.
_INPUTS_MAY_DIFFER = frozenset(
    {"scatter", "all_gather", "all_gather_v", "all_to_all", "all_to_all_single", "all_to_all_v_single", "send", "recv"}
)
_OUTPUTS_MAY_DIFFER = frozenset(
    {"gather", "reduce_scatter", "reduce_scatter_v", "all_to_all", "all_to_all_single", "all_to_all_v_single"}
    | {"send", "recv"}
)


@lru_cache(maxsize=65536)
def demand_of(recorded: Recorded) -> Demand:
    """Return what all ranks must have in common with *recorded*."""
    return tuple(map(_demand, recorded.calls))


def _demand(call: Call) -> tuple[object, ...]:
    name = call.name.partition(" ")[0]
    inputs = () if name in _INPUTS_MAY_DIFFER else (call.inputs, call.input_types)
    outputs = () if name in _OUTPUTS_MAY_DIFFER else (call.outputs, call.output_types)
    # A group's sends and receives differ by rank; only that something is sent is common to them.
    return ("transfer" if name in {"send", "recv"} else name, inputs, outputs)


def name_of(recorded: Recorded) -> str:
    """Return the operation's name."""
    names = [call.name for call in recorded.calls if call.name != "coalesced"] or ["coalesced"]
    return names[-1]


def in_words(recorded: Recorded, other: Recorded) -> str:
    """Return how a person tells *recorded* from *other*: its name, and what of its tensors differs."""
    mine, yours = recorded.calls[-1], other.calls[-1]
    if name_of(recorded) != name_of(other) or len(recorded.calls) != len(other.calls):
        return name_of(recorded)
    told = [
        f"{words} {_listed(one)}"
        for words, one, two in (
            ("elements in", mine.inputs, yours.inputs),
            ("elements out", mine.outputs, yours.outputs),
            ("of type", mine.input_types, yours.input_types),
        )
        if one != two
    ]
    return f"{name_of(recorded)} ({', '.join(told) or 'other tensors'})"


def _listed(values: tuple[int, ...] | tuple[str, ...]) -> str:
    return "+".join(map(str, values[:4])) + ("+..." if len(values) > 4 else "") if values else "none"
