"""What the fleet's tables hold: kinds of faults, their variants, and templates with the values to put in."""

from __future__ import annotations

import string
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache

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


def _glog(clock: str, milli: int) -> str:
    # C++ lines of PyTorch pad no month. Of the nanosecond no placeholder knows more than the first three digits.
    month, day, time = int(clock[5:7]), clock[8:10], clock[11:]
    return f"{month}{day} {time}.{milli:03d}{milli * 7919 % 1_000_000:06d}"


DERIVED: Mapping[str, Callable[[str, int], str]] = {
    "glog": _glog,
    "iso": lambda clock, _: clock.replace(" ", "T"),
    "report_time": lambda clock, _: clock.replace(" ", "_"),
    "sel_time": lambda clock, _: f"{clock[5:7]}/{clock[8:10]}/{clock[2:4]} | {clock[11:]} UTC",
    "sel_time_long": lambda clock, _: f"{clock[5:7]}/{clock[8:10]}/{clock[:4]} | {clock[11:]}",
}
"""Placeholders that follow from *clock* and *milli* where they are not put in."""

_OF_THE_MOMENT = ("clock", "milli", *DERIVED)

_TEMPLATES_KEPT = 4096
"""More than the tables have."""


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
    """One template, printed *after_seconds* of onset; *seen* is the probability (0-1) that it is there at all.

    Attributes:
        tells_time: Whether it holds the moment at which it is printed.
        derived: What it asks for that follows from the moment.
    """

    who: LineWho
    after_seconds: float
    text: str
    seen: float = 1.0
    tells_time: bool = field(init=False, repr=False, compare=False)
    derived: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find out what it asks for once: two thousand nodes print it."""
        object.__setattr__(self, "tells_time", any(name in self.text for name in _OF_THE_MOMENT))
        object.__setattr__(self, "derived", _derived_in(self.text))

    def printed(self, values: Mapping[str, Scalar]) -> list[str]:
        """Return the lines of the template with *values* put in."""
        return self.text.format_map(_with(self.derived, values) if self.derived else values).splitlines()

    def shared(self, values: Mapping[str, Scalar], own: Container[str]) -> FleetLine:
        """Return the template with *values* put in but for *own* and for the moment, which differ from line to line.

        Raises:
            KeyError: A placeholder has no value.
        """
        parts = string.Formatter().parse(self.text)
        text = "".join(_escaped(literal) + _put_in(placeholder, values, own) for literal, *placeholder in parts)
        return replace(self, text=text)


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
    alone = _alone_in(template)
    return values[alone] if alone else template.format_map(_with(_derived_in(template), values))


@lru_cache(maxsize=_TEMPLATES_KEPT)
def _alone_in(template: str) -> str:
    """Return the placeholder that *template* consists of; "" where there is more, or less."""
    (literal, name, spec, conversion), *more = string.Formatter().parse(template)
    return name if name and not (literal or spec or conversion or more) else ""


def _derived_in(template: str) -> tuple[str, ...]:
    return tuple(name for name in DERIVED if name in template)


def _with(derived: Iterable[str], values: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
    """Return *values* with *derived* that are missing, if *values* tell the moment."""
    if "clock" not in values:
        return values
    clock, milli = str(values["clock"]), int(values.get("milli") or 0)
    return {**{name: DERIVED[name](clock, milli) for name in derived if name not in values}, **values}


def _escaped(literal: str) -> str:
    return literal.replace("{", "{{").replace("}", "}}")


def _put_in(placeholder: Sequence[str | None], values: Mapping[str, Scalar], own: Container[str]) -> str:
    """Return what *placeholder*, a name with its format and its conversion, gives; itself where it is one of *own*."""
    name, spec, conversion = placeholder
    if name is None:
        return ""
    itself = f"{{{name}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}}}"
    return itself if name in own or name in _OF_THE_MOMENT else _escaped(itself.format_map(values))
