"""A kind of event to a more special kind: what the rest of its line says.

1. A rule recognises a line by its stable part ("Xid 48"); refinements read what stands behind it.
2. Of the refinements of a kind the first that fits counts, and the kind it gives may be refined further.
3. A more special kind begins with the one it refines, so that without a signal of its own it means the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from clusterwatch.detect.rules import Rule, field_name
from clusterwatch.detect.sightings import filled
from clusterwatch.model import Scalar


@dataclass(frozen=True, slots=True)
class Mask:
    """Bits that a number must have: *value* where *care* is set."""

    care: int
    value: int

    def fits(self, number: int) -> bool:
        """Return whether *number* has the bits."""
        return number & self.care == self.value


@dataclass(frozen=True, slots=True)
class Refinement:
    """When an event of a kind is of a more special kind. All conditions must hold.

    Attributes:
        kinds: Kinds it is tried on.
        to: The more special kind; may hold fields: "gpu.xid.{xid}.fatal".
        pattern: Searched in the line; its groups become fields. None: any line.
        when: Values, in lower case, one of which a field must have.
        bits: Bit numbers (0 is the lowest), one of which must be set in a field's number.
        masks: Bit patterns, one of which a field's number must fit.
        match: Example lines.
    """

    kinds: tuple[str, ...]
    to: str
    pattern: re.Pattern[str] | None = None
    when: Mapping[str, frozenset[str]] = field(default_factory=dict)
    bits: Mapping[str, frozenset[int]] = field(default_factory=dict)
    masks: Mapping[str, tuple[Mask, ...]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    match: tuple[str, ...] = ()
    file: str = ""

    def fields(self, known: Mapping[str, Scalar], line: str) -> Mapping[str, Scalar] | None:
        """Return *known* with what *line* adds, or None when a condition does not hold."""
        found = self.pattern.search(line) if self.pattern is not None else None
        if self.pattern is not None and found is None:
            return None
        groups = found.groupdict() if found is not None else {}
        fields = {**known, **{field_name(name): text for name, text in groups.items() if text is not None}}
        return fields if self._holds(fields) else None

    def _holds(self, fields: Mapping[str, Scalar]) -> bool:
        return all(
            chain(
                (str(fields.get(name, "")).lower() in values for name, values in self.when.items()),
                (_any_bit(fields.get(name), bits) for name, bits in self.bits.items()),
                (_any_mask(fields.get(name), masks) for name, masks in self.masks.items()),
            )
        )


class Refinements:
    """All refinements, by the kind they refine."""

    def __init__(self, refinements: Iterable[Refinement] = ()) -> None:
        self.all = tuple(refinements)
        self._of: dict[str, list[Refinement]] = {}
        for refinement in self.all:
            for kind in refinement.kinds:
                self._of.setdefault(kind, []).append(refinement)

    def may_refine(self, kind: str) -> bool:
        """Return whether a line may be of a more special kind than *kind*."""
        return kind in self._of

    def refined(self, kind: str, fields: Mapping[str, Scalar], line: str) -> tuple[str, Mapping[str, Scalar]]:
        """Return the most special kind that *line* of *kind* has, and *fields* with what was read on the way."""
        for refinement in self._of.get(kind, ()):
            more = refinement.fields(fields, line)
            special = _special(refinement.to, more) if more is not None else ""
            if more is not None and special.startswith(kind + "."):
                return self.refined(special, more, line)
        return kind, fields


def mask_from(text: str) -> Mask | None:
    """Return the mask that *text* writes, highest bit first: 0, 1, or - for any; None when it is none."""
    if not re.fullmatch(r"[01-]{1,64}", text):
        return None
    return Mask(
        int(text.replace("0", "1").replace("-", "0"), 2),
        int(text.replace("-", "0"), 2),
    )


def fields_known(refinement: Refinement, rules: Iterable[Rule], others: Iterable[Refinement]) -> frozenset[str]:
    """Return the names of the fields that *refinement* may ask for: its own, and those of what gives its kinds."""
    patterns = [refinement.pattern] if refinement.pattern is not None else []
    for kind in refinement.kinds:
        patterns += [rule.pattern for rule in rules if _leads_to(rule.kind, kind)]
        patterns += [each.pattern for each in others if each.pattern is not None and _leads_to(each.to, kind)]
    return frozenset(field_name(group) for pattern in patterns for group in pattern.groupindex)


def _leads_to(template: str, kind: str) -> bool:
    """Return whether events of *kind* may have come through the kind that *template* gives."""
    fixed, is_open, _ = template.partition("{")
    return f"{kind}.".startswith(fixed) if is_open else f"{kind}.".startswith(f"{fixed}.")


def _special(template: str, fields: Mapping[str, Scalar]) -> str:
    words = {name: re.sub(r"\W+", "_", str(value).lower()).strip("_") for name, value in fields.items()}
    return filled(template, words)


def _any_bit(value: Scalar, bits: Iterable[int]) -> bool:
    number = _number(value)
    return number is not None and any(number >> bit & 1 for bit in bits)


def _any_mask(value: Scalar, masks: Iterable[Mask]) -> bool:
    number = _number(value)
    return number is not None and any(mask.fits(number) for mask in masks)


def _number(value: Scalar) -> int | None:
    """Return the number that a register's text holds, such as "0x004505c6"; None where it holds none."""
    try:
        return int(str(value), 0)
    except ValueError:
        return None
