"""The days of the events table on PostgreSQL; a day without a partition goes to the default one."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import sqlalchemy as sa

from clusterwatch.store.migrations import UPGRADE_LOCK

DAYS_AHEAD = 7

_EXISTING = sa.text(
    "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
    "where i.inhparent = 'events'::regclass and c.relname ~ '^events_[0-9]{8}$' order by 1"
)
_HAS_ROWS = sa.text("select exists (select 1 from events_default where observed_at >= :start and observed_at < :end)")


def make_days_ahead(connection: sa.Connection, now: datetime) -> None:
    """Make the partitions of today and the next days, where they are missing."""
    _wait_a_little(connection)
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
    existing = set(connection.scalars(_EXISTING))
    today = now.astimezone(UTC).date()
    for day in (today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)):
        if _name(day) not in existing and not _default_holds(connection, day):
            _make(connection, day)


def drop_days_before(connection: sa.Connection, before: datetime) -> int:
    """Drop the partitions that hold only events observed earlier than *before*; return how many events they held."""
    _wait_a_little(connection)
    past = [name for name in connection.scalars(_EXISTING) if _day(name) < before.astimezone(UTC).date()]
    return sum(_drop(connection, name) for name in past)


def _wait_a_little(connection: sa.Connection) -> None:
    # Writers queue behind a partition change that waits for a long reader.
    connection.execute(sa.text("set local lock_timeout = '5s'"))


def _name(day: date) -> str:
    return f"events_{day:%Y%m%d}"


def _day(name: str) -> date:
    return date.fromisoformat(name.removeprefix("events_"))


def _bounds(day: date) -> dict[str, datetime]:
    start = datetime.combine(day, time.min, UTC)
    return {"start": start, "end": start + timedelta(days=1)}


def _default_holds(connection: sa.Connection, day: date) -> bool:
    # PostgreSQL refuses a partition whose rows lie in the default one already; they are well where they are.
    return bool(connection.scalar(_HAS_ROWS, _bounds(day)))


def _make(connection: sa.Connection, day: date) -> None:
    # Attaching a ready table lets readers and writers go on; creating it as a partition would stop them.
    bounds = "FOR VALUES FROM ('{start}') TO ('{end}')".format(**_bounds(day))
    connection.execute(sa.text(f"CREATE TABLE {_name(day)} (LIKE events INCLUDING DEFAULTS)"))
    connection.execute(sa.text(f"ALTER TABLE events ATTACH PARTITION {_name(day)} {bounds}"))


def _drop(connection: sa.Connection, name: str) -> int:
    held: int = connection.execute(sa.text(f"select count(*) from {name}")).scalar_one()  # noqa: S608 - a name read from the catalogue
    connection.execute(sa.text(f"DROP TABLE {name}"))
    return held
