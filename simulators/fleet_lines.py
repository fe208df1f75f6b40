"""What the fleet's tables hold: kinds of faults, their variants, and templates with the values to put in."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from clusterwatch.model import Cause, ComponentKind, Scalar

EXAMPLE_VALUES: Mapping[str, Scalar] = {
    "pci": "0000:18:00",
    "pci_full": "0000:18:00.0",
    "gpu": 3,
    "rank": 8131,
    "local_rank": 3,
    "world_size": 16384,
    "pid": 131072,
    "host": "node1016",
    "host_ip": "10.4.7.16",
    "first_host": "node0001",
    "peer_host": "node1017",
    "peer_rank": 8140,
    "peer_ip": "10.4.7.17",
    "tor": "tor0508",
    "port": 45217,
    "nic": "mlx5_3",
    "netdev": "eth3",
    "nic_pci": "0000:1a:00",
    "uuid": "8c1f0e4d-2b1a-4f7e-9a3c-5d6e7f809112",
    "serial": "1653923012345",
    "unit": 5,
    "word": 0x5EED1234,
    "address": 0x84F2D0C40,
    "line": 214,
    "sequence": 81734,
    "step": 120412,
    "next_step": 120413,
    "loss": 1.8304,
    "seconds": 6.21,
    "milliseconds": 6212.4,
    "user": "mk",
    "path": "/checkpoints/run7/iter_0120400",
    "directory": "/checkpoints/run7",
    "exit_code": -6,
    "slurm_job": 41207,
    "clock": "2026-11-21 09:00:00",
    "milli": 417,
    "thread": 131283,
    "agent": 130990,
    "iso": "2026-11-21T09:00:00",
    "glog": "1121 09:00:00.417302223",
    "report_time": "2026-11-21_09:00:00",
    "sel_id": "1a",
    "sel_time": "11/21/26 | 09:00:00 UTC",
    "sel_time_long": "11/21/2026 | 09:00:00",
}
"""Every placeholder with a value of the sort that is put in. *pci* and *nic_pci* are without the function, *uuid*
without "GPU-", *pci_full* is "0000:18:00.0".

*thread* is a thread of the rank's process, *agent* the process of torchrun; *iso*, *glog*, *report_time* and *sel_time*
are the moment the line is printed, as Slurm, glog and torchrun's failure table write it, and as ipmitool 1.8.19 does
(*sel_time_long*: as older ones do); *sel_id* is the hexadecimal number of a record in a BMC's event log.
"""

DERIVED = ("glog", "iso", "report_time", "sel_time", "sel_time_long")
"""Placeholders that follow from *clock* and *milli* where they are not put in."""

_OF_THE_MOMENT = ("clock", "milli", *DERIVED)


class Harm(StrEnum):
    """What a fault does to the job it meets."""

    CRASH = "crash"
    HANG = "hang"
    NODE_DOWN = "node_down"
    SLOW = "slow"
    CORRUPT = "corrupt"
    NONE = "none"


class Stands(StrEnum):
    """Where the struck ranks stand in their collectives while the others wait, as recorders would show it.

    ALIKE: in the same call as all others. MISMATCHED: in another one. ABSENT: one call behind, nothing under way.
    DEVICE: in the same call, not begun. TOGETHER: those of its node among themselves, before they come to the others.
    MUTE: it leaves no dump. MANY: most ranks of the job are one call behind.
    """

    ALIKE = "alike"
    MISMATCHED = "mismatched"
    ABSENT = "absent"
    DEVICE = "device"
    TOGETHER = "together"
    MUTE = "mute"
    MANY = "many"


class Blast(StrEnum):
    """How far a fault reaches: its node, all nodes of its rack's switch, all nodes of its power domain."""

    NODE = "node"
    TOR = "tor"
    POWER = "power"


class LineWho(StrEnum):
    """Who prints a line: the struck node's kernel, rank, launcher or management controller, or the scheduler.

    STEP is what srun and slurmstepd say of a whole step, once, on its first node that is not struck
    (https://github.com/SchedMD/slurm/blob/slurm-23.11/src/slurmd/slurmstepd/req.c).
    """

    KERNEL = "kernel"
    RANK = "rank"
    LAUNCHER = "launcher"
    STEP = "step"
    BMC = "bmc"
    SCHEDULER = "scheduler"


