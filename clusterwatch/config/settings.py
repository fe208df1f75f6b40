"""The settings: every key, its default, its bounds and what it means."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from clusterwatch.model import Mode, Topology
from clusterwatch.redaction import redacted

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

DATABASE_SCHEMES = ("sqlite", "postgresql", "postgresql+psycopg")
"""What a database URL may begin with."""


def default_state_dir() -> Path:
    """Return where state lives: /var/lib/clusterwatch for root, else a folder in the user's home."""
    return Path("/var/lib/clusterwatch") if os.geteuid() == 0 else Path.home() / ".local/state/clusterwatch"


def _database_in(validated: dict[str, Any]) -> str:
    # A wrong state_dir is reported on its own; the database then must not add a second mistake.
    return f"sqlite:///{validated.get('state_dir', default_state_dir())}/clusterwatch.db"


def _expanded(path: Path) -> Path:
    return path.expanduser().absolute()


def _folder(path: Path) -> Path:
    if not _expanded(path).is_dir():
        raise ValueError("expected a folder that exists")
    return _expanded(path)


def _database_url(url: str) -> str:
    if urlsplit(url).scheme not in DATABASE_SCHEMES:
        raise ValueError("expected sqlite:///PATH or postgresql://USER@HOST/NAME")
    return url


def _with_own_child(modes: dict[str, Mode]) -> dict[str, Mode]:
    # Naming another actuator's mode must not take away the one that `clusterwatch run` relies on.
    return {"local_process": Mode.AUTO, **modes}


def _shown_as(text: str) -> dict[str, Any]:
    """Return what the reference prints instead of a default that differs from machine to machine."""
    return {"shown_as": text}


class Section(BaseModel):
    """A table of the file. Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ServerSettings(Section):
    """The HTTP server: page, API, health and metrics."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback lets others in without a password: see the warning."""
    port: int = Field(default=8642, ge=0, le=65535)
    """TCP port; 0 for any free one."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class LogSettings(Section):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
    format: Literal["auto", "console", "json"] = "auto"
    """"auto": console on a terminal, JSON lines otherwise."""


class CollectorSettings(BaseModel):
    """One collector, by its entry point's name. Further keys go to the collector as they are."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    enabled: bool = True
    """Whether it looks at all."""
    every_seconds: Positive | None = Field(default=None, json_schema_extra=_shown_as("the collector's own"))
    """Seconds between two looks."""
    deadline_seconds: Positive | None = Field(default=None, json_schema_extra=_shown_as("the collector's own"))
    """Seconds after which a look counts as failed."""

    @property
    def options(self) -> dict[str, object]:
        """The further keys: what the collector is given as its settings."""
        return dict(self.model_extra or {})


class PolicySettings(Section):
    """What decides, how far automation may go, and its brakes."""

    use: str = Field(default="default", min_length=1)
    """Built-in policy (`default`, `observe`, `cautious`, `requeue`), or the path of a file."""
    max_event_age_seconds: Positive = 600
    """Evidence older than this never causes an action, only an incident."""
    restarts_without_progress: int = Field(default=2, ge=0)
    """Restarts of one job that made no new step before a person is asked."""
    attempts_without_progress: int = Field(default=5, ge=1)
    """How many attempts of a job may end in a row without a new step, however each of them ended."""
    restarts_per_hour: int = Field(default=12, ge=0)
    """Restarts of one job within an hour; beyond it the job is stopped."""
    restarts_per_day: int = Field(default=60, ge=0)
    """Restarts of one job within a day; beyond it the job is stopped."""
    cluster_restarts_per_hour: int = Field(default=100, ge=0)
    """Restarts of all jobs within an hour; beyond it the breaker opens and every decision waits for a person."""
    failed_steps_per_hour: int = Field(default=10, ge=0)
    """Steps that failed, or nobody knows of, within an hour; beyond it the breaker opens."""
    drains_per_hour: int = Field(default=6, ge=0)
    """Nodes drained within an hour."""
    drains_per_day: int = Field(default=24, ge=0)
    """Nodes drained within a day."""
    drains_per_job_per_day: int = Field(default=16, ge=0)
    """Nodes drained within a day because of one job."""
    drained_at_most: int = Field(default=64, ge=0)
    """Nodes that ClusterWatch may have out of service at one time."""
    drained_share: float = Field(default=0.05, ge=0, le=1)
    """The same as a share of all nodes known; both hold, and one node is always allowed."""
    cool_down_seconds: NotNegative = 10
    """Least time from the begin of an attempt to the next, once attempts make no progress; it doubles with each."""
    plan_retries: int = Field(default=2, ge=0)
    """How often a plan that failed is made again before a person is asked."""
    retry_after_seconds: NotNegative = 15
    """Pause before a failed plan is made again; it doubles with each."""
    readmit_after_seconds: NotNegative = 86400
    """A node that was left out of a job and cannot be checked may be used by it again so long after."""
    standby_node_seconds: NotNegative = 60
    """How long a restart takes longer with another node that stands by."""
    cold_node_seconds: NotNegative = 600
    """The same where none stands by."""
    survey_seconds: Positive = 300
    """How long a check of all nodes of a job takes."""
    survey_finds: float = Field(default=0.7, gt=0, le=1)
    """How likely it finds a part that is broken."""
    approve_within_seconds: Positive = 3600
    """How long a decision waits for a person's approval before its evidence is stale."""
    modes: Annotated[dict[str, Mode], AfterValidator(_with_own_child)] = Field(
        default_factory=lambda: {"local_process": Mode.AUTO}
    )
    """Mode of each actuator: observe, suggest, approve or auto. One that is not named keeps its own."""


