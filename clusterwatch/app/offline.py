"""Logs that nobody prepared to diagnoses, without a database: lines, readings, events, incidents, diagnoses.

1. The lines of all files are one input: they pass through the same detection as a collector's, in chunks.
2. All lines of jobs belong to one job, so that what several ranks say comes together.
3. A line without a time happened after the one before it. Where a whole file has none, its lines happened at the time
   of the first line that has one: no order is known between two such files, and none is claimed.
4. Who passes logs asks about one failure: everything joins as far as it may be one fault, whenever it happened.
5. What is held does not grow with the input: alike events fold, and of each meaning and wording only some are kept.
6. Of files only the lines that may say anything are decoded; an excerpt is read line by line, with the same result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from clusterwatch import classify, correlate, detect, pipeline, resources
from clusterwatch.app.inputs import InputBlock, InputLine, Problem, blocks_in
from clusterwatch.app.keeping import Kept
from clusterwatch.app.ordering import NO_TIME, counted, gravest_first, timed
from clusterwatch.app.placing import Places
from clusterwatch.app.skimming import CARRIED_BYTES, Skim
from clusterwatch.detect import Assembly, Catalog, ObserverState
from clusterwatch.model import (
    ComponentKind,
    Diagnosis,
    Event,
    Incident,
    Job,
    JobState,
    Reading,
    Role,
    Severity,
    Suspect,
    Topology,
    Trust,
    kinds,
    node_component,
)
from clusterwatch.reading.lines import decode
from clusterwatch.reading.records import on_one_line
from clusterwatch.reading.sensors import Sensor, sensor_line
from clusterwatch.reading.sources import KERNEL_LOG, RankSeen, node_in_path, rank_in_path, rank_seen, sourced
from clusterwatch.reading.text import printable

OFFLINE_JOB = "in these logs"
"""Id of the job that all job lines belong to; it is read in sentences: "job in these logs"."""

UNKNOWN_NODE = "unknown"
"""Node of a kernel's line where neither the line nor the file names one."""

LINES_PER_CHUNK = 2_000
_MOST_REPEATS = 2_000
_MOST_PARTS = 100
# A suspect with less than half of the blame of the first one is not put out of service.
_BLAMED_FROM = 0.5
_LINE_CHARACTERS = 4096

# Any two lines may belong together: clocks of sources can be hours apart, and many lines have no time at all.
_ANY_TIME = timedelta(days=365 * 150)
_LIMITS = correlate.Limits(before=_ANY_TIME, after=_ANY_TIME, opens_at=Severity.WARNING)

