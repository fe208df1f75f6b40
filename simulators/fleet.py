"""Nodes, jobs and faults in closed loop: what strikes whom, and what a restart makes of it.

The rules:

1. A broken part strikes whoever trains on its node, until the node has been out of service for REPAIR_SECONDS.
2. A job that stopped starts again only when told to, on its nodes that are in service and on spares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from clusterwatch.errors import ActionError
from clusterwatch.model import Reading
from simulators.agenda import Agenda
from simulators.job import Phase, SimulatedJob
from simulators.nodes import Nodes
from simulators.reporting import Reporter
from simulators.schedule import Fault, seeded
from simulators.spec import GPUS_PER_NODE, JobSpec
from simulators.striking import Striker, Victim
from simulators.wording import load_wording

REPAIR_SECONDS = 600.0
RELAPSE_SECONDS = 30.0
TERMINATED = -15


class Fleet:
    """The simulated world. *jobs* are by id; *truth* is the cause of every fault that struck, by fault id."""

    def __init__(self, nodes: Sequence[str], specs: Sequence[JobSpec], faults: Iterator[Fault], seed: int) -> None:
        self.node_names = tuple(nodes)
        self.truth: dict[str, str] = {}
        self._agenda, self._reporter, wording = Agenda(), Reporter(), load_wording()
        self._striker = Striker(self._agenda, self._reporter, wording)
        self._nodes = Nodes(list(nodes))
        self._faults = faults
        self.jobs: Mapping[str, SimulatedJob] = {
            spec.id: SimulatedJob(spec, self._agenda, self._reporter, wording, seeded(seed, spec.id)) for spec in specs
        }

    def begin(self, at: datetime) -> None:
        """Start all jobs on their nodes, and let the schedule of faults run."""
        for job in self.jobs.values():
            job.nodes = self._nodes.take(job.spec.nodes_total)
            job.submit(at)
            job.start(at, step=0)
        self._await_next_fault(at)

    def advance(self, now: datetime) -> None:
        """Let everything happen that happens up to *now*."""
        self._agenda.run_until(now)

    def readings(self, now: datetime) -> tuple[Reading, ...]:
        """Return what collectors saw since the last time, in the order of time."""
        return self._reporter.take(now)

    def is_healthy(self, node: str) -> bool:
        """Return whether a check of *node* would pass."""
        return node not in self._nodes.broken

    def withdraw(self, node: str, at: datetime) -> None:
        """Take *node* out of service; it is repaired in time. A job on it keeps it until it restarts."""
        self._nodes.withdraw(node, at)
        self._agenda.after(at, REPAIR_SECONDS, partial(self._repair, node, self._nodes.out_since[node]))

    def release(self, node: str) -> None:
        """Put *node* back into service as it is."""
        self._nodes.bring_back(node, in_use=self._holder(node) is not None)

    def requeue(self, job: SimulatedJob, step: int, now: datetime) -> None:
        """End what is left of *job* and start it again from the checkpoint of *step*.

        Raises:
            ActionError: No node is free.
        """
        nodes = [node for node in job.nodes if node not in self._nodes.out_since]
        nodes += self._nodes.take(job.spec.nodes_total - len(nodes))
        if not nodes:
            raise ActionError(f"no node is free for {job.spec.id}: release one or wait for a repair")
        job.end(now, TERMINATED)
        job.nodes = nodes
        training_seconds = job.start(now, step)
        for node in filter(self._nodes.broken.__contains__, nodes):
            job.while_alive(now, training_seconds + RELAPSE_SECONDS, partial(self._relapse, node))

    def _await_next_fault(self, at: datetime) -> None:
        fault = next(self._faults)
        self._agenda.after(at, fault.after_seconds, partial(self._meet, fault))

    def _meet(self, fault: Fault, at: datetime) -> None:
        self._await_next_fault(at)
        if fault.kind.of_node:
            self._strike_node(fault, self.node_names[int(fault.target * len(self.node_names))], at)
            return
        training = [(job, node) for job in self.jobs.values() if job.phase is Phase.TRAINING for node in job.nodes]
        if training:
            job, node = training[int(fault.target * len(training))]
            self._strike(fault, node, job, at)

    def _strike_node(self, fault: Fault, node: str, at: datetime) -> None:
        if node in self._nodes.out_since:
            return
        if fault.kind.stays:
            self._nodes.broken[node] = fault
        job = self._holder(node)
        if job is not None and job.phase is Phase.STARTING:
            job.while_alive(at, RELAPSE_SECONDS, partial(self._relapse, node))
        self._strike(fault, node, job if job is not None and job.phase is Phase.TRAINING else None, at)

    def _strike(self, fault: Fault, node: str, job: SimulatedJob | None, at: datetime) -> None:
        self.truth[fault.id] = fault.kind.cause.value
        self._striker.strike(fault, Victim(node, fault.seed % GPUS_PER_NODE, job), at)

    def _relapse(self, node: str, at: datetime) -> None:
        fault = self._nodes.broken.get(node)
        if fault is not None:
            first_id = fault.id.partition(".")[0]
            strikes_total = sum(known.partition(".")[0] == first_id for known in self.truth)
            # The same GPU in other words and numbers: the seed chooses all of them.
            again = replace(fault, id=f"{first_id}.{strikes_total + 1}", seed=fault.seed + GPUS_PER_NODE)
            self._strike_node(again, node, at)

    def _repair(self, node: str, out_since: datetime, at: datetime) -> None:
        # A node that was released and withdrawn again is in another repair, which has its own end.
        if self._nodes.out_since.get(node) == out_since:
            self._nodes.broken.pop(node, None)
            self._reporter.rebooted(node, at)
            self.release(node)

    def _holder(self, node: str) -> SimulatedJob | None:
        return next((job for job in self.jobs.values() if node in job.nodes), None)
