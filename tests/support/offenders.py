"""Many checks in one test, with every one that does not hold named."""

from __future__ import annotations

from collections.abc import Iterable


def assert_none(offenders: Iterable[str]) -> None:
    """Fail with each of *offenders* on a line of its own, however many they are; pass where there is none."""
    named = list(offenders)
    assert not named, "\n".join([f"{len(named)} do not hold:", *named])
