"""Frozen records from values that are known to be right, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, make_dataclass
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")


def maker(type_: type[T]) -> Callable[[Iterable[object]], T]:
    """Return what makes a *type_* of the values of all its fields, in the order of the fields.

    For frozen records with slots, where there are very many of them: calling the type takes ten times as long, because
    it goes through `object.__setattr__` by name for each field. Here a twin that is not frozen takes the values, and
    becomes one. Nothing is checked but the count.

    Raises:
        TypeError: By what is returned, if there are more or fewer values than fields.
    """
    names = [each.name for each in fields(type_)]  # type: ignore[arg-type] # T is a dataclass
    twin: Any = make_dataclass(f"Unfrozen{type_.__name__}", names, slots=True, eq=False, repr=False)

    def made(values: Iterable[object]) -> T:
        record = twin(*values)
        # Both have the same slots, so that Python lets the one become the other.
        record.__class__ = type_
        return record  # type: ignore[no-any-return] # it is of that type now

    return made


def changer(type_: type[T]) -> Callable[[T, Mapping[str, object]], T]:
    """Return what makes a *type_* like another but for some fields, as `dataclasses.replace` does, but faster.

    Raises:
        KeyError: By what is returned, if there is no such field.
    """
    names = [each.name for each in fields(type_)]  # type: ignore[arg-type] # T is a dataclass
    place, values_of, made = {name: at for at, name in enumerate(names)}, attrgetter(*names), maker(type_)

    def changed(record: T, changes: Mapping[str, object]) -> T:
        values = list(values_of(record))
        for name, value in changes.items():
            values[place[name]] = value
        return made(values)

    return changed


def replace(record: T, **changes: Any) -> T:
    """Return *record*, frozen and with slots, with some fields changed: as `dataclasses.replace` does, but faster.

    Raises:
        KeyError: If there is no such field.
    """
    type_ = type(record)
    if type_ not in _CHANGERS:
        _CHANGERS[type_] = changer(type_)
    changed: T = _CHANGERS[type_](record, changes)
    return changed


_CHANGERS: dict[type[Any], Callable[[Any, Mapping[str, object]], Any]] = {}
"""By type, of which there are as many as the model has."""