class DetectSettings(Section):
    """How what is detected is judged."""

    profile: str = Field(default="clusterwatch", min_length=1)
    """Whose verdict on Xids counts: `clusterwatch`, or a project such as `nvidia`, `nvsentinel`, `gpud`, `eks`."""


class HangSettings(Section):
    """When a job that prints nothing new counts as hanging."""

    factor: float = Field(default=6.0, gt=1)
    """How many times the job's own normal step time must pass without a step."""
    minimum_seconds: Positive = 30
    """Never call it a hang before this."""
    startup_seconds: Positive = 900
    """Patience until the first step of an attempt."""


class CheckpointSettings(Section):
    """When a job that trains is warned of because it has saved nothing whole."""

    overdue_intervals: float = Field(default=3.0, gt=1)
    """How many times the job's own normal time between two complete checkpoints may pass."""
    overdue_minimum_seconds: Positive = 60
    """Never call one overdue before this."""


class SettleSettings(Section):
    """How long a diagnosis waits for late evidence before anything is done."""

    minimum_seconds: NotNegative = 2
    """Always wait this long."""
    explicit_seconds: Positive = 20
    """Longest wait after a signal that names a fault."""
    symptom_seconds: Positive = 60
    """Longest wait when there are symptoms alone."""
    hang_seconds: NotNegative = 70
    """Longest wait, from the last step on, while a job hangs and nothing tells why: so long drivers take to give up."""
    margin: float = Field(default=0.3, ge=0, le=1)
    """Lead of the likeliest cause over the next that ends the wait early."""


class ResponderSettings(Section):
    """The loop that diagnoses and decides; one process of a fleet at a time."""

    lease_seconds: float = Field(default=6, ge=2)
    """How long a responder that died keeps others out."""
    tick_seconds: Positive = 0.5
    """Longest pause between two looks at new events."""


class RetentionSettings(Section):
    """How long records are kept."""

    events_days: Positive = 30
    """Days after which events are deleted; incidents keep the lines that tell of them."""


class ScanSettings(Section):
    """One look at everything on a node: `clusterwatch scan`, and the check that policies run."""

    deadline_seconds: Positive = 60
    """Seconds for all checks together; what has not answered by then has failed."""
    kernel_log_seconds: NotNegative = 600
    """How far back the kernel log is read."""
    compute: Literal["gpu", "cpu", "off"] = "gpu"
    """Where sums with a known answer are computed; they take a few seconds and 0.5 GB of each GPU."""
    rounds: int = Field(default=3, ge=2, le=1000)
    """How often each sum is computed."""
    python: str = ""
    """Python interpreter that has torch; the one that runs ClusterWatch otherwise."""
    dcgmi: str = "dcgmi"
    """NVIDIA's dcgmi, whose quick diagnostics are run where it is installed; empty to leave them out."""
    skip: tuple[str, ...] = ()
    """Names of checks to leave out."""


class JobSettings(Section):
    """A job that runs on this node without `clusterwatch run`."""

    id: str = Field(min_length=1)
    """Name under which it is known."""
    log_paths: tuple[str, ...] = ()
    """Its log files; glob patterns are allowed."""
    checkpoint_dir: str = ""
    """Where it saves checkpoints."""


