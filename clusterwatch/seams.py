"""The edges of the core, as protocols: what a clock, a collector and an actuator owe the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event as Signal
from typing import Any, Protocol, runtime_checkable

from clusterwatch.model import (
    Collected,
    Decision,
    Event,
    MaintenanceWindow,
    Mode,
    Outcome,
    Scalar,
    Step,
    Topology,
    WorldState,
)
from clusterwatch.model.collectives import Dump


@runtime_checkable
class Clock(Protocol):
    """Time, read and waited for."""

    def now(self) -> datetime:
        """Return the present in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        ...

    def wait(self, signal: Signal, seconds: float) -> bool:
        """Wait for *signal*, at most *seconds*; return whether it came."""
        ...


@dataclass(frozen=True, slots=True)
class WatchedJob:
    """What collectors need to know of a job they follow on this node.

    *pid* is the supervised command's process id, None when it is not ours; *log_paths* may be glob patterns. *node* is
    the one that writes the log: None for this one, "" where several do. *is_down* says that its processes have ended:
    what it wrote is all that it will write.
    """

    id: str
    attempt: int
    pid: int | None = None
    log_paths: tuple[str, ...] = ()
    checkpoint_dir: str = ""
    node: str | None = None
    is_down: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """What a collector is told about where it runs.

    Attributes:
        node: Name under which this node is known.
        boot_id: Of the running kernel.
        settings: The collector's own table of the configuration.
        jobs: Jobs on this node now.
        deadline_seconds: How long one collection may take; None for the collector's own deadline.
    """

    node: str
    boot_id: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    jobs: tuple[WatchedJob, ...] = ()
    deadline_seconds: float | None = None


class Collector(Protocol):
    """One source of readings. Stateless between runs but for open handles: its position is given and returned.

    A source that does not exist here is a stated condition, not an error. What it raises is recorded against
    its name and never stops another collector.

    A collector of which a single look says something about the node's health may declare `scans = True`:
    `clusterwatch scan` then takes it, with the position {}.
    """

    name: str
    every_seconds: float
    deadline_seconds: float

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return what is new since *position* ({} the first time)."""
        ...

    def close(self) -> None:
        """Give back handles and children."""
        ...


@runtime_checkable
class JobSource(Protocol):
    """A collector that knows jobs whose logs and checkpoints the others should read."""

    def watched(self) -> tuple[WatchedJob, ...]:
        """Return them as of its last look."""
        ...


class Actuator(Protocol):
    """What carries out steps. *mode* is its default; configuration may lower or raise it.

    One that cannot do every kind of step may say which it can, as `kinds`; plans then leave the others out. Without
    "ask" among them its jobs cannot wait for a person, and are stopped instead.
    """

    name: str
    mode: Mode

    def perform(self, step: Step, now: datetime) -> Outcome:
        """Carry out *step* once and say what became of it.

        Raises:
            ActionError: The world refused.
        """
        ...

    def state_of(self, step: Step) -> WorldState:
        """Ask the world whether *step*, begun before a crash, was done."""
        ...

    def targets(self) -> frozenset[str] | None:
        """Return the ids this actuator can act on; None for any."""
        ...


@dataclass(frozen=True, slots=True)
class Recalled:
    """What the recorders of a job's ranks held.

    Attributes:
        dumps: Of every rank that answered.
        ended: Ranks whose process is known to have ended.
        detail: In words, what could not be had; "" where all answered.
    """

    dumps: tuple[Dump, ...] = ()
    ended: tuple[int, ...] = ()
    detail: str = ""


@runtime_checkable
class Recorders(Protocol):
    """An actuator whose jobs' ranks can be asked what they wait for: it names "dump" among its `kinds`."""

    def recalled(self, step: Step, now: datetime) -> Recalled:
        """Return what the ranks of the job *step* is about hold, within a few seconds; what nobody gave is left out."""
        ...


class SimulatedFleet(Collector, Actuator, Protocol):
    """Readings without hardware, in closed loop: what a policy does to it changes what comes next."""

    def truth(self) -> Mapping[str, str]:
        """Return what really happened: fault id to cause. Only a scorer may look."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What an estimator is asked.

    Attributes:
        policies: Names; everything is compared with the first. None for every one, and the usual one first.
        settings: Of the fleet and the job, "spares" and the like, as text.
        changes: What if: each is a list of changes of settings of the first policy, such as "spares=+16,interval=600".
        precision: In points of the effective training time ratio: go on until every difference is known that well.
        max_runs: But make no more runs than that of each.
        policies_text, measured_text: TOML instead of what comes with the estimator; "" for its own.
        rules_text: TOML of the rules by which ClusterWatch itself decides; "" for those that come with it.
    """

    policies: tuple[str, ...] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    precision: float = 0.05
    max_runs: int = 10_000
    seed: int = 1
    policies_text: str = ""
    measured_text: str = ""
    rules_text: str = ""


