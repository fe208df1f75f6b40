"""Readings to events: the whole of detection on a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush
from itertools import takewhile

from clusterwatch.detect import losses, progress, repeats
from clusterwatch.detect.compiling import Catalog
from clusterwatch.detect.folded import folded
from clusterwatch.detect.lines import body, read_line, stream_of
from clusterwatch.detect.matcher import Located
from clusterwatch.detect.sampled import SAMPLES, compare, sample_key
from clusterwatch.detect.sayings import says_nothing
from clusterwatch.detect.sightings import Sighting, event_of
from clusterwatch.detect.state import ObserverState, Repeats
from clusterwatch.detect.states import sighting_of_state
from clusterwatch.model import LINE, Component, ComponentKind, Event, Reading, Scalar, Severity
from clusterwatch.model.kinds import ATTEMPT_ENDED, JOB_ENDED, LOSS_JUMPED, PROCESS_EXITED, PROGRESS

# Before these are told, the last step is: how far a job had come must not be learned after what ended it.
_ENDINGS = (ATTEMPT_ENDED, JOB_ENDED, PROCESS_EXITED)

# A text that was cut short stays open in its stream; the state must not grow with every such stream.
MOST_OPEN_TEXTS = 512

_NO_LINE: tuple[int | None, str] = (None, "")


def notice(
    state: ObserverState, readings: Sequence[Reading], catalog: Catalog, now: datetime
) -> tuple[ObserverState, list[Event], datetime | None]:
    """Return what to remember, the events in *readings*, and when to call again.

    Lines go through the rules, samples are compared with the previous ones, states pass; tracebacks are
    assembled, repeats and progress folded. However the readings are cut into batches, every occurrence is
    counted in exactly one event.

    Returns:
        The next state; the events in order; and the time at which an open window has to be closed by a call
        without readings (None when none is open). A call with a late enough *now* closes all windows.
    """
    turn = _Turn(state, catalog)
    bodies = [body(reading.text) if reading.subject == LINE else _NO_LINE for reading in readings]
    located = catalog.matcher.located([line for _, line in bodies])
    for reading, body_of_line, found in zip(readings, bodies, located, strict=True):
        turn.close_windows(reading.observed_at)
        turn.take(reading, body_of_line, found)
    turn.close_windows(now)
    turn.forget(now)
    return turn.state(), turn.events, turn.wake_at


class _Turn:
    """One call of `notice`: the state being changed, and the events so far."""

    def __init__(self, state: ObserverState, catalog: Catalog) -> None:
        self._knowledge = catalog.knowledge
        self._sayings = catalog.sayings
        self._samples = state.samples
        self._changed_samples: dict[str, Mapping[str, Scalar]] = {}
        self._assemblies = dict(state.assemblies)
        self._trails = dict(state.trails)
        self._losses = dict(state.losses)
        self._repeats = dict(state.repeats)
        self._windows = dict(state.windows)
        self._closing = [(known.closes_at, key) for key, known in self._windows.items() if known.closes_at is not None]
        heapify(self._closing)
        self.events: list[Event] = []
        self.wake_at: datetime | None = None
        self._find_next_window()

    def state(self) -> ObserverState:
        # There are as many samples as devices in a fleet, and in most calls none.
        samples = {**self._samples, **self._changed_samples} if self._changed_samples else self._samples
        return ObserverState(samples, self._assemblies, self._trails, self._losses, self._repeats, self._windows)

    def take(self, reading: Reading, body_of_line: tuple[int | None, str], located: tuple[Located, ...]) -> None:
        for sighting in self._sightings(reading, body_of_line, located):
            event = event_of(sighting, self._knowledge)
            if event.kind == PROGRESS:
                self._add_progress(event, reading)
            elif "ranks" in reading.fields and reading.subject == LINE:
                self._settle_before_grave(event)
                self.events.append(folded(event, reading))
            else:
                self._add(event)

    def close_windows(self, now: datetime) -> None:
        if self.wake_at is None or now < self.wake_at:
            return
        for job in [job for job, trail in self._trails.items() if trail.closes_at and trail.closes_at <= now]:
            self._settle(job)
        while self._closing and self._closing[0][0] <= now:
            _, key = heappop(self._closing)
            self._repeats[key], event = repeats.close(self._windows.pop(key))
            self.events.append(event)
        self._find_next_window()

    def forget(self, now: datetime) -> None:
        # Those last seen stand last: there is no need to look at all of them each time.
        old = list(takewhile(lambda key: repeats.is_forgotten(self._repeats[key], now), self._repeats))
        for key in old:
            del self._repeats[key]

    def _sightings(
        self, reading: Reading, body_of_line: tuple[int | None, str], located: tuple[Located, ...]
    ) -> Iterable[Sighting]:
        if reading.subject == LINE:
            return self._read_line(reading, body_of_line, located)
        if reading.subject in SAMPLES:
            key = sample_key(reading)
            previous = self._changed_samples.get(key, self._samples.get(key))
            self._changed_samples[key], noticed = compare(previous, reading)
            return noticed
        return [sighting_of_state(reading)]

    def _read_line(
        self, reading: Reading, body_of_line: tuple[int | None, str], located: tuple[Located, ...]
    ) -> Iterable[Sighting]:
        open_text = self._assemblies.pop(stream_of(reading, body_of_line[0]), None) if self._assemblies else None
        if open_text is None and not located and says_nothing(body_of_line[1]):
            return ()
        still_open, noticed = read_line(reading, body_of_line, located, open_text, self._sayings)
        if still_open is not None:
            self._assemblies[stream_of(reading, body_of_line[0])] = still_open
        if len(self._assemblies) > MOST_OPEN_TEXTS:
            del self._assemblies[next(iter(self._assemblies))]
        return noticed

    def _add_progress(self, event: Event, reading: Reading) -> None:
        is_cut = bool(reading.fields.get("is_cut"))
        if is_cut and reading.text.rstrip().endswith(str(event.fields.get("step"))):
            return  # the number itself may have been cut
        key = event.job or event.node
        if event.job is not None:
            self._watch_loss(event, event.job, reading)
        trail = self._trails.get(key)
        if trail is not None and progress.is_new_attempt(trail, event):
            self._settle(key)
            trail = self._trails[key]
        self._trails[key], told = progress.advance(trail, event, _stream(reading), is_cut=is_cut)
        self._tell(told)
        self._wake_by(self._trails[key].closes_at)

    def _watch_loss(self, event: Event, job: str, reading: Reading) -> None:
        loss, step = event.fields.get("loss"), event.fields.get("step")
        if not isinstance(loss, float) or not isinstance(step, int):
            return
        usual = self._losses.get(job)
        self._losses[job], has_jumped = losses.after(usual, loss, step)
        if usual is not None and has_jumped:
            facts: dict[str, Scalar] = {"step": step, "loss": loss, "usual": round(usual.loss, 4)}
            self._tell(
                event_of(Sighting(reading, LOSS_JUMPED, Component(ComponentKind.JOB, job), facts), self._knowledge)
            )

    def _add(self, event: Event) -> None:
        self._settle_before_grave(event)
        if event.kind == JOB_ENDED and event.job is not None:
            self._trails.pop(event.job, None)
            self._losses.pop(event.job, None)
        if not repeats.is_folded(event.kind):
            self.events.append(event)
            return
        shared = repeats.is_shared(event, self._knowledge)
        key = repeats.fold_key(event, shared=shared)
        known = self._windows.get(key) or self._repeats.pop(key, None)
        if known is not None and repeats.is_forgotten(known, event.observed_at):
            known = None
        after, told = repeats.add(known, event, shared=shared)
        self._tell(told)
        self._keep(key, after)

    def _keep(self, key: str, after: Repeats) -> None:
        if after.closes_at is None:
            self._repeats[key] = after
            return
        if key not in self._windows:
            heappush(self._closing, (after.closes_at, key))
            self._wake_by(after.closes_at)
        self._windows[key] = after

    def _settle_before_grave(self, event: Event) -> None:
        if event.severity >= Severity.ERROR or event.kind.startswith(_ENDINGS):
            # A fault of the node may be what ended any job on it.
            for job in [event.job] if event.job is not None else list(self._trails):
                self._settle(job)

    def _settle(self, job: str) -> None:
        trail = self._trails.get(job)
        if trail is not None and progress.is_open(trail):
            self._trails[job], told = progress.settle(trail)
            self._tell(told)

    def _tell(self, event: Event | None) -> None:
        if event is not None:
            self.events.append(event)

    def _wake_by(self, at: datetime | None) -> None:
        self.wake_at = min(filter(None, (self.wake_at, at)), default=None)

    def _find_next_window(self) -> None:
        times = [trail.closes_at for trail in self._trails.values()]
        times += [at for at, _ in self._closing[:1]]
        self.wake_at = min(filter(None, times), default=None)


def _stream(reading: Reading) -> str:
    """Return what the progress of one rank stands in, under a name that rotation does not change."""
    path = reading.fields.get("stream") or str(reading.fields.get("origin") or "").rpartition(":")[0]
    rank = reading.rank if reading.rank is not None else body(reading.text)[0]
    return f"{reading.source}|{path}|{rank}"
