"""A real Slurm of Debian's packages on loopback: one slurmctld, several slurmd, all children of the test.

Every daemon runs in the foreground, in a folder of its own, on ports that were free; nothing of it outlives the test.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from clusterwatch.clock import SystemClock
from clusterwatch.reading.slurm import SlurmJob, SlurmNode, jobs_in_text, nodes_in_text
from mortal import mortal

PROGRAMS = ("slurmctld", "slurmd", "munged", "scontrol", "squeue", "sbatch")
READY_SECONDS = 60
"""Several tests may share two processors; alone it takes less than a second."""

GPUS = 8

CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge/munge.sock
SlurmctldPort={controller_port}
SlurmdPort={default_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldDebug=info
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=1
SlurmctldTimeout=10
SlurmdTimeout={slurmd_timeout}
MessageTimeout=5
KillWait=2
UnkillableStepTimeout=10
MinJobAge={min_job_age}
JobRequeue=1
PropagateResourceLimits=NONE
GresTypes=gpu
SlurmdParameters=config_overrides
RebootProgram=/bin/true
ResumeTimeout=30
{more}
"""


@dataclass
class SlurmCluster:
    """A running cluster; `environment` is what its commands need."""

    folder: Path
    nodes: tuple[str, ...]
    environment: Mapping[str, str]
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self, *command: str, check: bool = True, **more: object) -> subprocess.CompletedProcess[str]:
        """Run one of Slurm's commands against this cluster."""
        done = subprocess.run(
            command, env=dict(self.environment), capture_output=True, text=True, timeout=60, cwd=self.folder, **more
        )  # type: ignore[call-overload]
        assert not check or done.returncode == 0, (command, done.stdout, done.stderr)
        return done

    def submit(self, script: str, *options: str, nodes: int = 1, name: str = "train") -> int:
        """Submit *script* as a batch job on whole nodes; return its number."""
        path = self.folder / f"script-{len(list(self.folder.glob('script-*')))}.sh"
        path.write_text(f"#!/bin/bash\n{script}\n")
        given = ("--parsable", f"--nodes={nodes}", f"--gres=gpu:h100:{GPUS}", f"--job-name={name}")
        log = f"--output={self.folder}/out/%x-%j.out"
        return int(self.run("sbatch", *given, "--open-mode=append", log, *options, str(path)).stdout.strip())

    def job(self, number: int) -> SlurmJob:
        """Return the job as Slurm has it now."""
        (job,) = jobs_in_text(self.run("scontrol", "show", "job", str(number)).stdout)
        return job

    def node(self, name: str) -> SlurmNode:
        """Return the node as Slurm has it now."""
        (node,) = nodes_in_text(self.run("scontrol", "show", "node", name).stdout)
        return node

    def wait_for_job(self, number: int, *states: str, seconds: float = READY_SECONDS) -> SlurmJob:
        """Return the job once it is in one of *states*, and completing no more."""
        wait_until(
            lambda: (job := self.job(number)).state in states and not job.is_completing,
            f"job {number} to be {states}",
            seconds,
            lambda: str(self.job(number)),
        )
        return self.job(number)

    def wait_for_node(self, name: str, is_so: Callable[[SlurmNode], bool], seconds: float = READY_SECONDS) -> SlurmNode:
        """Return the node once *is_so*."""
        wait_until(lambda: is_so(self.node(name)), f"node {name}", seconds, lambda: str(self.node(name)))
        return self.node(name)

    def log_of(self, number: int, name: str = "train") -> Path:
        """Return the file that the output of a job goes to."""
        return self.folder / "out" / f"{name}-{number}.out"

    def start_slurmd(self, name: str, *options: str) -> None:
        """Start the daemon of a node; "-b" says that the node was booted."""
        self._start(f"slurmd-{name}", "slurmd", "-D", "-N", name, *options)

    def kill_slurmd(self, name: str) -> None:
        """Kill the daemon of a node: Slurm gives the node up some 15 seconds later. Its job's processes live on."""
        self._end(f"slurmd-{name}", kill=True)

    def start_controller(self) -> None:
        """Start slurmctld with the state it had."""
        self._start("slurmctld", "slurmctld", "-D")

    def stop_controller(self) -> None:
        """End slurmctld; nobody answers any more."""
        self._end("slurmctld", kill=False)

    def close(self) -> None:
        """End everything, jobs first, so that no process of theirs is left."""
        if self.daemons.get("slurmctld") is not None:
            self.run("scancel", "--state=RUNNING", "--signal=KILL", "--full", "--user=root", check=False)
            self.run("scancel", "--user=root", check=False)
            self._wait_until_nothing_runs()
        for daemon in list(self.daemons):
            self._end(daemon, kill=True)
        end_processes_with("SLURM_CONF", f"{self.folder}/slurm.conf")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_until_nothing_runs(self) -> None:
        nothing = Event()
        for _ in range(50):
            if not self.run("squeue", "--noheader", "--states=RUNNING,COMPLETING", check=False).stdout.strip():
                return
            nothing.wait(0.1)

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                mortal(*command),
                env=dict(self.environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _end(self, name: str, *, kill: bool) -> None:
        daemon = self.daemons.pop(name, None)
        if daemon is None:
            return
        (daemon.kill if kill else daemon.terminate)()
        try:
            daemon.wait(timeout=20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def wait_until(
    is_so: Callable[[], bool], what: str, seconds: float = READY_SECONDS, state: Callable[[], str] = lambda: ""
) -> None:
    """Return once *is_so*; fail with *what* and the *state* after *seconds*."""
    clock = SystemClock()
    deadline = clock.now() + timedelta(seconds=seconds)
    nothing = Event()
    while not is_so():
        assert clock.now() < deadline, f"waited {seconds:g} s for {what}: {state()}"
        nothing.wait(0.1)


def started_cluster(nodes: int = 4, slurmd_timeout: int = 5, min_job_age: int = 600, more: str = "") -> SlurmCluster:
    """Start a cluster of *nodes* nodes named node1, node2, ...; *more* lines go into slurm.conf."""
    for program in PROGRAMS:
        assert shutil.which(program, path=_path()), f"{program} is missing: run tests/debian-packages"
    assert os.getuid() == 0, "Slurm is tested as root: its daemons start jobs of users"
    # Not pytest's own folder: it is closed to everybody else, and munge's socket must be open to all.
    folder = Path(tempfile.mkdtemp(prefix="clusterwatch-slurm-", dir="/tmp"))
    folder.chmod(0o755)
    names = tuple(f"node{number}" for number in range(1, nodes + 1))
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path(), "TZ": "UTC", "LC_ALL": "C"}
    cluster = SlurmCluster(folder, names, environment)
    try:
        _write_configuration(folder, names, slurmd_timeout, min_job_age, more)
        _start_munge(cluster)
        cluster.start_controller()
        for name in names:
            cluster.start_slurmd(name)
        _wait_until_ready(cluster)
    except BaseException:
        cluster.close()
        raise
    return cluster


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmCluster]:
    """A cluster of four nodes for the tests of one module."""
    cluster = started_cluster(nodes=4)
    yield cluster
    cluster.close()


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _write_configuration(folder: Path, names: Sequence[str], slurmd_timeout: int, min_job_age: int, more: str) -> None:
    for place in ("state", "spool", "out", "devices"):
        (folder / place).mkdir()
    (folder / "munge").mkdir(mode=0o711)
    controller_port, default_port, *ports = _free_ports(len(names) + 2)
    lines = [
        CONFIGURATION.format(
            folder=folder,
            controller_port=controller_port,
            default_port=default_port,
            slurmd_timeout=slurmd_timeout,
            min_job_age=min_job_age,
            more=more,
        )
    ]
    for name, port in zip(names, ports, strict=True):
        (folder / "spool" / name).mkdir()
        lines.append(
            f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=8 RealMemory=1000 "
            f"Gres=gpu:h100:{GPUS} State=UNKNOWN\n"
        )
    lines.append(f"PartitionName=train Nodes={','.join(names)} Default=YES MaxTime=INFINITE OverSubscribe=EXCLUSIVE\n")
    (folder / "slurm.conf").write_text("".join(lines))
    # A device that is none: Slurm wants a file for each GPU, and opens it for nobody.
    for number in range(GPUS):
        (folder / "devices" / f"nvidia{number}").touch()
    (folder / "gres.conf").write_text(
        f"AutoDetect=off\nName=gpu Type=h100 File={folder}/devices/nvidia[0-{GPUS - 1}]\n"
    )


