"""A small real job of gloo ranks that prints nothing anybody could read a step from, and reports through the client.

What it prints counts something else. In its first attempt rank 1 raises after step 13.
"""

import datetime
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

from clusterwatch import client

STEPS = 30
CHECKPOINTS = Path(os.environ["CLUSTERWATCH_CHECKPOINT_DIR"])


def main():
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=datetime.timedelta(minutes=10))
    rank, step = dist.get_rank(), int(os.environ["CLUSTERWATCH_RESUME_STEP"])
    client.loaded(step, os.environ["CLUSTERWATCH_RESUME_CHECKPOINT"], seconds=0.5)
    while step < STEPS:
        loss = torch.ones(1)
        dist.all_reduce(loss)
        time.sleep(0.05)
        step += 1
        client.step(step, loss=loss.item() / step, tokens=step * 4096, total=STEPS)
        sys.stdout.write(f"step: {1000 * step + rank} loss: 99.0\n")
        if rank == 1 and step == 13 and os.environ["CLUSTERWATCH_ATTEMPT"] == "1":
            raise KeyError("embedding.weight")
        if step % 5 == 0:
            save(rank, step)
    with client.section("evaluate"):
        dist.barrier()
    sys.stdout.flush()
    os._exit(0)


def save(rank, step):
    folder = CHECKPOINTS / f"own-format-{step}"
    with client.checkpoint(step, folder, manifest=rank == 0):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"part-{rank}.weights").write_bytes(b"x" * 1000)
        dist.barrier()


if __name__ == "__main__":
    main()
