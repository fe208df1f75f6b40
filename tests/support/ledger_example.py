"""One job booked by example, and the table of reasons: what the page of goodput shows."""

from itertools import pairwise

from clusterwatch import track
from clusterwatch.goodput import MEANING, account
from clusterwatch.model import Component, ComponentKind, World, kinds
from clusterwatch.testing import NOON, event, seconds


def reasons_table():
    rows = [f"| `{reason}` | {meaning} |" for reason, meaning in MEANING.items()]
    return "\n".join(["| reason | what it covers |", "|---|---|", *rows, ""])


# Seconds after the job was submitted, what is seen, and how it reads.
SEEN = [
    (120, kinds.ATTEMPT_STARTED, {"attempt": 1}, "processes run"),
    *((180 + 10 * step, kinds.PROGRESS, {"step": step}, f"step {step} ends") for step in (1, 2, 3)),
    (
        214,
        kinds.CHECKPOINT_SAVED,
        {"step": 3, "path": "/ckpt/3", "stall_seconds": 4},
        "checkpoint of step 3, saved in 4 s",
    ),
    *((184 + 10 * step, kinds.PROGRESS, {"step": step}, f"step {step} ends") for step in (4, 5)),
    (241, kinds.ATTEMPT_ENDED, {"attempt": 1, "exit_code": 1}, "the processes ended with an error"),
    (250, kinds.ATTEMPT_STARTED, {"attempt": 2, "resumed_step": 3}, "processes run, from step 3"),
    (260, kinds.CHECKPOINT_LOADING, {"attempt": 2}, "begins to load"),
    (275, kinds.CHECKPOINT_LOADED, {"attempt": 2}, "has loaded"),
    (290, kinds.PROGRESS, {"attempt": 2, "step": 4}, "step 4 ends again"),
    (294, kinds.ATTEMPT_ENDED, {"attempt": 2, "exit_code": 1}, "the processes ended with an error"),
    (300, kinds.ATTEMPT_STARTED, {"attempt": 3, "resumed_step": 3}, "processes run, from step 3"),
    (320, kinds.PROGRESS, {"attempt": 3, "step": 4}, "step 4 ends again"),
    (330, kinds.PROGRESS, {"attempt": 3, "step": 5}, "step 5 ends again"),
    (340, kinds.PROGRESS, {"attempt": 3, "step": 6}, "step 6 ends: new"),
    (350, kinds.PROGRESS, {"attempt": 3, "step": 7}, "step 7 ends"),
    (353, kinds.JOB_ENDED, {"state": "completed"}, "the job ends"),
]


def goodput_example():
    """Return what was seen of a job and where its ledger put the time, a row for each moment."""
    where = Component(ComponentKind.JOB, "job-1", "node001")
    events = [event(kinds.JOB_STARTED, where, NOON, job="job-1", gpus=8)]
    for after, kind, told, _ in SEEN:
        about = {"step_seconds": 10.0, **told} if kind == kinds.PROGRESS else dict(told)
        events.append(
            event(kind, where, NOON + seconds(after), job="job-1", attempt=about.pop("attempt", None), **about)
        )
    changes = track.follow(World(watching_since=NOON), events).changes
    (job,), attempts = changes.jobs, {each.number: each for each in changes.attempts}
    ledger = account(job, [*attempts.values()], changes.interruptions, NOON, changes.checkpoints)
    moments = sorted({0, *(after for after, *_ in SEEN), *((span.from_at - NOON).seconds for span in ledger.spans)})
    words = {0: "submitted", **{after: said for after, _, _, said in SEEN}}
    rows = [
        f"| {begins} s | {words.get(begins, '')} | {spent_on(ledger, begins)} |"
        for begins, _ in pairwise([*moments, None])
    ]
    total = ", ".join(f"{reason} {spent:.0f} s" for reason, spent in ledger.seconds_by_reason().items())
    closing = f"{total}: {ledger.elapsed_seconds:.0f} s in all, ETTR {ledger.ettr:.1%}."
    return "\n".join(["| at | seen | from here on |", "|---|---|---|", *rows, "", closing, ""])


def spent_on(ledger, begins):
    at = NOON + seconds(begins)
    span = next((each for each in ledger.spans if each.from_at <= at < each.to_at), None)
    return "" if span is None else f"`{span.reason}`"