@dataclass(frozen=True, slots=True)
class Estimated:
    """A mean over runs, and the interval in which it lies with a confidence of 95 %."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one policy, or one change, comes to.

    Attributes:
        label: The policy's name, or the change.
        title: In words.
        runs: How many were made, the same for all.
        ettr: Share of elapsed time that was productive, 0-1; planned stops count as lost.
        ettr_unplanned: The same without planned stops.
        quantiles: Of the ratio over the runs: "p05", "p50", "p95".
        points, gpu_hours: More than what it is compared with, run for run; None for that itself.
        idle_gpu_hours: Of the nodes that stand by.
        counts: Means of a run: interruptions, repeats, planned, manual, false_restarts, wrong_nodes, cold_nodes.
    """

    label: str
    policy: str
    title: str
    runs: int
    interval_seconds: float
    ettr: Estimated
    ettr_unplanned: float
    quantiles: Mapping[str, float]
    points: Estimated | None
    gpu_hours: Estimated | None
    idle_gpu_hours: float
    counts: Mapping[str, float]
    lost_gpu_hours_by_reason: Mapping[str, float]
    lost_gpu_hours_by_cause: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an estimator says: the settings it used, an estimate of each policy and change, and what to bear in mind."""

    settings: Mapping[str, Scalar]
    seed: int
    policies: tuple[Estimate, ...]
    changes: tuple[Estimate, ...]
    notes: tuple[str, ...] = ()


class Estimator(Protocol):
    """Says what a policy or a change of the fleet would be worth, without living through it in signals."""

    name: str

    def settings(self) -> Mapping[str, str]:
        """Return every setting with its default, both as a question has them."""
        ...

    def estimate(self, question: Question, on_runs: Callable[[int, float], None]) -> Answer:
        """Return the answer; *on_runs* is told how many runs were made and how many points are still open.

        Raises:
            ConfigError: The question names what does not exist, or a figure is out of range.
        """


class Trace(Protocol):
    """What happens to a simulated cluster, whatever is done about it: the content of a trace file."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def seed(self) -> int:
        """What its random draws came from."""
        ...

    @property
    def days(self) -> float:
        """How long it lasts."""
        ...


