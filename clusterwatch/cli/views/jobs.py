"""Jobs to a list, and one job to everything known of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clusterwatch.cli.output import Column, encode, table_of
from clusterwatch.cli.page import Page, Phrase, Section, Tone, quiet
from clusterwatch.cli.views.cost import ledger_json, ledger_words
from clusterwatch.cli.views.incidents import incident_columns, incident_json
from clusterwatch.cli.views.interruptions import interruption_json, interruption_table
from clusterwatch.cli.wording import age, amount, duration, or_dash, stamp
from clusterwatch.goodput import Ledger
from clusterwatch.model import Attempt, Checkpoint, Job, JobState, Placement, Progress
from clusterwatch.redaction import without_passwords

if TYPE_CHECKING:
    from clusterwatch.store import JobView

_TONE = {JobState.TRAINING: Tone.GOOD, JobState.INTERRUPTED: Tone.BAD, JobState.RECOVERING: Tone.DOUBTFUL}


def job_json(job: Job) -> dict[str, Any]:
    """Return *job* as it stands; passwords in its command are masked."""
    answer: dict[str, Any] = encode(job)
    return {**answer, "command": [without_passwords(word) for word in job.command]}


def job_columns(now: datetime) -> tuple[Column[Job], ...]:
    """Return the columns of a list of jobs."""
    return (
        Column("ID", lambda job: job.id),
        Column("NAME", lambda job: or_dash(job.name)),
        Column("STATE", lambda job: state_phrase(job.state)),
        Column("ATTEMPT", lambda job: str(job.attempt)),
        Column("STEP", lambda job: or_dash(job.last_step)),
        Column("LAST STEP", lambda job: age(job.last_step_at, now)),
        Column("CHECKPOINT", _checkpoint_step),
        Column("SAVED", lambda job: age(job.last_checkpoint_at, now)),
        Column("NODES", lambda job: str(len(job.nodes))),
        Column("GPUS", lambda job: str(job.gpus)),
        Column("STARTED", lambda job: age(job.started_at, now)),
    )


def state_phrase(state: JobState) -> Phrase:
    """Return the name of *state*, good and bad ones marked."""
    return Phrase(state.value, _TONE.get(state, Tone.PLAIN))


def _checkpoint_step(job: Job) -> str:
    return "none" if job.last_checkpoint_step is None else f"step {job.last_checkpoint_step}"


def job_view_json(view: JobView, ledger: Ledger) -> dict[str, Any]:
    """Return everything known of one job."""
    return {
        **job_json(view.job),
        "attempts": encode(view.attempts),
        "placements": [_placement_json(placement) for placement in view.placements],
        "checkpoints": encode(view.checkpoints),
        "interruptions": [interruption_json(interruption) for interruption in view.interruptions],
        "incidents": [incident_json(explained) for explained in view.incidents],
        "progress": encode(view.progress),
        "ledger": ledger_json(ledger),
    }


def _placement_json(placement: Placement) -> dict[str, Any]:
    answer: dict[str, Any] = encode(placement)
    return {**answer, "groups": dict(placement.groups)}


def job_page(view: JobView, ledger: Ledger, now: datetime) -> Page:
    """Return one job: how it stands, its attempts, where it runs, what it saved and what stopped it."""
    running_on = [placement for placement in view.placements if placement.attempt == view.job.attempt]
    return (
        job_head(view.job, now),
        Section("ATTEMPTS", (_or_none(view.attempts, _ATTEMPT),)),
        Section("PLACEMENT OF THE LATEST ATTEMPT", (_or_none(running_on, _PLACEMENT),)),
        Section("CHECKPOINTS", (_or_none(view.checkpoints[-_KEPT:], _checkpoint_columns(now)),)),
        Section("LATEST PROGRESS", (_or_none(view.progress[-_KEPT:], _PROGRESS),)),
        Section(
            "INTERRUPTIONS",
            (interruption_table(view.interruptions) if view.interruptions else quiet("it was never interrupted"),),
        ),
        Section("INCIDENTS", (_or_none(view.incidents, incident_columns(now)),)),
        Section("WHERE THE TIME WENT", ledger_words(ledger)),
    )


_KEPT = 5


def job_head(job: Job, now: datetime) -> Section:
    """Return how a job stands, in a few lines."""
    held = f"{amount(len(job.nodes), 'node')}, {amount(job.gpus, 'GPU')}"
    ended = f", ended {stamp(job.ended_at)}" if job.ended_at else ""
    lines: list[str | Phrase] = [
        f"started {stamp(job.started_at)} ({age(job.started_at, now)}){ended}; {held}",
        f"step {or_dash(job.last_step)} ({age(job.last_step_at, now)}); checkpoint {_checkpoint(job, now)}",
    ]
    if job.command:
        lines.append(f"command {without_passwords(' '.join(job.command))}")
    if job.held:
        lines.append(Phrase(f"held: {job.held}", Tone.DOUBTFUL))
    if job.outcome:
        lines.append(f"outcome: {job.outcome}")
    name = f' "{job.name}"' if job.name and job.name != job.id else ""
    return Section(f"JOB {job.id}{name}  {job.state.value}  attempt {job.attempt}", tuple(lines))


def _checkpoint(job: Job, now: datetime) -> str:
    return f"{_checkpoint_step(job)} ({age(job.last_checkpoint_at, now)})"


def _or_none(records: Sequence[Any], columns: Sequence[Column[Any]]) -> Any:
    return table_of(records, columns) if records else quiet("none")


def _steps(attempt: Attempt) -> str:
    return f"{or_dash(attempt.first_step)}..{or_dash(attempt.last_step)}" if attempt.first_step is not None else "-"


def _resumed(attempt: Attempt) -> str:
    source = f" ({attempt.resumed_checkpoint})" if attempt.resumed_checkpoint else ""
    return f"step {attempt.resumed_step}{source}" if attempt.resumed_step or source else "scratch"


_ATTEMPT: tuple[Column[Attempt], ...] = (
    Column("ATTEMPT", lambda each: str(each.number)),
    Column("STARTED", lambda each: stamp(each.started_at)),
    Column("ENDED", lambda each: stamp(each.ended_at)),
    Column("RESUMED FROM", _resumed),
    Column("STEPS", _steps),
    Column("EXIT CODE", lambda each: or_dash(each.exit_code)),
    Column("DIED OF", lambda each: or_dash(each.fingerprint)),
)

_PLACEMENT: tuple[Column[Placement], ...] = (
    Column("RANK", lambda each: str(each.rank)),
    Column("NODE", lambda each: or_dash(each.node)),
    Column("GPU", lambda each: or_dash(each.gpu)),
    Column("PID", lambda each: or_dash(each.pid)),
    Column("GROUPS", lambda each: or_dash(", ".join(f"{name} {index}" for name, index in each.groups))),
)

_PROGRESS: tuple[Column[Progress], ...] = (
    Column("AT", lambda each: stamp(each.at)),
    Column("ATTEMPT", lambda each: str(each.attempt)),
    Column("STEP", lambda each: str(each.step)),
    Column("LOSS", lambda each: "-" if each.loss is None else f"{each.loss:.4g}"),
    Column("STEP TIME", lambda each: "-" if each.step_seconds is None else duration(each.step_seconds)),
)


def _checkpoint_columns(now: datetime) -> tuple[Column[Checkpoint], ...]:
    return (
        Column("STEP", lambda each: str(each.step)),
        Column("SAVED", lambda each: age(each.saved_at, now)),
        Column("FORMAT", lambda each: each.format),
        Column("TOOK", lambda each: duration(each.save_seconds) if each.save_seconds else "-"),
        Column("STALL", lambda each: duration(each.stall_seconds) if each.stall_seconds else "-"),
        Column("STATE", _checkpoint_state),
        Column("PATH", lambda each: each.path),
    )


def _checkpoint_state(checkpoint: Checkpoint) -> Phrase:
    if not checkpoint.complete:
        told = checkpoint.problem if checkpoint.problem == "deleted" else f"torn: {or_dash(checkpoint.problem)}"
        return Phrase(told, Tone.DOUBTFUL if checkpoint.problem == "deleted" else Tone.BAD)
    return Phrase("complete, verified" if checkpoint.verified else "complete, not verified", Tone.GOOD)
