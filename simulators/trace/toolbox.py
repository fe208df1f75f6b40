"""What `clusterwatch trace` does, behind one object that is found by entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from clusterwatch.errors import ConfigError, Mistake
from clusterwatch.model import Cause
from clusterwatch.seams import IntoTrace, OnRecord, Trace, TraceColumns
from simulators.fleet_wording import fault_kinds
from simulators.trace.acme import from_acme
from simulators.trace.converting import Into
from simulators.trace.files import read_file, write_lines
from simulators.trace.generating import generate
from simulators.trace.incidents import Columns, from_incidents
from simulators.trace.opening import is_file, require_no_seed
from simulators.trace.recording.counting import counted
from simulators.trace.recording.reading import checked, is_recording
from simulators.trace.recording.records import Recording, recording_of
from simulators.trace.recording.records import lines as recorded_lines
from simulators.trace.records import Schedule, lines
from simulators.trace.specs import builtin_names, builtin_spec, read_spec
from simulators.trace.stats import stats_of


class TraceToolbox:
    """Makes, checks, counts and converts trace files; meets `clusterwatch.seams.TraceTools`."""

    def builtins(self) -> Mapping[str, str]:
        """Return what each trace that is shipped is for, by its name."""
        return {name: builtin_spec(name).about for name in builtin_names()}

    def opened(self, source: str, seed: int | None, on_bytes: Callable[[int], None]) -> Schedule | Recording:
        """Return the trace that *source* is: a shipped one by its name, a spec (TOML), or a trace file."""
        if not is_file(source):
            return self.generated(source, 1 if seed is None else seed)
        require_no_seed(source, seed)
        return self.read(source, on_bytes)

    def generated(self, source: str, seed: int, *, days: float | None = None, stochastic: bool = False) -> Schedule:
        """Return what *source* gives: the name of a trace that is shipped, or the path of a spec."""
        is_shipped = source in builtin_names()
        if not is_shipped and not Path(source).is_file():
            words = f"is no file, and no trace that is shipped: those are {', '.join(builtin_names())}"
            raise ConfigError(source, [Mistake("source", words)])
        return generate(
            builtin_spec(source) if is_shipped else read_spec(Path(source)), seed, days=days, stochastic=stochastic
        )

    def read(self, path: str, on_bytes: Callable[[int], None]) -> Schedule | Recording:
        """Return what the trace file *path* holds. Raises ConfigError with all mistakes."""
        if is_recording(Path(path)):
            return checked(Path(path), on_bytes)
        kinds = {name: kind.cause for name, kind in fault_kinds().items()}
        return read_file(Path(path), kinds, on_bytes)

    def write(self, trace: Trace, path: str, on_line: Callable[[], None]) -> str:
        """Write *trace* to *path*, compressed where that ends in ".zst"; return the SHA-256 of its lines."""
        return write_lines(self.lines(trace), Path(path), on_line)

    def lines(self, trace: Trace) -> Iterator[str]:
        """Yield the lines of *trace*, without line ends."""
        return recorded_lines(trace) if isinstance(trace, Recording) else lines(cast(Schedule, trace))

    def stats(self, trace: Trace) -> Mapping[str, Any]:
        """Return the figures of *trace*, as `Stats` of a schedule and `Counted` of a recording describe them."""
        return asdict(counted(trace) if isinstance(trace, Recording) else stats_of(cast(Schedule, trace)))

    def recorded(self, known: OnRecord) -> Recording:
        """Return what a daemon has on record as a recording."""
        return recording_of(known)

    def from_acme(self, path: str, into: IntoTrace, *, least_gpus: int, job_type: str) -> Schedule:
        """Return the failed jobs of the Acme job trace *path*."""
        return from_acme(Path(path), _into(into), fault_kinds(), least_gpus=least_gpus, job_type=job_type)

    def from_incidents(self, path: str, into: IntoTrace, columns: TraceColumns, words: Sequence[str]) -> Schedule:
        """Return the rows of the table *path*; *words* are "WORD=CAUSE", or "WORD=" for rows to pass over."""
        named = Columns(
            columns.at, columns.cause, columns.node, columns.repair_hours, _causes(words), columns.time_form
        )
        return from_incidents(Path(path), named, _into(into), fault_kinds())


def _into(asked: IntoTrace) -> Into:
    return Into(asked.name, asked.nodes_total, asked.seed)


def _causes(words: Sequence[str]) -> dict[str, Cause | None]:
    """Return the cause of each word.

    Raises:
        ConfigError: Some of *words* are of another form, or name no cause.
    """
    known = {cause.value: cause for cause in Cause}
    pairs = [word.rpartition("=") for word in words]
    mistakes = [
        Mistake("--map", f"{name}{equals}{cause}: write WORD=CAUSE, with one of {', '.join(known)}; WORD= for no fault")
        for name, equals, cause in pairs
        if not equals or (cause and cause not in known)
    ]
    if mistakes:
        raise ConfigError("flags", mistakes)
    return {name.strip().lower(): known.get(cause) for name, _, cause in pairs}
