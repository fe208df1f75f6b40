"""What a replay measured to measured.toml, from which diagnoses and latencies are drawn.

`python -m simulators.whatif.measured DATE SUMMARY TOML`: `make measured` calls it so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clusterwatch.model import Cause
from simulators.whatif.causes import Harm
from simulators.whatif.policies import ALL

_QUANTILES = ("p50", "p95", "p99")
_HEADER = """\
# What a replay measured of the policies that decide for themselves: how fast, how right, where.
# Written by `simulators.whatif.measured` from what `clusterwatch replay -o json` printed.
#
#   located      chance that the struck node is named, by cause; "all" for the others
#   mislocated   chance that another node is named
#   diagnosed    by true cause, the chances of what is diagnosed; what is missing to one is "unknown"
"""

OWN = "clusterwatch"
"""Name in policies.toml of the policy whose figures a replay measures."""

Figures = dict[str, Any]


def figures_of(summary: Mapping[str, Any], date: str = "") -> Figures:
    """Return the figures of one policy from the summary that `clusterwatch replay -o json` printed on *date*.

    Beside the contract's fields these are used where they are there: "located" and "mislocated" of each cause (counts
    of the injected faults), and "latency_seconds" by harm and from stage to stage:
    {"detect": {..., "by_harm": {"crash": {"p50", ...}}}, "decide": {..., "since_noticed": {"p50", ...}}}.

    Raises:
        ValueError: If a field that the contract names is missing; the message names it.
    """
    try:
        by_cause, latencies = summary["classification"]["by_cause"], summary["latency_seconds"]
        located = float(summary["classification"]["culprit_node_accuracy"])
        false_restarts = float(summary["automation"]["false_restarts"]) / float(summary["days"])
        origin = f"{summary['trace']}, seed {summary['seed']}"
        return {
            "measured": True,
            "origin": origin,
            **({"date": date} if date else {}),
            "false_restarts_per_day": round(false_restarts, 4),
            "detect": _latencies(latencies["detect"]),
            "decide": _latencies(latencies["decide"].get("since_noticed", latencies["decide"])),
            "located": {ALL: located, **_shares(by_cause, "located")},
            "mislocated": {ALL: 0.0, **_shares(by_cause, "mislocated")},
            "diagnosed": {ALL: {"same": _accuracy(by_cause)}, **_confusion(by_cause)},
        }
    except KeyError as error:
        raise ValueError(f"this is no summary of a replay: it has no {error}") from error
    except (AttributeError, TypeError) as error:
        raise ValueError(f"this is no summary of a replay in which something was struck: {error}") from error


def measured_toml(figures: Mapping[str, Figures]) -> str:
    """Return measured.toml for *figures* by policy."""
    return _HEADER + "".join(f"\n{table}" for name in figures for table in _tables(name, figures[name]))


def _latencies(told: Mapping[str, Any]) -> Figures:
    by_harm = {harm: told.get("by_harm", {}).get(harm, {}) for harm in Harm}
    found = {str(harm): _quantiles(times) for harm, times in by_harm.items() if times.get("p50") is not None}
    return {ALL: _quantiles(told), **found}


def _quantiles(told: Mapping[str, Any]) -> dict[str, float]:
    return {name: round(float(told[name]), 3) for name in _QUANTILES}


def _shares(by_cause: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, float]:
    return {
        cause: round(float(counts[name]) / counts["injected"], 4)
        for cause, counts in by_cause.items()
        if name in counts and counts["injected"]
    }


def _accuracy(by_cause: Mapping[str, Mapping[str, Any]]) -> float:
    injected = sum(counts["injected"] for counts in by_cause.values())
    return round(sum(counts["correct"] for counts in by_cause.values()) / injected, 4) if injected else 1.0


def _confusion(by_cause: Mapping[str, Mapping[str, Any]]) -> Figures:
    return {
        cause: {other: round(count / counts["injected"], 4) for other, count in _told(counts).items()}
        for cause, counts in by_cause.items()
        if counts["injected"]
    }


def _told(counts: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts of each diagnosis; where nothing was diagnosed that is unknown too."""
    told: dict[str, int] = {}
    for name, count in counts["diagnosed_as"].items():
        cause = str(Cause(name) if name in set(Cause) else Cause.UNKNOWN)
        told[cause] = told.get(cause, 0) + int(count)
    return told


def _tables(name: str, figures: Figures) -> list[str]:
    plain = {key: value for key, value in figures.items() if not isinstance(value, Mapping)}
    tables = [_table(name, plain)]
    for key, value in figures.items():
        if isinstance(value, Mapping) and key != "diagnosed":
            tables.append(_table(f"{name}.{key}", value))
    return tables + [_table(f"{name}.diagnosed.{cause}", chances) for cause, chances in figures["diagnosed"].items()]


def _table(heading: str, values: Mapping[str, Any]) -> str:
    lines = [f"{key} = {_value(value)}" for key, value in values.items()]
    return "\n".join([f"[{heading}]", *lines, ""])


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
    # The numbers, strings and booleans of JSON are written alike in TOML.
    return json.dumps(value)


def main(arguments: Sequence[str]) -> int:
    """Write the figures of ClusterWatch's own policy: a date, a file with a summary, and the file to write.

    Raises:
        ValueError: The summary lacks a field.
    """
    date, summary, place = arguments
    figures = figures_of(json.loads(Path(summary).read_text(encoding="utf-8")), date)
    Path(place).write_text(measured_toml({OWN: figures}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
