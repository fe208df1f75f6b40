"""What is known of a simulated job and its nodes before it runs."""

from __future__ import annotations

from dataclasses import dataclass

from clusterwatch.model import Scalar

GPUS_PER_NODE = 8
_SAMPLES_PER_STEP = 512


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a user submitted.

    Attributes:
        nodes_total: Nodes it wants; it makes do with fewer (torchrun's elastic MIN:MAX).
        scheduler_id: The scheduler's number of it, the same for every attempt.
        framework: Whose words it prints, see wording/training.toml.
        step_seconds: Time of one step, give or take a tenth.
        checkpoint: Path of a checkpoint below the directory, with {step}; format as in `Checkpoint.format`.
    """

    id: str
    name: str
    user: str
    nodes_total: int
    scheduler_id: int
    framework: str
    step_seconds: float
    checkpoint: str
    format: str

    @property
    def directory(self) -> str:
        """Where it keeps its checkpoints."""
        return f"/checkpoints/{self.name}"

    @property
    def log(self) -> str:
        """The file its processes print to."""
        return f"{self.name}.log"

    def checkpoint_path(self, step: int) -> str:
        """Return where the checkpoint of *step* is; "" for the very beginning."""
        return f"{self.directory}/{self.checkpoint.format(step=step)}" if step else ""

    def submission(self) -> dict[str, Scalar]:
        """Return the fields of `job.started` but for its nodes."""
        command = ("torchrun", f"--nnodes=1:{self.nodes_total}", f"--nproc-per-node={GPUS_PER_NODE}", "pretrain.py")
        return {
            "name": self.name,
            "command": "\x1f".join(command),
            "user": self.user,
            "gpus": self.nodes_total * GPUS_PER_NODE,
            "checkpoint_dir": self.directory,
            "actuator": "small_fleet",
        }


def measured(step: int, seconds: float, noise: float) -> dict[str, object]:
    """Return what a framework measures of *step*, which took *seconds*; *noise* is 0-1."""
    return {
        "seconds": seconds,
        "milliseconds": seconds * 1000,
        "loss": 1.9 + 9.0 / (1.0 + step / 150) + 0.05 * noise,
        "gradient": 0.4 + noise,
        "samples": step * _SAMPLES_PER_STEP,
        "samples_per_second": _SAMPLES_PER_STEP / seconds,
        "tokens_per_second": int(20_000 / seconds),
        "tflops": 1400 / seconds,
    }


def address_of(node: str) -> str:
    """Return the IP address of *node*, such as "10.20.0.7" for node007."""
    return f"10.20.0.{int(node.removeprefix('node'))}"