def _start_munge(cluster: SlurmCluster) -> None:
    key = cluster.folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    files = {
        "key-file": key,
        "socket": cluster.folder / "munge" / "munge.sock",
        "pid-file": cluster.folder / "munge" / "munged.pid",
        "log-file": cluster.folder / "munged.log",
        "seed-file": cluster.folder / "munge.seed",
    }
    options = [f"--{name}={path}" for name, path in files.items()]
    cluster._start("munged", "munged", "--foreground", "--force", "--num-threads=2", *options)
    wait_until(files["socket"].exists, "munge's socket")


def _wait_until_ready(cluster: SlurmCluster) -> None:
    def is_ready() -> bool:
        idle = cluster.run("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N %t", check=False).stdout
        return len([line for line in idle.splitlines() if line.endswith(" idle")]) == len(cluster.nodes)

    wait_until(is_ready, "all nodes to be idle", READY_SECONDS, lambda: _last_lines(cluster.folder / "slurmctld.log"))


def _last_lines(path: Path) -> str:
    return "\n".join(path.read_text().splitlines()[-20:]) if path.exists() else "no log"


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def end_processes_with(variable: str, value: str) -> None:
    """Kill the processes that have *variable* set to *value*: what a killed daemon of a test left behind."""
    mark = f"{variable}={value}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        # What has ended meanwhile needs no killing.
        with suppress(OSError):
            if int(process.name) != os.getpid() and mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
