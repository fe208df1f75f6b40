"""Settings to parts."""

from __future__ import annotations

import getpass
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from clusterwatch import classify, correlate, detect, pipeline, plugins, policy, resources
from clusterwatch.act.slurm import Slurm, SlurmOptions
from clusterwatch.agent import Agent
from clusterwatch.app.lost import LostSupervisors
from clusterwatch.app.service import Loops, Service
from clusterwatch.clock import SystemClock
from clusterwatch.config import CollectorSettings, Settings
from clusterwatch.config.settings import PolicySettings
from clusterwatch.detect import Catalog
from clusterwatch.errors import StoreError
from clusterwatch.metrics import Metrics
from clusterwatch.model import Mode, StepKind
from clusterwatch.seams import Actuator, Clock, Collector, Site, WatchedJob
from clusterwatch.server import Actor, Responder
from clusterwatch.store import Store

log = structlog.get_logger(component="app")


def limits_of(
    settings: Settings, modes: Mapping[str, Mode] | None = None, actuators: Sequence[Actuator] = ()
) -> pipeline.Limits:
    """Return the limits of every stage as *settings* has them.

    *modes* are added to those of the policy; an actuator that says in `kinds` what it can do is asked for nothing else.
    """
    settle, hang, late = settings.settle, settings.hang, settings.checkpoints
    stale_after = timedelta(seconds=settings.policy.max_event_age_seconds)
    return pipeline.Limits(
        correlate=correlate.Limits(stale_after=stale_after),
        settle=classify.SettleLimits(
            minimum=timedelta(seconds=settle.minimum_seconds),
            explicit=timedelta(seconds=settle.explicit_seconds),
            symptoms=timedelta(seconds=settle.symptom_seconds),
            hang=timedelta(seconds=settle.hang_seconds),
            margin=settle.margin,
        ),
        policy=_policy_limits(settings.policy, modes or {}, actuators),
        hang=detect.HangLimits(
            factor=hang.factor, minimum_seconds=hang.minimum_seconds, startup_seconds=hang.startup_seconds
        ),
        overdue=detect.OverdueLimits(intervals=late.overdue_intervals, minimum_seconds=late.overdue_minimum_seconds),
    )


def _policy_limits(brakes: PolicySettings, modes: Mapping[str, Mode], actuators: Sequence[Actuator]) -> policy.Limits:
    return policy.Limits(
        restarts_without_progress=brakes.restarts_without_progress,
        attempts_without_progress=brakes.attempts_without_progress,
        restarts_per_hour=brakes.restarts_per_hour,
        act_within=timedelta(seconds=brakes.max_event_age_seconds),
        policy=policy_of(brakes.use),
        restarts_per_day=brakes.restarts_per_day,
        cluster_restarts_per_hour=brakes.cluster_restarts_per_hour,
        failed_steps_per_hour=brakes.failed_steps_per_hour,
        drains_per_hour=brakes.drains_per_hour,
        drains_per_day=brakes.drains_per_day,
        drains_per_job_per_day=brakes.drains_per_job_per_day,
        drained_at_most=brakes.drained_at_most,
        drained_share=brakes.drained_share,
        cool_down=timedelta(seconds=brakes.cool_down_seconds),
        plan_retries=brakes.plan_retries,
        retry_after=timedelta(seconds=brakes.retry_after_seconds),
        readmit_after=timedelta(seconds=brakes.readmit_after_seconds),
        costs=policy.Costs(
            replace_seconds=brakes.standby_node_seconds,
            cold_seconds=brakes.cold_node_seconds,
            survey_seconds=brakes.survey_seconds,
            survey_finds=brakes.survey_finds,
        ),
        abilities={**policy.Limits().abilities, **abilities_of(actuators)},
        approve_within=timedelta(seconds=brakes.approve_within_seconds),
        modes={**{name: Mode(mode) for name, mode in brakes.modes.items()}, **modes},
    )


def abilities_of(actuators: Sequence[Actuator]) -> dict[str, frozenset[StepKind]]:
    """Return the kinds of steps that each of *actuators* can do, of those that say so."""
    told = {actuator.name: getattr(actuator, "kinds", None) for actuator in actuators}
    return {name: frozenset(kinds) for name, kinds in told.items() if kinds is not None}


