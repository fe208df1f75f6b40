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
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import TypeVar, cast

from clusterwatch.errors import ConfigError, Mistake
from clusterwatch.model import Cause, ComponentKind, Scalar
from simulators.fleet_lines import (
    DERIVED,
    EXAMPLE_VALUES,
    Blast,
    FaultKind,
    FleetLine,
    FleetSample,
    FleetVariant,
    Harm,
    LineWho,
    SampleWho,
    Stands,
    filled,
)

__all__ = [
    "DERIVED",
    "EXAMPLE_VALUES",
    "Blast",
    "FaultKind",
    "FleetLine",
    "FleetSample",
    "FleetVariant",
    "Harm",
    "LineWho",
    "SampleWho",
    "Stands",
    "families",
    "fault_kinds",
    "read_tables",
]

JOB_WIDE = "job_wide.toml"
REGULAR = "regular.toml"


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
_KIND_KEYS = frozenset(
    {"cause", "share", "component", "harm", "exit_code", "stays", "peers", "blast", "stands", "variant"}
)


# Who ended leaves no dump; whose part does not answer holds up a call that all have made.
_STANDS = {"crash": Stands.MUTE, "node_down": Stands.MUTE}


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
            self._word(f"{name}.stands", row.get("stands", _STANDS.get(str(row.get("harm")), Stands.ALIKE)), Stands),
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
        values = {**_values(regular.get("values")), **_values(table.get("before"))}
        # What is an event by itself, such as an Xid, has no regular sample.
        before = {**names, **values} if values else {}
        fields = {**(names if table.get("alone") or not before else before), **_values(table.get("fields"))}
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
            filled(cast(Scalar, template), EXAMPLE_VALUES)
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
