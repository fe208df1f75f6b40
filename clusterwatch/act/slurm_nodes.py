"""What is done to a node of Slurm, and how Slurm is asked whether it was done.

1. A drain carries the id of its step in its reason: that is what is asked.
2. A node that somebody else drained, or that is down, keeps their reason, and is never resumed here.

Source:
    https://slurm.schedmd.com/scontrol.html (update NodeName, reboot)
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from clusterwatch.act.slurm_commands import SilentError, SlurmCommands, run
from clusterwatch.act.slurm_names import holds_id, is_ours, node_name, node_of, reason
from clusterwatch.errors import ActionError
from clusterwatch.model import Finding, Scalar, Step, StepState, WorldState, findings_printed, in_words, node_component
from clusterwatch.model.kinds import NO_ANSWER
from clusterwatch.reading.slurm import SlurmNode
from clusterwatch.reading.text import printable

Result = tuple[StepState, str]
Found = tuple[StepState, str, Mapping[str, Scalar]]
"""A result with its facts.

"failed" are the names of the nodes that did not pass, with commas between them; "found" is what their checks said that
they found, see `clusterwatch.model.finding`.
"""

Checked = tuple[StepState, str, tuple[Finding, ...]]
"""A result with what the check found."""

AT_ONCE = 64
"""How many nodes are checked at the same time."""

_REBOOTING = frozenset({"REBOOT_REQUESTED", "REBOOT_ISSUED", "REBOOT"})


@dataclass(slots=True)
class NodeSteps:
    """Steps on nodes.

    *after_reboot* is the state Slurm gives a node that it rebooted, RESUME or DOWN. *check* and *reset* are commands
    with "{node}" for the name; () where the site has none.
    """

    slurm: SlurmCommands
    after_reboot: str = "RESUME"
    check_command: tuple[str, ...] = ()
    reset_command: tuple[str, ...] = ()
    check_within_seconds: float = 300.0

    def drain(self, step: Step) -> Result:
        """Let no new job start on the node."""
        name, why = node_of(step), reason(step)
        node = self.slurm.node(name)
        if node.is_drained or node.is_down:
            return StepState.DONE, f"{name} was out of use before: {_described(node)}"
        self.slurm.tell("update", f"NodeName={name}", "State=DRAIN", f"Reason={why}")
        node = self.slurm.node(name)
        if not node.is_drained:
            raise ActionError(f"Slurm took the drain of {name} and has it {node.state}: see slurmctld's log")
        return StepState.DONE, f"{name} is drained: {node.reason}"

    def resume(self, step: Step) -> Result:
        """Give a node back that ClusterWatch drained."""
        name = node_of(step)
        node = self.slurm.node(name)
        if not node.is_drained and not node.is_down:
            return StepState.DONE, f"{name} is in use"
        if not is_ours(node.reason):
            return StepState.REFUSED, f"ClusterWatch did not drain {name}: {_described(node)}"
        self.slurm.tell("update", f"NodeName={name}", "State=RESUME")
        return StepState.DONE, f"{name} is given back"

    def reboot(self, step: Step) -> Result:
        """Reboot the node as soon as nothing runs there; no new job starts before."""
        name, why = node_of(step), reason(step)
        node = self.slurm.node(name)
        if node.flags & _REBOOTING:
            return StepState.DONE, f"{name} is being rebooted: {_described(node)}"
        if (node.is_drained or node.is_down) and not is_ours(node.reason):
            return StepState.REFUSED, f"somebody else has {name}: {_described(node)}"
        self.slurm.tell("reboot", "ASAP", f"nextstate={self.after_reboot}", f"reason={why}", name)
        return StepState.DONE, f"{name} is rebooted once nothing runs there"

    def check(self, step: Step) -> Found:
        """Say whether the node passes the site's check, and what that found."""
        state, detail, findings = self._ran_on(node_of(step), self.check_command, "check_command")
        return state, detail, {"found": in_words(findings)} if findings else {}

    def survey(self, step: Step) -> Found:
        """Check all nodes that *step* names, many at a time; a node that fails is named."""
        names = [node_name(name) for name in str(step.arguments.get("nodes") or "").split(",") if name]
        if not names:
            return StepState.DONE, "there is no node to check", {}
        with ThreadPoolExecutor(max_workers=min(len(names), AT_ONCE)) as at_once:
            results = list(at_once.map(self._checked, names))
        failed = {name: each for name, each in zip(names, results, strict=True) if each[0] is not StepState.DONE}
        if not failed:
            return StepState.DONE, f"{len(names)} nodes passed their check", {}
        (first, (_, why, _)), *others = failed.items()
        more = f" and {len(others)} more" if others else ""
        found = in_words(each for _, _, findings in failed.values() for each in findings)
        facts = {"failed": ",".join(failed), **({"found": found} if found else {})}
        return StepState.FAILED, f"{first}{more} failed the check: {why}", facts

    def reset(self, step: Step) -> Result:
        """Have the site's command reset the node's GPUs."""
        return self._ran(self.reset_command, "reset_command", step)

    def state_of_drain(self, step: Step) -> WorldState:
        """Return whether the node is drained with the id of *step*, or needs no drain."""
        node = self.slurm.node(node_of(step))
        return WorldState.DONE if node.is_drained and holds_id(node.reason, step) else WorldState.NOT_DONE

    def state_of_resume(self, step: Step) -> WorldState:
        """Return whether the node is in use."""
        node = self.slurm.node(node_of(step))
        return WorldState.NOT_DONE if node.is_drained or node.is_down else WorldState.DONE

    def state_of_reboot(self, step: Step) -> WorldState:
        """Return whether the node is being rebooted, or was since the step began."""
        node = self.slurm.node(node_of(step))
        if node.flags & _REBOOTING and holds_id(node.reason, step):
            return WorldState.DONE
        if step.changed_at is not None and node.booted_at is not None and node.booted_at > step.changed_at:
            return WorldState.DONE
        return WorldState.NOT_DONE

    def _checked(self, name: str) -> Checked:
        try:
            return self._ran_on(name, self.check_command, "check_command")
        except SilentError as silence:
            # One node that does not answer must not keep the others from being heard.
            return StepState.FAILED, str(silence), (Finding(NO_ANSWER, node_component(name)),)

    def _ran(self, command: tuple[str, ...], setting: str, step: Step) -> Result:
        state, detail, _ = self._ran_on(node_of(step), command, setting)
        return state, detail

    def _ran_on(self, name: str, command: tuple[str, ...], setting: str) -> Checked:
        if not command:
            return StepState.REFUSED, f"[slurm] {setting} names no command", ()
        said = run([word.replace("{node}", name) for word in command], self.check_within_seconds)
        words = printable(said.output.strip().partition("\n")[0] or said.complaint, 300)
        state = StepState.DONE if said.exit_code == 0 else StepState.FAILED
        detail = f"exit code {said.exit_code}: {words}" if said.exit_code else words
        return state, detail, findings_printed(name, said.output) if state is StepState.FAILED else ()


def _described(node: SlurmNode) -> str:
    who = f" ({node.reason_by})" if node.reason_by else ""
    return printable(f"{node.state}, {node.reason or 'no reason given'}{who}", 300)
