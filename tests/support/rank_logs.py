"""A folder of logs as a large job leaves them: one file for each rank, one rank fails first, all others wait for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

GPUS = 8
BEGAN = datetime(2026, 11, 20, 8, tzinfo=UTC)
FAILED = BEGAN + timedelta(hours=9)
_TEMPLATES = 8


def write_rank_logs(folder: Path, ranks: int, bytes_each: int, culprit: int, rng: Random) -> int:
    """Write *ranks* files of about *bytes_each* below *folder*, in folders of nodes; return how many bytes that were.

    Rank *culprit* meets an uncorrectable memory error of its GPU; ten minutes later the watchdogs of all others time out.
    """
    bodies = [_body(bytes_each, rng) for _ in range(_TEMPLATES)]
    total = 0
    for rank in range(ranks):
        place = folder / node_of(rank)
        place.mkdir(parents=True, exist_ok=True)
        end = _failure(rank) if rank == culprit else _timeout(rank, rng)
        content = _beginning(rank, ranks) + bodies[rank % _TEMPLATES] + end
        (place / f"rank_{rank}.log").write_bytes(content)
        total += len(content)
    return total


def node_of(rank: int) -> str:
    """Return the node that *rank* runs on."""
    return f"node{rank // GPUS:04d}"


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d}"


def _beginning(rank: int, ranks: int) -> bytes:
    gpu, node = rank % GPUS, node_of(rank)
    pid = 40_000 + rank % 999
    lines = [f"{_stamp(BEGAN)} INFO launcher: RANK={rank} LOCAL_RANK={gpu} WORLD_SIZE={ranks} MASTER_ADDR=node0000"]
    for size, number in ((ranks, rank), (GPUS, gpu), (max(ranks // GPUS, 1), rank // GPUS)):
        comm = (
            f"comm 0x{0x55D0_0000_0000 + size * 4096 + rank:x} rank {number} nranks {size} cudaDev {gpu} nvmlDev {gpu}"
        )
        for what in ("Init START", "Init COMPLETE"):
            lines.append(
                f"{node}:{pid}:{pid + 7} [{gpu}] NCCL INFO {comm} busId {gpu + 1}b000 commId 0x9e3779b97f - {what}"
            )
    lines += [
        f"{node}:{pid}:{pid + 7} [{gpu}] NCCL INFO Channel {channel:02d}/0 : {gpu}[{gpu}] -> {(gpu + 1) % GPUS} via P2P/CUMEM"
        for channel in range(16)
    ]
    return ("\n".join(lines) + "\n").encode()


def _body(size: int, rng: Random) -> bytes:
    lines: list[str] = []
    at, step, left = BEGAN, 0, size
    while left > 0:
        at += timedelta(seconds=rng.uniform(1, 4))
        step += 1
        line = (
            f" [{at:%Y-%m-%d %H:%M:%S}] iteration {step:8}/ 1000000 | consumed samples: {step * 2048:12} | elapsed time per"
            f" iteration (ms): {rng.uniform(4000, 4100):.1f} | learning rate: 1.500E-04 | global batch size:  2048 |"
            f" lm loss: {rng.uniform(1.5, 2.5):.6E} | grad norm: {rng.uniform(0.1, 0.9):.3f} | skipped: 0 | nan skipped: 0 |"
            if step % 4 == 0
            else f"{_stamp(at)} INFO data.loader: shard {rng.randrange(10**5)} opened, {rng.randrange(10**9)} samples queued"
        )
        lines.append(line)
        left -= len(line) + 1
    return ("\n".join(lines) + "\n").encode()


def _failure(rank: int) -> bytes:
    at = FAILED
    lines = [
        f"{_stamp(at)} INFO data.loader: shard 7 opened, 12 samples queued",
        f"[rank{rank}]: Traceback (most recent call last):",
        f'[rank{rank}]:   File "/opt/train/pretrain.py", line 211, in <module>',
        f"[rank{rank}]:     main()",
        f'[rank{rank}]:   File "/opt/train/loop.py", line 88, in train_step',
        f"[rank{rank}]:     loss = model(batch)",
        f"[rank{rank}]: torch.AcceleratorError: CUDA error: uncorrectable ECC error encountered",
        f"[rank{rank}]: CUDA kernel errors might be asynchronously reported at some other API call.",
    ]
    return ("\n".join(lines) + "\n").encode()


def _timeout(rank: int, rng: Random) -> bytes:
    at = FAILED + timedelta(seconds=600 + rng.uniform(0, 20))
    glog = f"{at:%m%d %H:%M:%S}.{at.microsecond:06d}"
    thread = f"{0x7F00_0000_0000 + rng.randrange(10**9):x}"
    work = (
        f"WorkNCCL(SeqNum={81723 + rank % 3}, OpType=ALLREDUCE, NumelIn=67108864, NumelOut=67108864, Timeout(ms)=600000)"
        f" ran for {rng.randrange(600_000, 600_900)} milliseconds before timing out."
    )
    lines = [
        f"[rank{rank}]:[E{glog} ProcessGroupNCCL.cpp:616] [Rank {rank}] Watchdog caught collective operation timeout: {work}",
        f"[rank{rank}]:[E{glog} ProcessGroupNCCL.cpp:1785] [PG ID 0 PG GUID 0(default_pg) Rank {rank}] Exception (either an"
        f" error or timeout) detected by watchdog at work: {81723 + rank % 3}, last enqueued NCCL work: 81730",
        f"[rank{rank}]:[E{glog} ProcessGroupNCCL.cpp:630] [Rank {rank}] Some NCCL operations have failed or timed out. Due to"
        " the asynchronous nature of CUDA kernels, subsequent GPU operations might run on corrupted/incomplete data.",
        f"[rank{rank}]: terminate called after throwing an instance of 'c10::DistBackendError'",
        *(
            f"[rank{rank}]: frame #{number}: c10d::ProcessGroupNCCL::watchdogHandler() + 0x{number:x}8 (0x{thread} in"
            " /opt/venv/lib/libtorch_cuda.so)"
            for number in range(8)
        ),
        f"[rank{rank}]: Traceback (most recent call last):",
        f'[rank{rank}]:   File "/opt/train/pretrain.py", line 211, in <module>',
        f"[rank{rank}]:     main()",
        f'[rank{rank}]:   File "/opt/train/loop.py", line 97, in train_step',
        f"[rank{rank}]:     torch.cuda.synchronize()",
        f"[rank{rank}]: torch.distributed.DistBackendError: NCCL communicator was aborted on rank {rank}.",
    ]
    return ("\n".join(lines) + "\n").encode()
