"""Four ranks of which one does something else; each dumps its flight recorder.

Arguments: the folder for the dumps, and fine, skips, size or absent.
"""

import datetime
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch
import torch._C._distributed_c10d as c10d
import torch.distributed as dist
from torch.distributed.distributed_c10d import _set_pg_timeout

folder, case = Path(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo")
rank = dist.get_rank()
ODD = 2


def reduce(size=4):
    dist.all_reduce(torch.ones(size))


def fine():
    reduce()


def skips():
    if rank == ODD:
        dist.broadcast(torch.ones(4), 0)
    else:
        reduce()


def size():
    reduce(8 if rank == ODD else 4)


def absent():
    if rank == ODD:
        time.sleep(6)  # the fault itself: a rank that is busy elsewhere for longer than the others wait
    else:
        reduce()


for _ in range(3):
    reduce()
# Only now: on a busy machine ranks begin many seconds apart. What the odd rank does must be over for all before it is.
_set_pg_timeout(datetime.timedelta(seconds=5))
with suppress(RuntimeError):
    {"fine": fine, "skips": skips, "size": size, "absent": absent}[case]()
node = f"node{rank // 2:03}"
for place, content in (
    (folder / "pickle" / node / f"nccl_trace_rank_{rank}", c10d._dump_fr_trace()),
    (folder / "json" / node / f"rank_{rank}.json", c10d._dump_fr_trace_json()),
):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
# Another rank may be gone: nobody waits for it at the end.
os._exit(0)
