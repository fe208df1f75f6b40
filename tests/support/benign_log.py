"""What healthy machines and jobs write all day, in wording of its own: no line of it tells of a failure.

Forms follow what the programs' public sources and manuals show: NCCL's INFO lines (NCCL_DEBUG=INFO), training loops of
Megatron-LM, DeepSpeed, NeMo, Lightning, TorchTitan, Hugging Face and nanoGPT, a kernel that boots, kubelet and Slurm at
work, containers, libraries and monitoring agents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random


def benign_lines(rng: Random) -> Iterator[str]:
    """Yield lines without end, every sort of them about as often as the others of its family."""
    while True:
        family = rng.choice(_FAMILIES)
        yield _filled(rng.choice(family), rng)


def progress_lines(rng: Random) -> Iterator[str]:
    """Yield lines that tell of steps, with numbers that differ."""
    while True:
        yield _filled(rng.choice(_PROGRESS), rng)


def _filled(template: str, rng: Random) -> str:
    for name, value in _VALUES.items():
        while name in template:
            template = template.replace(name, value(rng), 1)
    return template


_VALUES: dict[str, Callable[[Random], str]] = {
    "<stamp>": lambda rng: (
        f"2026-11-{rng.randrange(1, 29):02d} {rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}"
    ),
    "<clock>": lambda rng: f"{rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}",
    "<node>": lambda rng: f"node{rng.randrange(2048):04d}",
    "<pci>": lambda rng: f"0000:{rng.randrange(256):02x}:00.0",
    "<hex>": lambda rng: f"{rng.randrange(2**40):x}",
    "<loss>": lambda rng: f"{rng.uniform(1.4, 3.2):.4f}",
    "<d>": lambda rng: str(rng.randrange(8)),
    "<n>": lambda rng: str(rng.randrange(10, 4000)),
    "<big>": lambda rng: str(rng.randrange(10**5, 10**9)),
}

_NCCL = (
    "<node>:<n>:<n> [<d>] NCCL INFO Channel 0<d>/0 : <d>[<d>] -> <d>[<d>] via P2P/CUMEM/read",
    "<node>:<n>:<n> [<d>] NCCL INFO Channel 0<d>/32 :    0   1   2   3   4   5   6   7",
    "<node>:<n>:<n> [<d>] NCCL INFO Trees [0] <d>/-1/-1-><d>->-1 [1] <d>/-1/-1-><d>->-1",
    "<node>:<n>:<n> [<d>] NCCL INFO NET/IB : Using [0]mlx5_0:1/IB [1]mlx5_1:1/IB [RO]; OOB eth0:10.1.2.<n><0>",
    "<node>:<n>:<n> [<d>] NCCL INFO Bootstrap : Using eth0:10.1.2.<n><0>",
    "<node>:<n>:<n> [<d>] NCCL INFO Connected all rings",
    "<node>:<n>:<n> [<d>] NCCL INFO Connected all trees",
    "<node>:<n>:<n> [<d>] NCCL INFO threadThresholds 8/8/64 | 512/8/64 | 512 | 512",
    "<node>:<n>:<n> [<d>] NCCL INFO 32 coll channels, 32 collnet channels, 0 nvls channels, 32 p2p channels, 2 p2p per peer",
    "<node>:<n>:<n> [<d>] NCCL INFO Setting affinity for GPU <d> to ffffffff,00000000",
    "<node>:<n>:<n> [<d>] NCCL INFO NCCL_SOCKET_IFNAME set by environment to eth0",
    "<node>:<n>:<n> [<d>] NCCL INFO P2P Chunksize set to 524288",
    "<node>:<n>:<n> [<d>] NCCL INFO comm 0x<hex> rank <d> nRanks 8 nNodes 1 localRanks 8 localRank <d> MNNVL 0",
    "<node>:<n>:<n> [<d>] NCCL INFO NVLS multicast support is available on dev <d> (NVLS_NCHANNELS 16)",
    "<node>:<n>:<n> [<d>] NCCL INFO Using non-device net plugin version 0",
    "<node>:<n>:<n> [<d>] NCCL INFO GPU Direct RDMA Enabled for HCA <d> 'mlx5_<d>'",
    "<node>:<n>:<n> [<d>] NCCL INFO ncclCommInitRankConfig comm 0x<hex> rank <d> nranks 8 cudaDev <d> busId <d>b000 - Init COMPLETE",
)
_PROGRESS = (
    " [<stamp>] iteration     <n>/  100000 | consumed samples:    <big> | elapsed time per iteration (ms): <n>.1 |"
    " learning rate: 1.500E-04 | global batch size:  2048 | lm loss: <loss>E+00 | loss scale: 1.0 | grad norm: 0.<n> |"
    " number of skipped iterations:   0 | number of nan iterations:   0 |",
    "[rank0]:[titan] <stamp>,151 - root - INFO - step: <n>  loss:  <loss>  grad_norm:  1.2<n>  memory: 47.31GiB(49.78%)"
    "  tps: <n>  tflops: 71.33  mfu: 7.21%",
    "Epoch 0: :  12%|█▏        | 12/100 [00:31<03:48, v_num=0, reduced_train_loss=<loss>, global_step=<n>.00,"
    " consumed_samples=<big>.0, train_step_timing in s=1.<n>]",
    "Training epoch 0, iteration <n>/9999 | lr: 1.8e-05 | global_batch_size: 8 | global_step: <n> | reduced_train_loss:"
    " <loss> | train_step_timing in s: 1.<n>",
    "[<stamp>,151] [INFO] [logging.py:96:log_dist] [Rank 0] step=<n>, skipped=0, lr=[0.0001], mom=[[0.9, 0.95]]",
    "steps: <n> loss: <loss> iter time (s): 0.<n> samples/sec: 62.<n>",
    " 12%|█▏        | <n>/10000 [00:10<01:20,  1.<n>s/it]",
    "iter <n>: loss <loss>, time <n>.45ms, mfu 30.12%",
    '{"step": <n>, "loss": <loss>, "tokens": <big>, "step_seconds": 0.<n>}',
    "step=<n> loss=<loss> tokens=<big> step_seconds=0.<n>",
    "{'loss': <loss>, 'grad_norm': 0.<n>, 'learning_rate': 5e-05, 'epoch': 0.<n>}",
)
_TRAINING = (
    *_PROGRESS,
    "<stamp>,<n> - INFO - data.loader - shard <n> of <big> opened, prefetch queue holds <n> batches",
    "<stamp> | INFO | trainer | evaluation on <n> samples: accuracy 0.<n>, perplexity <loss>",
    "<stamp>,<n> INFO checkpoint: saved to /checkpoints/run7/step_<n> in <n>.1 s",
    "Loading checkpoint shards: 100%|██████████| 3/3 [00:02<00:00,  1.1<n>it/s]",
    "[<stamp>,<n>] torch.distributed.run: [INFO] Starting worker group, rdzv_id=<n>, world_size 4096",
    "[<stamp>,<n>] [INFO] [comm.py:637:init_distributed] cdb=None",
    "> building train, validation, and test datasets for GPT ...",
    " > finished creating indexed dataset in 0.<n> seconds",
    "    number of tokens: <big>",
    "[Rank <n>] (after 10 iterations) memory (MB) | allocated: <n>.5 | max allocated: <big>.1 | reserved: <n>.0",
    "WARNING:root:Setting OMP_NUM_THREADS environment variable for each process to be 1 in default",
    "/opt/venv/lib/python3.11/site-packages/torch/utils/checkpoint.py:429: UserWarning: use_reentrant should be passed",
    "wandb: Tracking run with wandb version 0.1<d>.2",
    "wandb: Run data is saved locally in /tmp/wandb/run-<big>",
    "using world size: 4096, data-parallel size: 128, tensor-model-parallel size: 8, pipeline-model-parallel size: 4",
    "I1121 <clock>.<n> <n> ProcessGroupNCCL.cpp:934] [Rank <d>] ProcessGroupNCCL initialization options: NCCL version 2.27",
    "compiling model with inductor, <n> graphs, <n> kernels cached",
    "tokenizer: 128256 entries read from /data/tokenizer.json",
    "[titan] <stamp>,<n> - root - INFO - Applied FSDP to the model, dp_shard <n>",
    "INFO 11-21 <clock> [metrics.py:455] Avg prompt throughput: <n>.1 tokens/s, Running: <d> reqs, GPU KV cache usage: 1.2%",
)
_KERNEL = (
    "[ <n>.<big>] pci <pci>: BAR 0: assigned [mem 0x<hex>-0x<hex> 64bit pref]",
    "[ <n>.<big>] pci <pci>: [10de:2330] type 00 class 0x030200",
    "[ <n>.<big>] ACPI: SSDT 0x<hex> 000<n> (v02 INTEL  CpuSsdt  00003000 INTL 20210331)",
    "[ <n>.<big>] smpboot: CPU <n> is now online",
    "[ <n>.<big>] nvidia <pci>: enabling device (0140 -> 0142)",
    "[ <n>.<big>] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.90.07  Fri May 31 09:35:42 UTC 2024",
    "[ <n>.<big>] nvidia-nvlink: Nvlink Core is being initialized, major device number 5<d>1",
    "[ <n>.<big>] mlx5_core <pci>: firmware version: 28.39.1002",
    "[ <n>.<big>] mlx5_core <pci>: Rate limit: 127 rates are supported, range: 0Mbps to 195312Mbps",
    "[ <n>.<big>] mlx5_core <pci>: E-Switch: Total vports 1, per vport: max uc(128) max mc(2048)",
    "[ <n>.<big>] nvme nvme<d>: <n>/0/0 default/read/poll queues",
    "[ <n>.<big>] EXT4-fs (nvme<d>n1p2): mounted filesystem with ordered data mode. Quota mode: none.",
    "[ <n>.<big>] XFS (nvme<d>n1): Mounting V5 Filesystem",
    "[ <n>.<big>] systemd[1]: Started Journal Service.",
    "[ <n>.<big>] IPv6: ADDRCONF(NETDEV_CHANGE): eth<d>: link becomes ready",
    "[ <n>.<big>] EDAC MC<d>: Giving out device to module i10nm_edac controller Intel_10nm Socket#0 IMC#<d>",
    "[ <n>.<big>] RAS: Correctable Errors collector initialized.",
    "[ <n>.<big>] usb 1-<d>: new high-speed USB device number <d> using xhci_hcd",
    '[ <n>.<big>] audit: type=1400 audit(<big>.<n>:<n>): apparmor="STATUS" operation="profile_load"',
    "[ <n>.<big>] docker0: port <d>(veth<hex>) entered forwarding state",
    "[ <n>.<big>] perf: interrupt took too long (<n> > <n>), lowering kernel.perf_event_max_sample_rate to <n>000",
    "[ <n>.<big>] nfs: mounted 10.1.2.<n>:/export/data",
    "[ <n>.<big>] Lustre: Mounted lfs-client",
    "[ <n>.<big>] thermal_sys: Registered thermal governor 'step_wise'",
)
_CLUSTER = (
    'I1121 <clock>.<n>    <n> kubelet.go:2447] "SyncLoop (PLEG): event for pod" pod="train/worker-<n>"',
    'I1121 <clock>.<n>    <n> reconciler.go:352] "Volume attached" volume="pvc-<hex>" node="<node>"',
    'I1121 <clock>.<n>    <n> prober.go:107] "Probe succeeded" probeType="Liveness" pod="train/worker-<n>"',
    'time="2026-11-21T<clock>Z" level=info msg="StartContainer for \\"<hex>\\" returns successfully"',
    "[2026-11-21T<clock>.<n>] slurmctld: _slurm_rpc_submit_batch_job: JobId=<big> InitPrio=<n> usec=<n>",
    "[2026-11-21T<clock>.<n>] slurmctld: sched: Allocate JobId=<big> NodeList=node[0<n>-0<n>] #CPUs=<n> Partition=gpu",
    "[2026-11-21T<clock>.<n>] _job_complete: JobId=<big> WEXITSTATUS 0",
    "[2026-11-21T<clock>.<n>] launch task StepId=<big>.0 request from UID:<n> GID:<n> HOST:10.1.2.<n> PORT:<n>",
    "Nov 21 <clock> <node> systemd[1]: Starting Daily apt download activities...",
    "Nov 21 <clock> <node> sshd[<n>]: Accepted publickey for ops from 10.1.2.<n> port <n> ssh2: ED25519",
    "Nov 21 <clock> <node> chronyd[<n>]: Selected source 10.1.2.<n>",
    "Nov 21 <clock> <node> CRON[<n>]: (root) CMD (command -v debian-sa1 > /dev/null && debian-sa1 1 1)",
    "Nov 21 <clock> <node> nv-hostengine[<n>]: watched fields updated in <n> usec",
    'ts=2026-11-21T<clock>.<n>Z caller=node_exporter.go:192 level=info msg="Listening on" address=:9100',
    'DCGM_FI_DEV_GPU_TEMP{gpu="<d>",UUID="GPU-<hex>",device="nvidia<d>",Hostname="<node>"} 4<d>',
    'DCGM_FI_DEV_GPU_UTIL{gpu="<d>",UUID="GPU-<hex>",device="nvidia<d>",Hostname="<node>"} 9<d>',
    "2026-11-21T<clock>Z INFO agent: heartbeat sent, <n> metrics, queue 0",
    '{"level":"info","ts":<big>.<n>,"caller":"proxy/proxy.go:88","msg":"request served","status":200,"bytes":<n>}',
    '10.1.2.<n> - - [21/Nov/2026:<clock> +0000] "GET /metrics HTTP/1.1" 200 <n> "-" "Prometheus/2.53.0"',
    "node: <node> task <n>: running",
    "pyxis: imported docker image: nvcr.io#nvidia/pytorch:25.03-py3",
    "+ srun --ntasks-per-node=8 --gres=gpu:8 python pretrain.py --config conf/run<n>.yaml",
    "PS1 ok, fan speeds <n> <n> <n>, inlet 2<d> C, power <n> W",
)
_FAMILIES = (_NCCL, _NCCL, _TRAINING, _KERNEL, _CLUSTER)
