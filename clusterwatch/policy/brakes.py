"""The brakes: what a plan may not do, whatever the policy says.

1. Nothing is drained on a user's word, on a held node, on one where people work, or on one that has just started.
2. Drains keep within the hour's, the day's and the job's budget, and within the number and the share of nodes that may
   be out at one time; no more nodes are drained than spare ones can replace.
3. A job that dies the same way without progress, that makes no progress whatever it dies of, or that used up its
   restarts of the hour or the day, is stopped.
4. Too many restarts in the cluster, or too many steps that failed, open the breaker: from then on every decision waits
   for a person. Reset begins to count anew, and plays nothing back.
5. Attempts that make no progress are restarted after a pause that doubles.
6. What an actuator cannot do is left out of its plans, and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from clusterwatch.model import HARDWARE_CAUSES, Attempt, Decision, Job, StepKind, StepState
from clusterwatch.policy import counting
from clusterwatch.policy.choosing import ROLLED_BACK
from clusterwatch.policy.limits import Limits
from clusterwatch.policy.plans import Plan, asking, stopping
from clusterwatch.policy.situation import Cluster
from clusterwatch.policy.view import DAY, HOUR, View, alike_deaths, fruitless

BRAKE = "brake"
"""What stands for the rule in a decision that a brake made."""

_CALLS = frozenset({StepKind.ASK, StepKind.STOP})
_LEFT_OUT = frozenset({StepKind.EXCLUDE})
_CHANGES = frozenset({StepKind.EXCLUDE, StepKind.SURVEY})
_HARDWARE = frozenset(cause.value for cause in HARDWARE_CAUSES)
_CHECKS = frozenset({StepKind.CHECK, StepKind.SURVEY})
_CARE = frozenset({StepKind.DRAIN, StepKind.RESET, StepKind.REBOOT})
_MOST_DOUBLINGS = 6


def braked(view: View, plan: Plan, job: Job, limits: Limits) -> Plan:
    """Return *plan* as far as the brakes let it go."""
    return able(stopped(view, plan, job, limits) or within_drains(view, plan, job, limits), job, limits)


def stopped(view: View, plan: Plan, job: Job, limits: Limits) -> Plan | None:
    """Return the plan that stops a job which restarts cannot help; None where one may."""
    if not plan.has(StepKind.REQUEUE):
        return None
    row = _row(view)
    alike, fruitless = alike_deaths(_since_changed(view, row)), _unmended(view, row, plan)
    if alike > limits.restarts_without_progress and not changes_something(plan):
        current = view.situation.attempts[-1]
        reason = (
            f"{alike} attempts died the same way ({current.fingerprint}) at step {job.highest_step} without progress"
        )
        return stopping(job, f"Stopped: {reason}. Another restart would do the same.", BRAKE)
    if fruitless >= limits.attempts_without_progress:
        reason = f"{fruitless} attempts in a row ended without a step beyond {job.highest_step}"
        return stopping(job, f"Stopped: {reason}.", BRAKE)
    for within, budget, name in ((HOUR, limits.restarts_per_hour, "an hour"), (DAY, limits.restarts_per_day, "a day")):
        count = _begun_within(view, within)
        if count > budget:
            return stopping(job, f"Stopped: {count} attempts within {name}; a person should look.", BRAKE)
    return None


def _row(view: View) -> tuple[Attempt, ...]:
    """Return the attempts since a person was called last: whom that one started again is tried anew."""
    called = [each.attempt or 0 for each in view.of_job if _has_done(each, _CALLS)]
    last = max(called, default=0)
    return tuple(each for each in view.situation.attempts if each.number > last) or view.situation.attempts[-1:]


def _since_changed(view: View, row: Sequence[Attempt]) -> Sequence[Attempt]:
    """Return the attempts of *row* since one was started with anything changed: before that it was another try."""
    changed = [each.attempt or 0 for each in view.of_job if _has_done(each, _CHANGES)]
    last = max(changed, default=0)
    return tuple(each for each in row if each.number > last)


def _unmended(view: View, row: Sequence[Attempt], plan: Plan) -> int:
    """Count the newest attempts in a row that made no new step, up to as many again that were mended left out.

    Mended is what ended by hardware that the next attempt goes without: another part is another fault.
    """
    total = fruitless(row)
    mended = {each.attempt for each in view.of_job if each.cause in _HARDWARE and _has_done(each, _LEFT_OUT)}
    if view.hardware and plan.has(StepKind.EXCLUDE) and view.current is not None:
        mended.add(view.current.number)
    found = sum(each.number in mended for each in row[len(row) - total :])
    return total - min(found, total // 2)


def _has_done(decision: Decision, kinds: frozenset[StepKind]) -> bool:
    return any(step.kind in kinds and step.state is StepState.DONE for step in decision.steps)


def changes_something(plan: Plan) -> bool:
    """Say whether *plan* is more than the same once more."""
    return (
        plan.has(StepKind.EXCLUDE)
        or plan.has(StepKind.SURVEY)
        or any(dict(arguments).get(ROLLED_BACK) for _, arguments in plan.steps)
    )


def _begun_within(view: View, within: timedelta) -> int:
    """Count the attempts that began so lately; they stand oldest first."""
    count = 0
    for attempt in reversed(view.situation.attempts):
        if view.now - attempt.started_at >= within:
            break
        count += 1
    return count


def within_drains(view: View, plan: Plan, job: Job, limits: Limits) -> Plan:
    """Return *plan* without the drains that must not be, each with why, and without what needs those drains."""
    nodes = plan.nodes_of(StepKind.DRAIN)
    if not nodes:
        return plan
    if not view.node_confirmed:
        return plan.without(_CARE, None, "Nothing is drained: no source of the node itself speaks for it.")
    for node in nodes:
        objection = _objection(view, node)
        if objection:
            plan = plan.without(_CARE, [node], f"{node} is not drained: {objection}.")
    left = plan.nodes_of(StepKind.DRAIN)
    allowed, budget = drains_left(view.situation.cluster, job.id, limits, view.now)
    if view.spares is not None and view.spares < allowed:
        allowed, budget = view.spares, f"{view.spares} spare nodes could replace them"
    if len(left) <= allowed:
        return plan
    return plan.without(_CARE, left[allowed:], f"{', '.join(left[allowed:])} not drained: {budget}.")


def _objection(view: View, node: str) -> str:
    cluster = view.situation.cluster
    hold = cluster.hold_on(f"node:{node}")
    if hold is not None:
        return f"it is held ({hold.reason})"
    if node in cluster.in_maintenance(view.now):
        return "people work on it"
    if view.booted_of_late(node):
        return "it has just started"
    if node in counting.taken_out(cluster, view.now):
        return "it is out of service already"
    return ""


def drains_left(cluster: Cluster, job_id: str, limits: Limits, now: datetime) -> tuple[int, str]:
    """Return how many nodes may be drained now, and which limit says so."""
    out = len(counting.taken_out(cluster, now))
    share = max(1, int(limits.drained_share * len(cluster.nodes)))
    budgets = (
        (
            limits.drains_per_hour - counting.used(cluster, StepKind.DRAIN, now, HOUR),
            "the drains of the hour are used up",
        ),
        (limits.drains_per_day - counting.used(cluster, StepKind.DRAIN, now, DAY), "the drains of the day are used up"),
        (
            limits.drains_per_job_per_day - counting.used(cluster, StepKind.DRAIN, now, DAY, job_id),
            "the drains of this job are used up",
        ),
        (limits.drained_at_most - out, f"{out} nodes are drained, {limits.drained_at_most} may be"),
        (share - out, f"{out} of {len(cluster.nodes)} nodes are drained, {limits.drained_share:.0%} may be"),
    )
    left, name = min(budgets, key=lambda budget: budget[0])
    return max(left, 0), name


def able(plan: Plan, job: Job, limits: Limits) -> Plan:
    """Return *plan* without what the job's actuator cannot do; where it cannot ask, the job is stopped."""
    if plan.has(StepKind.ASK) and not limits.can(job.actuator, StepKind.ASK):
        return replace(stopping(job, plan.reason, plan.rule), mode=plan.mode, notes=plan.notes)
    unable = sorted({kind for kind, _ in plan.steps if job.actuator and not limits.can(job.actuator, kind)})
    if not unable:
        return plan
    return plan.without(frozenset(unable), None, f"{job.actuator} cannot {', '.join(unable)}.")


