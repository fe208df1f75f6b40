"""A small but real distributed training job: DistributedDataParallel over gloo, sharded checkpoints, resume.

Faults that only the program itself can make are asked for by the environment and happen in the first attempt:
FAULT=raise raises on rank 1; FAULT=torn kills rank 0 after the shards are written and before the checkpoint is whole.
FAULT_ALWAYS=1 makes them happen in every attempt.
"""

import datetime
import os
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

STEPS = int(os.environ.get("STEPS", "40"))
SAVE_EVERY = int(os.environ.get("SAVE_EVERY", "10"))
STEP_SECONDS = float(os.environ.get("STEP_SECONDS", "0.05"))
FAULT_AT = int(os.environ.get("FAULT_AT", "20"))
FAULT = os.environ.get("FAULT", "")
CHECKPOINTS = os.environ["CLUSTERWATCH_CHECKPOINT_DIR"]
IS_FIRST = os.environ["CLUSTERWATCH_ATTEMPT"] == "1" or "FAULT_ALWAYS" in os.environ


class KilledWhileSaving(dcp.FileSystemWriter):
    """Dies between the shards and the metadata that makes them a checkpoint."""

    def finish(self, metadata, results):
        os.kill(os.getpid(), signal.SIGKILL)


def say(text):
    """Print one line in one write, so that ranks do not tear each other's lines."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main():
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=datetime.timedelta(minutes=10))
    rank = dist.get_rank()
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    step = resume(model, optimizer)
    if rank == 0:
        say(f"training from step {step}")
    while step < STEPS:
        inputs = torch.randn(16, 32)
        loss = ((model(inputs) - inputs) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        time.sleep(STEP_SECONDS)
        step += 1
        if rank == 0:
            say(f"step: {step} loss: {loss.item():.4f}")
        if FAULT == "raise" and IS_FIRST and rank == 1 and step == FAULT_AT + 3:
            raise KeyError("embedding.weight")
        if step % SAVE_EVERY == 0:
            save(model, optimizer, step)
    dist.barrier()
    dist.destroy_process_group()
    say(f"rank {rank} done at step {step}")
    sys.stdout.flush()
    # gloo's threads now and then abort a process that is already done.
    os._exit(0)


def resume(model, optimizer):
    path = os.environ["CLUSTERWATCH_RESUME_CHECKPOINT"]
    if not path:
        return 0
    weights, moments = get_state_dict(model, optimizer)
    state = {"model": weights, "optimizer": moments, "step": torch.tensor(0)}
    dcp.load(state, checkpoint_id=path)
    set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
    return int(state["step"])


def save(model, optimizer, step):
    weights, moments = get_state_dict(model, optimizer)
    path = Path(CHECKPOINTS) / f"step_{step}"
    dies = FAULT == "torn" and IS_FIRST and step == FAULT_AT
    writer = KilledWhileSaving(path) if dies else dcp.FileSystemWriter(path)
    dcp.save({"model": weights, "optimizer": moments, "step": torch.tensor(step)}, storage_writer=writer)


if __name__ == "__main__":
    main()
