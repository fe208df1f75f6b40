"""The name of a trace, or a file, to its schedule."""

from __future__ import annotations

from pathlib import Path

from clusterwatch.errors import ConfigError, Mistake
from simulators.trace.files import read_file
from simulators.trace.generating import generate
from simulators.trace.schedule import Schedule
from simulators.trace.specs import builtin_names, builtin_spec, read_spec


def schedule_of(trace: str, seed: int | None) -> Schedule:
    """Return the schedule of *trace*: a built-in name, a spec (TOML) or a trace file; *seed* None takes its own.

    Raises:
        ConfigError: There is no such trace, the file is wrong, or a seed is asked for of a file.
    """
    if trace in builtin_names():
        return generate(builtin_spec(trace), 1 if seed is None else seed)
    if not Path(trace).is_file():
        known = ", ".join(builtin_names())
        raise ConfigError(trace, [Mistake("trace", f"is no file and not built in; built in are {known}")])
    if trace.endswith(".toml"):
        return generate(read_spec(Path(trace)), 1 if seed is None else seed)
    require_no_seed(trace, seed)
    return read_file(Path(trace))


def require_no_seed(trace: str, seed: int | None) -> None:
    """Raise ConfigError where a *seed* is asked for of a trace file."""
    if seed is not None:
        raise ConfigError(trace, [Mistake("seed", "a trace file has its own; leave --seed out")])


def is_file(trace: str) -> bool:
    """Return whether *trace* is the path of a trace file, and neither built in nor a spec."""
    return trace not in builtin_names() and not trace.endswith(".toml") and Path(trace).is_file()
