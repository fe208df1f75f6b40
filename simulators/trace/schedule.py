"""A schedule of what happens to a cluster, from and to the lines of a trace file."""

from collections.abc import Iterable

from simulators.trace.records import (
    FORMAT,
    RECORD_TYPES,
    VERSION,
    Assumption,
    Fault,
    Follows,
    JobPlan,
    Noise,
    PlannedStop,
    Record,
    Schedule,
    header,
    in_order,
    lines,
)

__all__ = [
    "FORMAT",
    "RECORD_TYPES",
    "VERSION",
    "Assumption",
    "Fault",
    "Follows",
    "JobPlan",
    "Noise",
    "PlannedStop",
    "Record",
    "Schedule",
    "header",
    "in_order",
    "lines",
    "read",
]


def read(texts: Iterable[str | bytes], origin: str = "trace") -> Schedule:
    """Return the schedule that the lines *texts* hold; *origin* is what it is called in mistakes.

    Raises:
        ConfigError: The file is wrong; holds all mistakes, each with its line.
    """
    # What reads files costs pydantic; a schedule that is made here needs the standard library only.
    from simulators.trace.reading import schedule_in

    return schedule_in(texts, origin)