class SlurmActuatorSettings(Section):
    """Acting through Slurm. What is read from it is set under `[collectors.slurm]`."""

    enabled: bool = False
    """Whether this process may carry out steps through Slurm, as far as `policy.modes` lets it."""
    command_prefix: tuple[str, ...] = ()
    """Put before each of Slurm's commands, such as ["sudo", "-n", "-u", "slurm"]."""
    answer_within_seconds: Positive = 10
    """How long one command may take."""
    settle_seconds: Positive = 20
    """How long is waited for processes of an ended attempt to be gone; then its job is left to Slurm's own wait."""
    read_only: bool = False
    """Refuse every step, whatever the mode; what was begun before can still be asked."""
    after_reboot: Literal["RESUME", "DOWN"] = "RESUME"
    """State of a node that was rebooted: RESUME, or DOWN until somebody gives it back."""
    check_command: tuple[str, ...] = ()
    """The site's own check of a node; "{node}" stands for its name. Exit code 0 is passed."""
    reset_command: tuple[str, ...] = ()
    """The site's own reset of a node's GPUs; "{node}" stands for its name."""
    check_within_seconds: Positive = 300
    """How long one of these two may take."""


class TopologySettings(Section):
    """Which nodes share a switch, a rack or a power domain."""

    neighbourhoods: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Nodes by the name of what they share."""

    def topology(self) -> Topology:
        """Return, for each node, the neighbourhoods it is in."""
        nodes = {node for members in self.neighbourhoods.values() for node in members}
        return Topology(
            {
                node: frozenset(name for name, members in self.neighbourhoods.items() if node in members)
                for node in sorted(nodes)
            }
        )


class Settings(BaseSettings):
    """Everything ClusterWatch can be told. Built by `load`; frozen."""

    model_config = SettingsConfigDict(
        env_prefix="CLUSTERWATCH_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    node: str = Field(default_factory=socket.gethostname, min_length=1, json_schema_extra=_shown_as("the host's name"))
    """Name of this node."""
    state_dir: Annotated[Path, AfterValidator(_expanded)] = Field(
        default_factory=default_state_dir,
        json_schema_extra=_shown_as("/var/lib/clusterwatch for root, else ~/.local/state/clusterwatch"),
    )
    """Folder for the embedded database, positions and the outbox."""
    database: Annotated[str, AfterValidator(_database_url)] = Field(
        default_factory=_database_in, json_schema_extra=_shown_as("sqlite:///STATE_DIR/clusterwatch.db")
    )
    """SQLite file or PostgreSQL database, as a URL."""
    rules_dir: Annotated[Path, AfterValidator(_folder)] | None = None
    """Folder with the site's own detection rules, *.toml."""
    server: ServerSettings = Field(default_factory=ServerSettings)
    logs: LogSettings = Field(default_factory=LogSettings)
    collectors: dict[str, CollectorSettings] = Field(default_factory=dict)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    detect: DetectSettings = Field(default_factory=DetectSettings)
    hang: HangSettings = Field(default_factory=HangSettings)
    checkpoints: CheckpointSettings = Field(default_factory=CheckpointSettings)
    settle: SettleSettings = Field(default_factory=SettleSettings)
    responder: ResponderSettings = Field(default_factory=ResponderSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    scan: ScanSettings = Field(default_factory=ScanSettings)
    slurm: SlurmActuatorSettings = Field(default_factory=SlurmActuatorSettings)
    jobs: tuple[JobSettings, ...] = ()
    topology: TopologySettings = Field(default_factory=TopologySettings)

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return only what is passed in: `load` merges file, environment and flags, and remembers which was which."""
        return (init_settings,)

    def warnings(self) -> tuple[str, ...]:
        """Return what is allowed but deserves a second look, one sentence each."""
        if self.server.is_loopback:
            return ()
        return (
            f"server.host is {self.server.host}: everyone who can reach this address can read and steer ClusterWatch;"
            " keep it on 127.0.0.1 behind a proxy that asks who they are, or close the port in the firewall",
        )

    def public(self) -> dict[str, dict[str, object]]:
        """Return every value by its dotted key as {"value", "origin"}; passwords are masked.

        The origin is "default", "file", "environment" or "flag".
        """
        return {
            key: {"value": redacted(key.rpartition(".")[2], value), "origin": self._origins.get(key, "default")}
            for key, value in flattened(self.model_dump(mode="json")).items()
        }


def flattened(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of *tree* by their dotted keys; empty tables and lists are leaves."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        leaves.update(flattened(value, f"{key}.") if isinstance(value, dict) and value else {key: value})
    return leaves


def table_type(annotation: Any) -> type[BaseModel] | None:
    """Return the table type that *annotation* is or holds (in a list, a table of tables); None if it holds none."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    return next((table for inner in get_args(annotation) if (table := table_type(inner))), None)