_NEXT_LINE = timedelta(milliseconds=1)
_PCI_ADDRESS = re.compile(r"\b[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}")
_TIME_OF_DAY = re.compile(r" at \d\d:\d\d:\d\d UTC(?=\.)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What logs say.

    Attributes:
        diagnoses: One for each incident, gravest first; what is benign comes last.
        lines: How many were read.
        files: How many were read, at least in part.
        problems: What could not be read and why, one sentence each.
    """

    diagnoses: tuple[Diagnosis, ...]
    lines: int
    files: int
    problems: tuple[str, ...]

    @property
    def nodes_to_exclude(self) -> tuple[str, ...]:
        """Nodes that hold what is to blame, where that is broken hardware, sorted."""
        blamed = (diagnosis.suspects for diagnosis in self.diagnoses if diagnosis.blames_hardware)
        nodes = {
            each.component.node
            for suspects in blamed
            for each in suspects
            if each.score >= _BLAMED_FROM * suspects[0].score
        }
        return tuple(sorted(nodes - {"", UNKNOWN_NODE}))


def offline_catalog(rules_dir: Path | None = None, profile: str = detect.DEFAULT_PROFILE) -> Catalog:
    """Return the detection catalogue for logs: ours and the site's, without the rules that only tell progress.

    Xids are judged as *profile* does.

    Raises:
        CatalogError: With every mistake in the rules.
        SourceError: *rules_dir* cannot be read.
    """
    catalog = detect.compile_catalog(resources.catalog_texts(rules_dir), profile)
    # Most lines of a training log tell progress, and none of them tells why it ended.
    rules = tuple(rule for rule in catalog.rules if rule.kind != kinds.PROGRESS)
    return replace(catalog, rules=rules, matcher=detect.compile_rules(rules))


def diagnose_paths(
    paths: Iterable[str],
    catalog: Catalog,
    now: datetime,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> Answer:
    """Return what the logs under *paths* (files, folders, "-" for standard input) say happened.

    *on_bytes* is told how many bytes of the files were read since it was told last.
    """
    problems: list[str] = []
    examination = Examination(catalog, now)
    for found in blocks_in(paths, on_bytes):
        if isinstance(found, InputBlock):
            examination.take_block(found)
        elif isinstance(found, Problem):
            problems.append(found.words)
        else:
            examination.end_of(found.path)
    return Answer(examination.diagnoses(), examination.lines, len(examination.files), tuple(problems))


def diagnose_text(text: str, catalog: Catalog, now: datetime, name: str = "log") -> tuple[Diagnosis, ...]:
    """Return what one excerpt says happened, gravest first."""
    examination = Examination(catalog, now)
    start = 0
    whole = bytearray(text, "utf-8", "replace")
    on_one_line(whole, len(whole))
    for number, raw in enumerate(bytes(whole).split(b"\n"), start=1):
        examination.take(InputLine(name, number, raw, start))
        start += len(raw) + 1
    return examination.diagnoses()


@dataclass(slots=True)
class _File:
    """What is remembered of the file being read; *at* is of the line with that number that began at *start*."""

    path: str
    rank: int | None
    node: str
    at: datetime | None = None
    number: int = 0
    start: int = 0
    kernel_node: str = ""
    open_texts: dict[int | None, Assembly] = field(default_factory=dict)
    last_of_text: dict[int | None, Reading] = field(default_factory=dict)
    sensor: Sensor = field(default_factory=Sensor)


@dataclass(slots=True)
class Examination:
    """Lines taken one by one, and what they come to.

    Attributes:
        lines: How many were taken.
        files: Paths of the files that were read.
        selector: What selects the lines of blocks; made when the first one comes if none is given.
    """

    catalog: Catalog
    now: datetime
    lines: int = 0
    files: set[str] = field(default_factory=set)
    selector: detect.Selector | None = None
    _file: _File = field(default_factory=lambda: _File("", None, ""))
    _readings: list[Reading] = field(default_factory=list)
    _state: ObserverState = field(default_factory=ObserverState)
    _kept: Kept = field(default_factory=Kept)
    _nodes: set[str] = field(default_factory=set)
    _places: Places = field(default_factory=Places)
    _skim: Skim | None = None

    def take(self, line: InputLine) -> bool:
        """Take the next line; return whether the text it belongs to goes on behind it."""
        self._turn_to(line.path)
        self.lines += 1
        readings = list(self._readings_in(line))
        self._readings.extend(readings)
        if len(self._readings) >= LINES_PER_CHUNK:
            self._observe()
        # Every part is followed, whatever the ones before it opened.
        return bool([reading for reading in readings if self._goes_on(reading)])

    def take_block(self, found: InputBlock) -> None:
        """Take what may say anything of the next lines of a file."""
        self._turn_to(found.path)
        on_one_line(found.block.buffer, found.block.end)
        if self._skim is None:
            selector = self.selector or detect.Selector(self.catalog.rules)
            self._skim = Skim(selector, self.take, self._take_placement, self._time_in, self._hardware_in)
        lines, skimmed = self.lines, self._skim.lines
        self._skim.read(found.path, found.block)
        self.lines = lines + self._skim.lines - skimmed

    def _turn_to(self, path: str) -> None:
        if path != self._file.path:
            self._tell_cut_off()
            self.end_of(path)
            self._file = _File(path, rank_in_path(path), node_in_path(path))

    def end_of(self, path: str) -> None:
        """Note that the file at *path* was read."""
        self.files.add(path)

    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """Return one diagnosis for each incident in the lines taken, gravest first; no line is taken after that."""
        self._tell_cut_off()
        self._observe()
        self._close_windows()
        also = self._skim.passed_over() if self._skim else {}
        events, untimed = timed([self._with_node(counted(event, also)) for event in self._kept.events()])
        job = _job_on(self._nodes, self.now)
        grouped = correlate.add_events({}, events, self.catalog.knowledge, {job.id: job}, Topology(), _LIMITS, self.now)
        explained = [(incident, self._diagnosis(incident, untimed)) for incident in grouped.incidents.values()]
        return tuple(diagnosis for _, diagnosis in sorted(explained, key=gravest_first))

    def _readings_in(self, line: InputLine) -> Iterator[Reading]:
        found = sourced(printable(decode(line.raw), _LINE_CHARACTERS), self.now)
        at = self._time_of(line, found.at)
        node = self._node_of(found.source, found.node)
        is_kernel = found.source == KERNEL_LOG
        self._nodes.add(node)
        self._note_rank(found.text)
        for part, each in enumerate(found.text.split("\n", _MOST_PARTS)[:_MOST_PARTS]):
            self._file.sensor, text = sensor_line(self._file.sensor, each)
            yield Reading(
                source=found.source,
                node=node,
                position=f"{line.path}:{line.number}.{part}",
                observed_at=self.now,
                happened_at=at,
                trust=found.trust,
                text=text.replace("\r", ""),
                fields={"origin": f"{line.path}:{line.number}"},
                job=None if is_kernel else OFFLINE_JOB,
                rank=None if is_kernel else self._rank_of(found.rank),
            )

    def _rank_of(self, labelled: int | None) -> int | None:
        return labelled if labelled is not None else self._file.rank

    def _time_of(self, line: InputLine, at: datetime | None) -> datetime:
        file = self._file
        if at is not None:
            file.at, file.number, file.start = at, line.number, line.start
        elif file.at is None or line.start - file.start > CARRIED_BYTES:
            return NO_TIME + line.number * _NEXT_LINE
        return file.at + (line.number - file.number) * _NEXT_LINE

    def _time_in(self, raw: bytes) -> datetime | None:
        return sourced(printable(decode(raw), _LINE_CHARACTERS), self.now).at

    def _hardware_in(self, raw: bytes) -> str:
        found = sourced(printable(decode(raw), _LINE_CHARACTERS), self.now)
        if found.source != KERNEL_LOG or found.trust is not Trust.NODE:
            return ""
        device = _PCI_ADDRESS.search(found.text)
        return f"{found.node or self._file.node} {device[0] if device else ''}"

    def _take_placement(self, raw: bytes) -> None:
        # What carried the line does not matter: the line itself names the node, or else its file does.
        seen = self._note_rank(printable(decode(raw), _LINE_CHARACTERS))
        if seen is not None:
            self._nodes.add(seen.node or self._file.node or UNKNOWN_NODE)

    def _goes_on(self, reading: Reading) -> bool:
        rank, text = detect.body(reading.text)
        rank = reading.rank if reading.rank is not None else rank
        texts = self._file.open_texts
        assembly = detect.assemble(texts.pop(rank, None), text, rank).open
        if assembly is not None:
            texts[rank] = assembly
            self._file.last_of_text[rank] = reading
        return bool(texts)

    def _tell_cut_off(self) -> None:
        """Tell of each text that is still open where its file ends."""
        told = (detect.cut_off(self._file.last_of_text[rank], text) for rank, text in self._file.open_texts.items())
        self._keep(detect.event_of(sighting, self.catalog.knowledge) for sighting in told if sighting)
        self._file.open_texts.clear()

    def _node_of(self, source: str, named: str) -> str:
        """Return the node of a line. What the kernel of one node says fills a file; a job's log may hold many nodes."""
        if source == KERNEL_LOG and named:
            self._file.kernel_node = named
        remembered = self._file.kernel_node if source == KERNEL_LOG else ""
        return named or remembered or self._file.node or UNKNOWN_NODE

    def _note_rank(self, text: str) -> RankSeen | None:
        seen = rank_seen(text)
        if seen is not None:
            self._places.note(seen, self._file.node)
        return seen

    def _observe(self) -> None:
        self._state, events, _ = pipeline.observe(self._state, self._readings, self.catalog, self.now)
        self._readings = []
        self._keep(events)
        if len(self._state.repeats) + len(self._state.windows) > _MOST_REPEATS:
            self._close_windows()

    def _close_windows(self) -> None:
        """Take what is still being folded, and forget what was seen of each component."""
        later = self.now + timedelta(days=1)
        self._state, events, _ = pipeline.observe(self._state, (), self.catalog, later)
        self._state = replace(self._state, repeats={})
        self._keep(events)

    def _keep(self, events: Iterable[Event]) -> None:
        for event in events:
            signal = self.catalog.knowledge[event.kind]
            if signal.role is not Role.CONTEXT:
                self._kept.add(event, signal.kind)

    def _with_node(self, event: Event) -> Event:
        """Return *event* with the node of its rank where only another line named it."""
        component = event.component
        if component.kind is not ComponentKind.RANK or component.node != UNKNOWN_NODE:
            return event
        return replace(event, component=replace(component, node=self._places.node_of(component.id)))

    def _diagnosis(self, incident: Incident, untimed: frozenset[str]) -> Diagnosis:
        # What an excerpt does not show may stand in what was cut off: nothing counts as absent.
        known = classify.Circumstances(placements=tuple(self._places.placements(OFFLINE_JOB)))
        made = _without_nameless_node(classify.diagnose(incident, self.catalog.knowledge, known, 1, self.now))
        if not any(sample.event_id in untimed for each in incident.evidence for sample in each.samples):
            return made
        return replace(made, explanation=_TIME_OF_DAY.sub("", made.explanation))


def _without_nameless_node(made: Diagnosis) -> Diagnosis:
    """Return *made* without the name that stands for a node no line names: it leads nobody anywhere."""
    named = (each for each in made.suspects if each.component != node_component(UNKNOWN_NODE))
    words = made.explanation.replace(f" on {UNKNOWN_NODE}", "").replace(f"node {UNKNOWN_NODE}", "a node no line names")
    return replace(made, suspects=tuple(map(_nameless, named)), explanation=words)


def _nameless(suspect: Suspect) -> Suspect:
    is_known = suspect.component.node != UNKNOWN_NODE
    return suspect if is_known else replace(suspect, component=replace(suspect.component, node=""))


def _job_on(nodes: Iterable[str], now: datetime) -> Job:
    return Job(OFFLINE_JOB, OFFLINE_JOB, JobState.TRAINING, started_at=now, updated_at=now, nodes=tuple(sorted(nodes)))
