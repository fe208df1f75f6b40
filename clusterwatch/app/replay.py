"""The name of a trace to its replay, its truth file and its score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from clusterwatch import detect, plugins
from clusterwatch.app import wiring
from clusterwatch.app.brake_audit import broken_brakes
from clusterwatch.app.diverging import diverged_at
from clusterwatch.app.drawing_power import PowerDrawn, power_drawn
from clusterwatch.app.replay_scoring import (
    Automation,
    Classification,
    Goodput,
    Quantiles,
    Score,
    Strike,
    score,
    strikes_in,
)
from clusterwatch.app.replaying import Replay, Volume
from clusterwatch.clock import SystemClock
from clusterwatch.config import Settings
from clusterwatch.errors import ClusterWatchError, ConfigError, Mistake, SourceError
from clusterwatch.model import Decision, Mode, StepState
from clusterwatch.seams import OpenTrace, TraceFleet
from clusterwatch.store import Store

OPENER = "traces"
"""Name of the plugin that knows traces."""

_ALL = 1_000_000
_NEVER_SECONDS = 100 * 366 * 86_400.0
_NO_HANGS = detect.HangLimits(
    minimum_seconds=_NEVER_SECONDS,
    rank_lost_seconds=_NEVER_SECONDS,
    rank_lost_startup_seconds=_NEVER_SECONDS,
    startup_seconds=_NEVER_SECONDS,
)
_NOT_OVERDUE = detect.OverdueLimits(minimum_seconds=_NEVER_SECONDS)
"""For fleets that tell silence themselves: progress that is kept by the minute would look like it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to replay.

    Attributes:
        trace: A built-in name, or a file.
        policy: Name of a built-in policy or regime, or a policy file.
        database: Where to write; "" for a file that is deleted at the end.
        seed: None for the trace's own.
        truth: Where to write what really happened; of a recording, where that stands. None for nowhere.
        options: What else the trace's fleet takes, by name.
    """

    trace: str
    policy: str = "default"
    mode: Mode = Mode.AUTO
    database: str = ""
    seed: int | None = None
    truth: Path | None = None
    options: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay.

    *done* counts the steps that were carried out by their kind; *broken_brakes* says which brakes were not kept.
    *is_recorded* tells a recording, and *diverged_at* when something was decided that differs from what it holds.
    """

    about: Mapping[str, object]
    mode: Mode
    score: Score
    volume: Volume
    incidents: int
    wall_seconds: float
    database: str
    done: Mapping[str, int] = field(default_factory=dict)
    broken_brakes: tuple[str, ...] = ()
    is_recorded: bool = False
    diverged_at: datetime | None = None

    @property
    def interruptions(self) -> Mapping[str, int]:
        """How often the job was interrupted: total, planned, unexpected, repeats."""
        return self.score.interruptions

    @property
    def classification(self) -> Classification:
        """How often the diagnosis was right."""
        return self.score.classification

    @property
    def automation(self) -> Automation:
        """What was done."""
        return self.score.automation

    @property
    def goodput(self) -> Goodput:
        """Where the time went."""
        return self.score.goodput

    @property
    def latency_seconds(self) -> Mapping[str, Quantiles]:
        """How long it took until the job's stop was noticed, decided on and made good."""
        return self.score.latency_seconds

    @property
    def power(self) -> PowerDrawn | None:
        """What the nodes of the job drew; None where that is not known."""
        return power_drawn(self.about, self.interruptions["total"], self.goodput.lost_gpu_hours_by_reason)

    def as_json(self) -> dict[str, object]:
        """Return the summary of `clusterwatch replay -o json`."""
        told = asdict(self.score)
        del told["judged"]
        told["automation"] |= {"steps": dict(self.done), "broken_brakes": list(self.broken_brakes)}
        about = {name: self.about[name] for name in ("trace", "seed")}
        size = {name: self.about[name] for name in ("days", "nodes", "gpus")}
        if self.is_recorded:
            told["diverged_at"] = self.diverged_at.isoformat() if self.diverged_at else None
        volume = {"readings": self.volume.readings, "events": self.volume.events, "incidents": self.incidents}
        return {
            **about,
            "mode": self.mode.value,
            **size,
            **told,
            "power": asdict(self.power) if self.power else None,
            "volume": volume,
            "wall_seconds": round(self.wall_seconds, 3),
            "database": self.database,
        }


def replay(asked: Asked, settings: Settings, on_progress: Callable[[float], None] = lambda share: None) -> Replayed:
    """Return what the pipeline made of a trace; *on_progress* hears which share of it is done, 0-1.

    Raises:
        ClusterWatchError: There is no such trace or policy, or the database said no.
    """
    with prepared(asked, settings, alone=True) as (run, place):
        return lived(run, asked, place, on_progress)