def policy_of(name_or_path: str) -> policy.Policy:
    """Return the policy of that name, or of that file.

    Raises:
        SourceError: There is none.
        ConfigError: It has mistakes; the error holds all of them.
    """
    if name_or_path in policy.built_in_texts():
        return policy.built_in(name_or_path)
    return policy.compile_policy(name_or_path, resources.policy_text(name_or_path), policy.built_in_texts())


def catalog_of(settings: Settings) -> Catalog:
    """Return the detection catalogue, ours and the site's, with Xids judged as the settings say."""
    return detect.compile_catalog(resources.catalog_texts(settings.rules_dir), settings.detect.profile)


def store_of(settings: Settings, *, accept_simulated: bool = False) -> Store:
    """Return the database, made or upgraded first where it is the embedded one."""
    embedded = settings.database.startswith("sqlite")
    if embedded:
        _make_folder(settings)
    return Store.open(settings.database, create=embedded, accept_simulated=accept_simulated)


def _make_folder(settings: Settings) -> None:
    folder = Path(settings.database.removeprefix("sqlite:///").partition("?")[0]).parent
    try:
        # Logs and events of users' jobs are nobody else's business.
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        advice = "choose another with --state-dir or --database"
        raise StoreError(f"cannot make the folder {folder} of the database: {error.strerror}; {advice}") from error


def collectors_of(settings: Settings) -> list[Collector]:
    """Return the enabled collectors and that of lost supervisors; what cannot be loaded is logged and left out."""
    disabled = [name for name, options in settings.collectors.items() if not options.enabled]
    found, errors = plugins.collectors(disabled)
    for error in errors:
        log.error("collector not loaded", error=str(error))
    return [*found, LostSupervisors(jobs_folder(settings))]


def actuators_of(settings: Settings) -> list[Actuator]:
    """Return what this process may act through, beside the commands that it supervises itself."""
    options = settings.slurm.model_dump(exclude={"enabled"})
    return [Slurm(SlurmOptions(**options))] if settings.slurm.enabled else []


def jobs_folder(settings: Settings) -> Path:
    """Return where the jobs supervised here keep their output, each in a folder of its own."""
    return settings.state_dir / "jobs"


def site_of(settings: Settings, jobs: Callable[[], tuple[WatchedJob, ...]]) -> Callable[[str], Site]:
    """Return what to tell a collector of a given name, with the *jobs* as they are at that moment."""
    boot_id = resources.boot_id()

    def site(name: str) -> Site:
        options = _options(settings, name)
        return Site(settings.node, boot_id, options.options, jobs(), options.deadline_seconds)

    return site


def service_of(
    settings: Settings,
    store: Store,
    collectors: Sequence[Collector],
    actuators: Sequence[Actuator],
    site: Callable[[str], Site],
    clock: Clock | None = None,
    modes: Mapping[str, Mode] | None = None,
    scope: str = "",
) -> Service:
    """Return a service of these parts, not started yet."""
    clock = clock or SystemClock()
    metrics = Metrics(CollectorRegistry())
    catalog = catalog_of(settings)
    responder = Responder(
        store,
        catalog.knowledge,
        limits_of(settings, modes, actuators),
        clock,
        metrics,
        # In containers every process has the same id, and nodes may share a name.
        holder=f"{settings.node}/{os.getpid()}/{uuid.uuid4().hex[:8]}",
        lease_seconds=settings.responder.lease_seconds,
        topology=settings.topology.topology(),
    )
    return Service(
        store,
        Agent(collectors, site, store, catalog, clock, metrics, scope),
        responder,
        Actor(store, actuators, clock, metrics),
        clock,
        metrics,
        Loops(settings.responder.tick_seconds, timedelta(days=settings.retention.events_days)),
        lambda name: _options(settings, name).every_seconds,
    )


def user_name() -> str:
    """Return who runs this process; the number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _options(settings: Settings, name: str) -> CollectorSettings:
    return settings.collectors.get(name, CollectorSettings())


def named(collectors: Iterable[Collector], names: Iterable[str]) -> list[Collector]:
    """Return those of *collectors* whose names are among *names*."""
    wanted = frozenset(names)
    return [collector for collector in collectors if collector.name in wanted]
