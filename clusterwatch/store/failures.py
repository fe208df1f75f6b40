"""What a database says when it fails, to whose fault it is and what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import exc

from clusterwatch.errors import StoreError

_UPGRADE = 'run "clusterwatch db upgrade"'

# The first needle found in the message decides; special before general.
_NEEDLES: tuple[tuple[str, str], ...] = (
    ("database is locked", "another process holds it locked: stop that process or wait, then try again"),
    ("lock timeout", "another session holds it locked: end that session or wait, then try again"),
    ("database or disk is full", "no space is left: free some; what was recorded before is safe"),
    ("no space left on device", "no space is left on the server: free some; what was recorded before is safe"),
    ("disk i/o error", "the disk failed or is full: look at the kernel log of this machine"),
    ("unable to open database file", "cannot be opened: its folder is missing or not permitted"),
    ("not a database", "is not a ClusterWatch database, or is damaged: restore a copy or name another file"),
    ("malformed", "is damaged: restore a copy or name another file"),
    ("readonly database", "may not be written: make the file and its folder writable for this user"),
    ("read-only transaction", "the server takes no writes: name the primary, not a standby"),
    ("connection refused", "nothing answers there: start PostgreSQL or correct the address"),
    ("timeout expired", "does not answer in time: check the address, the network and the firewall"),
    ("resolve host", "the host name is unknown: correct the address"),
    ("translate host name", "the host name is unknown: correct the address"),
    ("password", "refuses the user or the password: correct the URL"),
    ("no pg_hba.conf entry", "does not let this user in from here: extend pg_hba.conf or correct the URL"),
    ('role "', "does not know this user: create the role or correct the URL"),
    ("no such table", f"has no ClusterWatch tables: {_UPGRADE}"),
    ('relation "', f"has no ClusterWatch tables: {_UPGRADE}"),
    ("no such column", f"has tables of another version: {_UPGRADE}"),
    ("permission denied", "this user may not do that: grant it the tables"),
    ("too many", "has no connection left: raise max_connections or run fewer servers"),
    ("does not exist", "does not exist: create it or correct the URL"),
)

_THE_WORLDS_FAULT = (
    *(exc.OperationalError, exc.InterfaceError, exc.TimeoutError),
    *(sqlite3.OperationalError, psycopg.OperationalError, psycopg.InterfaceError),
)


def store_error(error: BaseException, place: str) -> StoreError | None:
    """Return *error* as a StoreError about the database at *place*; None if it is a programming mistake."""
    said = str(getattr(error, "orig", None) or error).strip()
    for needle, advice in _NEEDLES:
        if needle in said.lower():
            # The line that says it: below it may stand the statement with a caret, above it what was tried before.
            line = next((line for line in reversed(said.splitlines()) if needle in line.lower()), said)
            return StoreError(f"database {place}: {advice} ({line.strip()})")
    if isinstance(error, _THE_WORLDS_FAULT):
        return StoreError(f"database {place} failed: {said}")
    return None


@contextmanager
def plain_errors(place: str) -> Iterator[None]:
    """Raise what a database says inside as a StoreError; let programming mistakes through."""
    try:
        yield
    except (exc.DBAPIError, exc.TimeoutError, sqlite3.Error, psycopg.Error) as error:
        plain = store_error(error, place)
        if plain is None:
            raise
        raise plain from error