@dataclass(frozen=True, slots=True)
class IntoTrace:
    """What somebody's records are made into: name of the trace, nodes of its job (0: as the records say), seed."""

    name: str
    nodes_total: int = 0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class TraceColumns:
    """Which column of a table of incidents holds what; "" where there is no such column.

    Attributes:
        time_form: How the times are written, such as "%d/%m/%Y %H:%M"; "" for ISO 8601 or seconds since 1970.
    """

    at: str
    cause: str
    node: str = ""
    repair_hours: str = ""
    time_form: str = ""


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What a daemon has on record of one job and everything around it, to be written as a recording.

    Attributes:
        name: Of the recording. start, ends_at: Of the time it covers.
        job: Id of the job that a summary will be about; actuator: who acts on it.
        mode: How far automation went: AUTO where steps were carried out.
        nodes_total, gpus_total: Of the job.
        decisions: Oldest first; facts: what steps of them gave, by the id of the step.
        events: Gives the events anew, in the order in which they came; without those that told of the steps.
    """

    name: str
    start: datetime
    ends_at: datetime
    job: str
    actuator: str
    mode: Mode
    nodes_total: int
    gpus_total: int
    topology: Topology
    maintenance: tuple[MaintenanceWindow, ...]
    decisions: tuple[Decision, ...]
    facts: Mapping[str, Mapping[str, Scalar]]
    events: Callable[[], Iterator[Event]]


class TraceTools(Protocol):
    """Makes, checks, counts and converts trace files. All raise ConfigError with every mistake of an input."""

    def builtins(self) -> Mapping[str, str]:
        """Return what each trace that is shipped is for, by its name."""
        ...

    def opened(self, source: str, seed: int | None, on_bytes: Callable[[int], None]) -> Trace:
        """Return the trace that *source* is: a shipped one by its name, a spec (TOML), or a trace file.

        *seed* is for the first two, 1 if None, and a mistake with the third; *on_bytes* is told how many bytes more of
        a file were read.
        """
        ...

    def generated(self, source: str, seed: int, *, days: float | None = None, stochastic: bool = False) -> Trace:
        """Return what *source* gives: the name of a trace that is shipped, or the path of a spec."""
        ...

    def read(self, path: str, on_bytes: Callable[[int], None]) -> Trace:
        """Return what the file *path* holds; *on_bytes* is told how many bytes more were read."""
        ...

    def write(self, trace: Trace, path: str, on_line: Callable[[], None]) -> str:
        """Write *trace* to *path*, telling *on_line* of each line; return the SHA-256 of its lines."""
        ...

    def lines(self, trace: Trace) -> Iterator[str]:
        """Yield the lines of *trace*, without line ends."""
        ...

    def stats(self, trace: Trace) -> Mapping[str, Any]:
        """Return the figures of *trace*."""
        ...

    def recorded(self, known: OnRecord) -> Trace:
        """Return what a daemon has on record as a trace: a recording."""
        ...

    def from_acme(self, path: str, into: IntoTrace, *, least_gpus: int, job_type: str) -> Trace:
        """Return the failed jobs of a job trace of Acme with at least so many GPUs, of any type for ""."""
        ...

    def from_incidents(self, path: str, into: IntoTrace, columns: TraceColumns, words: Sequence[str]) -> Trace:
        """Return the rows of a table of incidents; *words* are "WORD=CAUSE", or "WORD=" for rows to pass over."""


class TraceFleet(SimulatedFleet, Protocol):
    """A fleet that lives through a trace, from *start* to *ends_at*."""

    @property
    def start(self) -> datetime:
        """When the trace begins."""
        ...

    @property
    def ends_at(self) -> datetime:
        """When it is over."""
        ...

    @property
    def is_operated(self) -> bool:
        """Whether something else than ClusterWatch acts, so that it only watches."""
        ...

    @property
    def manual_total(self) -> int:
        """Restarts that were a person's work, in a cluster that ClusterWatch only watches."""
        ...

    @property
    def is_recorded(self) -> bool:
        """Whether it tells what happened once, whatever is done about it now."""
        ...

    @property
    def tells_silence(self) -> bool:
        """Whether that a job stands still is among what it tells, so that the silence itself means nothing."""
        ...

    @property
    def is_followed(self) -> bool:
        """Whether it still answers for what is done: a recording does until something is done that it does not hold."""
        ...

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What was decided when it was recorded, oldest first; () for what was not."""
        ...

    def noticed(self, now: datetime) -> tuple[Event, ...]:
        """Return what was noticed already, of what arrived up to *now*: detection takes no part in it."""
        ...

    def about(self) -> Mapping[str, object]:
        """Return what a summary tells of the trace: trace, seed, days, nodes, gpus, job.

        training_megawatts and waiting_megawatts are what the nodes of the job draw, where that is known.
        """
        ...

    def topology(self) -> Topology:
        """Return who is near whom."""
        ...

    def watched(self) -> Mapping[str, frozenset[str]] | None:
        """Return which collectors work on each node; None where nobody knows."""
        ...

    def maintenance(self) -> tuple[MaintenanceWindow, ...]:
        """Return the work that is announced."""
        ...

    def next_at(self) -> datetime | None:
        """Return when something happens or arrives next; None when nothing more does by itself."""
        ...

    def could_train(self, now: datetime) -> bool:
        """Return whether the job would go on training if nobody touched it. Only a driver or a scorer may look."""
        ...

    def call_person(self, now: datetime) -> None:
        """Let somebody come who finds what is broken and starts the job again."""
        ...

    def truth_lines(self) -> Iterator[str]:
        """Yield what really struck so far, as lines of JSON. Only a scorer may look."""
        ...


class OpenTrace(Protocol):
    """What finds traces: the plugin "traces" among the simulators."""

    def __call__(self, trace: str, seed: int | None, policy: str, options: Mapping[str, float]) -> TraceFleet:
        """Return the fleet that lives through *trace*, a built-in name or a file.

        Args:
            trace: What to live through.
            seed: None for the trace's own.
            policy: When it names a way to operate the cluster without ClusterWatch, that one acts.
            options: Assumptions of the trace to be put in the place of its own, by name.

        Raises:
            ConfigError: There is no such trace, or it is wrong.
        """
        ...
