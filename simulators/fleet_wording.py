"""Tables of faults and of what is printed because of them; the tables and their public sources stand in wording/fleet.

Every file there holds kinds of faults, one table each with its variants; "job_wide.toml" holds families instead: what
all ranks of a job print alike, whatever broke; "regular.toml" holds what a collector's sample says while all is well.

How a structured sample comes about: its *before* is the regular sample with the table's *before* put over it, its
*fields* are that with the table's *fields* put over it. With `alone = true` nothing of the regular sample is left in
*fields* but the names of the part, as it is of a part that answers no more. A value that is one placeholder and
nothing else, such as "{gpu}", keeps the type of what is put in.
"""

from __future__ import annotations

import math
import string
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import TypeVar, cast

from clusterwatch.errors import ConfigError, Mistake
from clusterwatch.model import Cause, ComponentKind, Scalar

JOB_WIDE = "job_wide.toml"
REGULAR = "regular.toml"

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
    "glog": "1121 09:00:00.417000",
    "report_time": "2026-11-21_09:00:00",
    "sel_id": "1a",
    "sel_time": "11/21/26 | 09:00:00 UTC",
    "sel_time_long": "11/21/2026 | 09:00:00",
}
"""Every placeholder with a value of the sort that is put in. *pci* and *nic_pci* are without the function, *uuid*
without "GPU-", *pci_full* is "0000:18:00.0".

*thread* is a thread of the rank's process, *agent* the process of torchrun; *iso*, *glog*, *report_time* and *sel_time*
are the moment the line is printed, as Slurm, glog and torchrun's failure table write it, and as ipmitool 1.8.19 does
(*sel_time_long*: as older ones do); *sel_id* is the hexadecimal number of a record in a BMC's event log."""


class Harm(StrEnum):
    """What a fault does to the job it meets."""

    CRASH = "crash"
    HANG = "hang"
    NODE_DOWN = "node_down"
    SLOW = "slow"
    CORRUPT = "corrupt"
    NONE = "none"


class Blast(StrEnum):
    """How far a fault reaches: its node, all nodes of its rack's switch, all nodes of its power domain."""

    NODE = "node"
    TOR = "tor"
    POWER = "power"


class LineWho(StrEnum):
    """Who prints a line: the struck node's kernel, rank, launcher or management controller, or the scheduler."""

    KERNEL = "kernel"
    RANK = "rank"
    LAUNCHER = "launcher"
    BMC = "bmc"
    SCHEDULER = "scheduler"


