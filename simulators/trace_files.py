"""The name of a trace to the fleet that lives through it: what `clusterwatch replay` finds by entry point."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clusterwatch import seams
from clusterwatch.errors import ConfigError, Mistake
from simulators.cluster import named_numbers, with_numbers
from simulators.tables import Range
from simulators.terms import Terms
from simulators.trace.schedule import Assumption, Schedule
from simulators.trace_fleet import TraceFleet
from simulators.whatif.policies import Policy
from simulators.world.regimes import regimes, save_every_seconds

if TYPE_CHECKING:
    from simulators.trace.recording.fleet import RecordingFleet

SAVE_EVERY = "save_every_seconds"
"""Option that overrules how often the job saves."""

EVERY_RANK = "every_rank"
"""Option that lets every rank tell by itself, where it is not 0, what else its node tells once for all of its ranks."""


def open_trace(trace: str, seed: int | None, policy: str, options: Mapping[str, float]) -> seams.TraceFleet:
    """Return the fleet that lives through *trace*; see `clusterwatch.seams.OpenTrace`."""
    from simulators.trace.opening import is_file, schedule_of
    from simulators.trace.recording.reading import is_recording

    if is_file(trace) and is_recording(Path(trace)):
        return _recorded(trace, seed, options)
    regime = regimes().get(policy)
    save_every = _save_every(options, regime)
    every_rank = bool(options.get(EVERY_RANK))
    schedule = assuming(schedule_of(trace, seed), options)
    if len(schedule.jobs) > 1:
        words = f"a replay lives through one job, the trace has {len(schedule.jobs)}: make one trace of each"
        raise ConfigError(trace, [Mistake("jobs", words)])
    return TraceFleet(schedule, save_every, regime, every_rank=every_rank)


def _recorded(trace: str, seed: int | None, options: Mapping[str, float]) -> RecordingFleet:
    from simulators.trace.recording.fleet import RecordingFleet
    from simulators.trace.recording.reading import recording_in

    asked = [*(["--seed"] if seed is not None else []), *(f"--assume {name}" for name in options)]
    if asked:
        raise ConfigError(trace, [Mistake(each, "a recording is what happened: leave it out") for each in asked])
    return RecordingFleet(recording_in(Path(trace)))


def assuming(schedule: Schedule, options: Mapping[str, float]) -> Schedule:
    """Return *schedule* with other values for the assumptions that *options* name.

    Raises:
        ConfigError: One is out of range, or none that a replay reads: holds all mistakes.
    """
    others = {name: value for name, value in options.items() if name not in (SAVE_EVERY, EVERY_RANK)}
    read = Terms.names() | named_numbers(schedule.cluster).keys()
    unread = [Mistake(name, _why_unread(name, schedule, read)) for name in others if name not in read]
    if unread:
        raise ConfigError("assumptions", unread)
    made = {name: Assumption(value, "", "asked for at the replay", False) for name, value in others.items()}
    cluster = with_numbers(schedule.cluster, others)
    return replace(schedule, cluster=cluster, assumptions={**schedule.assumptions, **made})


def _why_unread(name: str, schedule: Schedule, read: Collection[str]) -> str:
    if name in schedule.assumptions:
        return "the trace was made with it: change it in a spec, and replay that"
    return f"no such assumption: a replay reads {', '.join(sorted((*read, SAVE_EVERY)))}"


def _save_every(options: Mapping[str, float], regime: Policy | None) -> float:
    asked = options.get(SAVE_EVERY)
    if asked is None:
        return save_every_seconds(regime)
    problem = Range(above=0.0).problem(asked)
    if problem:
        raise ConfigError("assumptions", [Mistake(SAVE_EVERY, problem)])
    return asked