class SampleWho(StrEnum):
    """Which collector takes a structured sample; the agent itself where it tells of a collector."""

    AGENT = "agent"
    NVML = "nvml"
    BMC = "bmc"
    FABRIC = "fabric"
    DISKS = "disks"
    PCIE_EDAC = "pcie_edac"
    HOST = "host"
    CHECKPOINTS = "checkpoints"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class FleetLine:
    """One template, printed *after_seconds* of onset; *seen* is the probability (0-1) that it is there at all."""

    who: LineWho
    after_seconds: float
    text: str
    seen: float = 1.0

    def printed(self, values: Mapping[str, Scalar]) -> list[str]:
        """Return the lines of the template with *values* put in."""
        return self.text.format_map(_with_derived(values) if _asks_for(self.text, DERIVED) else values).splitlines()

    @property
    def tells_time(self) -> bool:
        """Whether it holds the moment at which it is printed."""
        return _asks_for(self.text, _OF_THE_MOMENT)


@dataclass(frozen=True, slots=True)
class FleetSample:
    """One structured sample, taken *after_seconds* of onset, with templates for values.

    Attributes:
        before: The last regular sample of the part before onset.
        fields: The sample itself.
        seen: Probability (0-1) that it is there at all.
    """

    who: SampleWho
    after_seconds: float
    subject: str
    before: Mapping[str, Scalar] = field(default_factory=dict)
    fields: Mapping[str, Scalar] = field(default_factory=dict)
    seen: float = 1.0

    def read_before(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the fields of the last regular sample with *values* put in."""
        return {name: filled(template, values) for name, template in self.before.items()}

    def read(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the fields of the sample with *values* put in."""
        return {name: filled(template, values) for name, template in self.fields.items()}


@dataclass(frozen=True, slots=True)
class FleetVariant:
    """One way that something shows. *unseen*: the detection catalogue cites none of the *sources*."""

    sources: tuple[str, ...]
    unseen: bool
    lines: tuple[FleetLine, ...]
    samples: tuple[FleetSample, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A sort of fault.

    Attributes:
        share: Of the faults of its cause, 0-1.
        component: What is broken.
        exit_code: Of the struck rank's process where *harm* is a crash; negative for a signal, 0 elsewhere.
        stays: It strikes again whoever runs there, until repaired.
        peers: Families that the other nodes' ranks print because of it.
        stands: Where its ranks stand in their collectives while the others wait.
    """

    name: str
    cause: Cause
    share: float
    component: ComponentKind
    harm: Harm
    exit_code: int
    stays: bool
    peers: tuple[str, ...]
    blast: Blast
    variants: tuple[FleetVariant, ...]
    stands: Stands = Stands.ALIKE


def filled(template: Scalar, values: Mapping[str, Scalar]) -> Scalar:
    """Return *template* with *values* put in; a placeholder that stands alone gives the value as it is.

    Raises:
        KeyError: A placeholder has no value. ValueError: The template is broken.
    """
    if not isinstance(template, str) or "{" not in template:
        return template
    parts = list(string.Formatter().parse(template))
    if len(parts) == 1:
        literal, name, spec, conversion = parts[0]
        if name is not None and not literal and not spec and conversion is None:
            return values[name]
    return template.format_map(_with_derived(values))


@cache
def _asks_for(template: str, names: tuple[str, ...]) -> bool:
    return any(name in template for name in names)


def _with_derived(values: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
    if "clock" not in values:
        return values
    date, time = str(values["clock"]).split(" ")
    year, month, day = date.split("-")
    milli = int(values.get("milli") or 0)
    # C++ lines of PyTorch pad no month. Of the nanosecond no placeholder knows more than the first three digits.
    glog = f"{int(month)}{day} {time}.{milli:03d}{milli * 7919 % 1_000_000:06d}"
    derived: dict[str, Scalar] = {
        "glog": glog,
        "iso": f"{date}T{time}",
        "report_time": f"{date}_{time}",
        "sel_time": f"{month}/{day}/{year[2:]} | {time} UTC",
        "sel_time_long": f"{month}/{day}/{year} | {time}",
    }
    return {**derived, **values}