class SampleWho(StrEnum):
    """Which collector takes a structured sample."""

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
        return self.text.format_map(values).splitlines()


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
        return {name: _filled(template, values) for name, template in self.before.items()}

    def read(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the fields of the sample with *values* put in."""
        return {name: _filled(template, values) for name, template in self.fields.items()}


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


def fault_kinds() -> Mapping[str, FaultKind]:
    """Return every kind of fault by its name, in the order of files and tables.

    Raises:
        ConfigError: Tables are wrong; it holds every mistake.
    """
    return _tables()[0]


def families() -> Mapping[str, tuple[FleetVariant, ...]]:
    """Return the variants of each family: lines that belong to no fault. Raises as `fault_kinds` does."""
    return _tables()[1]


@cache
def _tables() -> tuple[Mapping[str, FaultKind], Mapping[str, tuple[FleetVariant, ...]]]:
    folder = resources.files("simulators") / "wording" / "fleet"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return read_tables({file.name: tomllib.loads(file.read_text(encoding="utf-8")) for file in files})


Table = Mapping[str, object]


def read_tables(
    files: Mapping[str, Table],
) -> tuple[Mapping[str, FaultKind], Mapping[str, tuple[FleetVariant, ...]]]:
    """Return kinds and families of *files*, tables by file name.

    Raises:
        ConfigError: Tables are wrong; it holds every mistake.
    """
    reader = _Reader(cast("Mapping[str, Table]", files.get(REGULAR, {})))
    groups = {name: reader.variants(name, table) for name, table in files.get(JOB_WIDE, {}).items()}
    kinds: dict[str, FaultKind] = {}
    for file, table in files.items():
        for name, row in table.items() if file not in (JOB_WIDE, REGULAR) else ():
            if name in kinds:
                reader.wrong(name, f"stands in {file} and in another file, expected one table for each kind")
            kinds[name] = reader.kind(name, cast(Table, row))
    for kind in kinds.values() if groups else ():
        reader.known(f"{kind.name}.peers", kind.peers, groups)
    if reader.mistakes:
        raise ConfigError("simulators/wording/fleet", reader.mistakes)
    return kinds, groups


_Word = TypeVar("_Word", bound=StrEnum)
_VARIANT_KEYS = frozenset({"sources", "unseen", "lines", "samples"})
_SAMPLE_KEYS = frozenset({"who", "after", "subject", "before", "fields", "seen", "alone"})
_KIND_KEYS = frozenset({"cause", "share", "component", "harm", "exit_code", "stays", "peers", "blast", "variant"})


class _Reader:
    """Tables to values; what is wrong is kept, so that all of it can be told at once."""

    def __init__(self, regular: Mapping[str, Table]) -> None:
        self.mistakes: list[Mistake] = []
        self._regular = regular

    def wrong(self, key: str, problem: str) -> None:
        self.mistakes.append(Mistake(key, problem))

    def known(self, key: str, names: Iterable[str], expected: Iterable[str]) -> None:
        for name in sorted(set(names) - set(expected)):
            self.wrong(key, f"{name!r} is not known, expected one of {', '.join(sorted(expected))}")

    def kind(self, name: str, row: Table) -> FaultKind:
        self.known(name, row, _KIND_KEYS)
        return FaultKind(
            name,
            self._word(f"{name}.cause", row.get("cause"), Cause),
            self._number(f"{name}.share", row.get("share"), most=1.0),
            self._word(f"{name}.component", row.get("component"), ComponentKind),
            self._word(f"{name}.harm", row.get("harm"), Harm),
            int(self._number(f"{name}.exit_code", row.get("exit_code", 0), least=-255)),
            self._flag(f"{name}.stays", row.get("stays")),
            self._texts(f"{name}.peers", row.get("peers", [])),
            self._word(f"{name}.blast", row.get("blast", Blast.NODE), Blast),
            self.variants(name, row.get("variant")),
        )

    def variants(self, name: str, rows: object) -> tuple[FleetVariant, ...]:
        if not isinstance(rows, list) or not rows:
            self.wrong(name, "has no variant, expected at least one table")
            return ()
        return tuple(self._variant(f"{name}[{number}]", row) for number, row in enumerate(rows))

    def _variant(self, key: str, row: Table) -> FleetVariant:
        self.known(key, row, _VARIANT_KEYS)
        sources = self._texts(f"{key}.sources", row.get("sources", []))
        if not sources or not all(source.startswith("https://") for source in sources):
            self.wrong(f"{key}.sources", f"is {list(sources)}, expected https addresses where such lines are public")
        lines = [self._line(f"{key}.lines[{n}]", line) for n, line in enumerate(_list(row.get("lines")))]
        samples = [self._sample(f"{key}.samples[{n}]", one) for n, one in enumerate(_list(row.get("samples")))]
        times = [line.after_seconds for line in lines]
        if times != sorted(times):
            self.wrong(f"{key}.lines", f"come after {times} seconds, expected the order of time")
        unseen = self._flag(f"{key}.unseen", row.get("unseen", False))
        return FleetVariant(sources, unseen, tuple(lines), tuple(samples))

    def _line(self, key: str, row: object) -> FleetLine:
        parts = [*_list(row), 1.0] if len(_list(row)) == 3 else _list(row)
        if len(parts) != 4:
            self.wrong(key, f"is {row!r}, expected [who, seconds, text] or [who, seconds, text, probability]")
            return FleetLine(LineWho.KERNEL, 0.0, "")
        who, after, text, seen = parts
        self._template(key, text)
        return FleetLine(
            self._word(key, who, LineWho), self._number(key, after), str(text), self._number(key, seen, most=1.0)
        )

    def _sample(self, key: str, row: object) -> FleetSample:
        table = cast(Table, row)
        self.known(key, table, _SAMPLE_KEYS)
        subject = str(table.get("subject", ""))
        regular = self._regular.get(subject, {})
        names = cast("Mapping[str, Scalar]", regular.get("names", {}))
        before = {**names, **_values(regular.get("values")), **_values(table.get("before"))}
        fields = {**(names if table.get("alone") else before), **_values(table.get("fields"))}
        for name, value in {**before, **fields}.items():
            self._template(f"{key}.{name}", value)
        if not subject or not table.get("fields"):
            self.wrong(key, "has no subject or no fields")
        return FleetSample(
            self._word(key, table.get("who"), SampleWho),
            self._number(key, table.get("after")),
            subject,
            before,
            fields,
            self._number(key, table.get("seen", 1.0), most=1.0),
        )

    def _template(self, key: str, template: object) -> None:
        try:
            _filled(cast(Scalar, template), EXAMPLE_VALUES)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            self.wrong(key, f"cannot be filled in ({type(error).__name__}: {error}), expected known placeholders")

    def _word(self, key: str, value: object, words: type[_Word]) -> _Word:
        found = next((word for word in words if word == value), None)
        if found is None:
            self.wrong(key, f"is {value!r}, expected one of {', '.join(words)}")
        return found or next(iter(words))

    def _number(self, key: str, value: object, least: float = 0.0, most: float = math.inf) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not least <= cast(float, value) <= most:
            self.wrong(key, f"is {value!r}, expected a number from {least:g} to {most:g}")
            return least
        return float(cast(float, value))

    def _flag(self, key: str, value: object) -> bool:
        if not isinstance(value, bool):
            self.wrong(key, f"is {value!r}, expected true or false")
        return bool(value)

    def _texts(self, key: str, value: object) -> tuple[str, ...]:
        texts = _list(value)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in texts):
            self.wrong(key, f"is {value!r}, expected a list of words")
        return tuple(map(str, texts))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _values(value: object) -> Mapping[str, Scalar]:
    return cast("Mapping[str, Scalar]", value) if isinstance(value, Mapping) else {}


def _filled(template: Scalar, values: Mapping[str, Scalar]) -> Scalar:
    """Return *template* with *values* put in; a placeholder that stands alone gives the value as it is."""
    if not isinstance(template, str):
        return template
    parts = list(string.Formatter().parse(template))
    if len(parts) == 1:
        literal, name, spec, conversion = parts[0]
        if name is not None and not literal and not spec and conversion is None:
            return values[name]
    return template.format_map(values)