def lived(run: Replay, asked: Asked, place: str, on_progress: Callable[[float], None]) -> Replayed:
    """Return what came of *run*, which was prepared for what was *asked* with a database at *place*."""
    clock, fleet, read = SystemClock(), run.fleet, run.store.read
    began = clock.monotonic()
    run.run(lambda now: on_progress((now - fleet.start) / (fleet.ends_at - fleet.start)))
    made, strikes = read.decisions(limit=_ALL), _strikes(fleet, asked.truth)
    differs_at = diverged_at(fleet.decisions, made) if fleet.is_recorded else None
    return Replayed(
        about=fleet.about(),
        mode=run.mode,
        score=score(run.store, str(fleet.about()["job"]), strikes, fleet.ends_at, fleet.manual_total, differs_at),
        volume=run.volume,
        incidents=read.stats().rows["incidents"],
        wall_seconds=clock.monotonic() - began,
        database=place if asked.database else "",
        done=_done(each for each in made if differs_at is None or each.made_at < differs_at),
        broken_brakes=broken_brakes(run.store, run.limits.policy),
        is_recorded=fleet.is_recorded,
        diverged_at=differs_at,
    )


def _strikes(fleet: TraceFleet, truth: Path | None) -> list[Strike] | None:
    """Return what really happened; None where nobody knows. Of a simulated fleet it is written to *truth*."""
    if not fleet.is_recorded:
        lines = list(fleet.truth_lines())
        _write_truth(truth, lines)
        return strikes_in(lines, fleet.start)
    return None if truth is None else _read_truth(truth, fleet.start)


def _done(decisions: Iterable[Decision]) -> dict[str, int]:
    steps = (step for decision in decisions for step in decision.steps)
    return dict(sorted(Counter(step.kind.value for step in steps if step.state is StepState.DONE).items()))


@contextmanager
def prepared(asked: Asked, settings: Settings, *, alone: bool = False) -> Iterator[tuple[Replay, str]]:
    """Yield the replay of a trace, not begun yet, and the URL of the database it writes to.

    *alone*: nobody looks on, unless the database is one that was asked for.

    Raises:
        ClusterWatchError: There is no such trace or policy, or the database said no.
    """
    fleet = _fleet(asked)
    brakes = settings.policy if fleet.is_operated else settings.policy.model_copy(update={"use": asked.policy})
    limits = wiring.limits_of(settings.model_copy(update={"policy": brakes}), actuators=[fleet])
    if fleet.tells_silence:
        limits = replace(limits, hang=_NO_HANGS, overdue=_NOT_OVERDUE)
    with _store(asked.database, alone=alone) as (store, place):
        _require_empty(store)
        if not fleet.is_recorded:
            _write_truth(asked.truth, [])
        yield Replay(fleet, store, wiring.catalog_of(settings), limits, _mode(asked, fleet)), place


def _mode(asked: Asked, fleet: TraceFleet) -> Mode:
    """Return how far ClusterWatch may go: where something else acts, or acted when it was recorded, it only watches."""
    return Mode.OBSERVE if fleet.is_operated or fleet.mode is Mode.OBSERVE else asked.mode


def _fleet(asked: Asked) -> TraceFleet:
    found = {plugin.name: plugin.load for plugin in plugins.find(plugins.SIMULATORS)}
    if OPENER not in found:
        raise ClusterWatchError(f"the simulator {OPENER!r} is not installed: reinstall ClusterWatch")
    opener: OpenTrace = found[OPENER]()
    return opener(asked.trace, asked.seed, asked.policy, dict(asked.options))


@contextmanager
def _store(database: str, *, alone: bool) -> Iterator[tuple[Store, str]]:
    """Yield the store to write to and its URL; without a *database* it is deleted afterwards."""
    with TemporaryDirectory(prefix="clusterwatch-replay-") as folder:
        url = database or f"sqlite:///{Path(folder) / 'replay.db'}"
        # What a power failure takes away can be replayed.
        store = Store.open(url, create=True, accept_simulated=True, durable=False, alone=alone and not database)
        try:
            yield store, url
        finally:
            store.close()


def _require_empty(store: Store) -> None:
    """Raise ConfigError where *store* holds records: what happened before would be taken for a part of the replay."""
    if store.read.events(limit=1) or store.read.jobs(limit=1):
        words = (
            "holds records already, and a replay needs a database of its own: name another, or a file that is not there"
        )
        raise ConfigError("flags", [Mistake("--database", words)])


def _write_truth(path: Path | None, lines: list[str]) -> None:
    if path is None:
        return
    try:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error}") from error


def _read_truth(path: Path, start: datetime) -> list[Strike]:
    try:
        return strikes_in(filter(str.strip, path.read_text(encoding="utf-8").splitlines()), start)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        words = f"is no truth file ({error!r}): each line has id, cause, attempt and interrupted, in seconds"
        raise SourceError(f"{path} {words}") from error