def due_at(view: View, plan: Plan, limits: Limits) -> datetime:
    """Return when *plan* may be decided on: after a pause, where attempts make no progress or plans failed."""
    current, now = view.current, view.now
    due = now
    if plan.has(StepKind.REQUEUE) and current is not None and view.attempts_without_progress > 1:
        doublings = min(view.attempts_without_progress - 2, _MOST_DOUBLINGS)
        due = max(due, current.started_at + limits.cool_down * 2**doublings)
    if view.failed_plans and view.of_job:
        due = max(due, view.of_job[-1].made_at + limits.retry_after * 2 ** min(view.failed_plans - 1, _MOST_DOUBLINGS))
    return due


def given_up(view: View, job: Job, limits: Limits) -> Plan | None:
    """Return the plan that calls a person, where the world said no too often or cannot tell; else None."""
    made = [each for each in view.of_job if each.attempt == job.attempt and each.steps]
    unknown = [step for each in made for step in each.steps if step.state is StepState.UNKNOWN]
    if unknown:
        return asking(job, f"A person is asked: nobody can tell whether {unknown[0].kind} was done.", BRAKE)
    failed = view.failed_plans
    if not failed:
        return None
    is_late = view.now - made[0].made_at > limits.act_within
    if failed <= limits.plan_retries and not is_late:
        return None
    detail = next((step.detail for step in made[-1].steps if step.state in (StepState.FAILED, StepState.REFUSED)), "")
    return asking(
        job, f"A person is asked: the plan failed {failed} times, at last: {detail or 'no reason given'}.", BRAKE
    )


def breaker_reason(cluster: Cluster, limits: Limits, now: datetime) -> str:
    """Return why the breaker has to open; "" while it need not."""
    since = counting.counted_since(cluster, now, HOUR)
    recent = [step for each, step in counting.steps_of_late(cluster, now, HOUR) if each.made_at >= since]
    restarts = sum(step.kind is StepKind.REQUEUE and step.state is not StepState.CANCELLED for step in recent)
    if restarts > limits.cluster_restarts_per_hour:
        return f"{restarts} restarts within an hour in all jobs together, {limits.cluster_restarts_per_hour} may be"
    # A check that found something has done its work.
    failed = sum(
        step.state is StepState.UNKNOWN or (step.state is StepState.FAILED and step.kind not in _CHECKS)
        for step in recent
    )
    if failed > limits.failed_steps_per_hour:
        return f"{failed} steps failed within an hour, {limits.failed_steps_per_hour} may"
    return ""
