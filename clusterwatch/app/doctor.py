"""This installation to findings: what works here, what is worth knowing, what needs a hand. Changes nothing.

Each check is one function in `CHECKS`; what one does not foresee is its own finding and stops no other.
"""

from __future__ import annotations

import ctypes
import http.client
import importlib.util
import json
import os
import platform
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from clusterwatch import detect, plugins, resources
from clusterwatch.app import device_tools, wiring
from clusterwatch.app.findings import Finding, State, Surroundings
from clusterwatch.errors import ClusterWatchError, StoreError
from clusterwatch.model import Collected
from clusterwatch.seams import Clock, Collector, Site, WatchedJob
from clusterwatch.store import migrations

OLDEST_PYTHON = (3, 11)
ROOM_NEEDED_BYTES = 100_000_000
ROOM_WANTED_BYTES = 2_000_000_000
ANSWER_SECONDS = 3.0

# No clock that is right shows a time before this program was written.
_WRITTEN_AT = datetime(2026, 1, 1, tzinfo=UTC)
_CLOCK_NOT_SYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)


Check = Callable[[Surroundings], Iterator[Finding]]


def examine(around: Surroundings) -> list[Finding]:
    """Return what every check finds, in the order of `CHECKS`."""
    return [finding for name, check in CHECKS.items() for finding in _findings(name, check, around)]


def has_problems(findings: list[Finding]) -> bool:
    """Whether something has to be done."""
    return any(finding.state is State.PROBLEM for finding in findings)


def _findings(name: str, check: Check, around: Surroundings) -> list[Finding]:
    try:
        return list(check(around))
    # Whoever runs this has trouble already: a check that stumbles must not hide what the others found.
    except Exception as error:
        return [Finding(name, State.PROBLEM, f"could not be checked: {type(error).__name__}: {error}")]


def _python(around: Surroundings) -> Iterator[Finding]:
    version = platform.python_version()
    if sys.version_info >= OLDEST_PYTHON:
        yield Finding("python", State.OK, f"Python {version}")
    else:
        yield Finding("python", State.PROBLEM, f"Python {version}", "install Python 3.11 or newer")


def _configuration(around: Surroundings) -> Iterator[Finding]:
    for mistake in around.mistakes.mistakes if around.mistakes else ():
        advice = "correct it; what follows was checked with the defaults"
        yield Finding("configuration", State.PROBLEM, str(mistake), advice)
    unknown = plugins.unknown_names(around.settings.collectors)
    for name in unknown:
        what = f"collectors.{name}: no installed collector has this name"
        yield Finding("configuration", State.PROBLEM, what, "correct the name, or install its package")
    if not around.mistakes and not unknown:
        yield Finding("configuration", State.OK, "every setting is valid")


def _rules(around: Surroundings) -> Iterator[Finding]:
    try:
        catalog = detect.compile_catalog(
            resources.catalog_texts(around.settings.rules_dir), around.settings.detect.profile
        )
    except ClusterWatchError as error:
        yield Finding("detection rules", State.PROBLEM, str(error), "correct the rules in rules_dir")
    else:
        yield Finding("detection rules", State.OK, f"{len(catalog.rules)} rules")


def _state_folder(around: Surroundings) -> Iterator[Finding]:
    folder = around.settings.state_dir
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        advice = "choose another with state_dir, or give this user the right to write there"
        yield Finding("state folder", State.PROBLEM, f"{there} cannot be written to", advice)
        return
    free = shutil.disk_usage(there).free
    what = f"{folder}{'' if there == folder else ' (made at the first start)'}, {free / 1e9:.1f} GB free"
    if free >= ROOM_WANTED_BYTES:
        yield Finding("state folder", State.OK, what)
    else:
        state = State.PROBLEM if free < ROOM_NEEDED_BYTES else State.NOTE
        yield Finding("state folder", state, what, "make room, or choose another disk with state_dir")


def _database(around: Surroundings) -> Iterator[Finding]:
    url = around.settings.database
    is_embedded = url.startswith("sqlite")
    if is_embedded and not Path(url.removeprefix("sqlite:///").partition("?")[0]).exists():
        yield Finding("database", State.NOTE, "not there yet; the first start makes it")
        return
    try:
        revision = migrations.current(url)
        if is_embedded and revision is None:
            yield Finding("database", State.NOTE, "empty; the next start makes its tables")
            return
        migrations.check(url)
    except StoreError as error:
        what, _, command = str(error).partition(": run ")
        advice = f"run {command}" if command else "correct the setting database, or see to its server or file"
        yield Finding("database", State.PROBLEM, what, advice)
    else:
        yield Finding("database", State.OK, f"answers, at version {revision}")


def _kernel_log(around: Surroundings) -> Iterator[Finding]:
    options = around.settings.collectors.get("kernel_log")
    path = Path(str((options.options if options else {}).get("path", around.root / "dev/kmsg")))
    try:
        _read_a_little(path)
    except FileNotFoundError:
        yield Finding("kernel log", State.NOTE, f"no {path} here: faults that only the kernel sees stay unseen")
    except OSError as error:
        restrict = around.root / "proc/sys/kernel/dmesg_restrict"
        is_restricted = restrict.is_file() and restrict.read_text().strip() == "1"
        why = " (kernel.dmesg_restrict is 1)" if is_restricted else ""
        advice = "run as root, or give the service CAP_SYSLOG and the file's group"
        yield Finding("kernel log", State.PROBLEM, f"{path} cannot be read: {error.strerror}{why}", advice)
    else:
        yield Finding("kernel log", State.OK, f"{path} can be read")


def _read_a_little(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.read(handle, 8192)
    except (BlockingIOError, BrokenPipeError):  # nothing new, or overwritten while it was read: it can be read
        return
    finally:
        os.close(handle)


def _driver(around: Surroundings) -> Iterator[Finding]:
    version = around.root / "proc/driver/nvidia/version"
    try:
        first = version.read_text().splitlines()[0]
    except (OSError, IndexError):
        yield Finding("NVIDIA driver", State.NOTE, "no NVIDIA driver here: GPUs are not watched")
    else:
        yield Finding("NVIDIA driver", State.OK, first.removeprefix("NVRM version: ").strip())


def _collectors(around: Surroundings) -> Iterator[Finding]:
    disabled = [name for name, options in around.settings.collectors.items() if not options.enabled]
    found, errors = plugins.collectors(disabled)
    yield from (Finding("collectors", State.PROBLEM, str(error), "reinstall it or disable it") for error in errors)
    yield from (Finding("collectors", State.NOTE, f"{name} is switched off") for name in sorted(disabled))
    jobs = tuple(WatchedJob(job.id, 1, None, tuple(job.log_paths), job.checkpoint_dir) for job in around.settings.jobs)
    site = wiring.site_of(around.settings, lambda: jobs)
    for collector in sorted(found, key=lambda each: each.name):
        yield _tried(collector, site(collector.name), around.clock)


def _tried(collector: Collector, site: Site, clock: Clock) -> Finding:
    name = f"collector {collector.name}"
    results: list[Collected | Exception] = []
    seconds = site.deadline_seconds or collector.deadline_seconds

    def look() -> None:
        try:
            results.append(collector.collect(site, {}, clock.now()))
        except Exception as error:  # somebody else's code: whatever it raises is what was found
            results.append(error)

    worker = threading.Thread(target=look, name=name, daemon=True)
    worker.start()
    worker.join(seconds)
    if not results:
        return Finding(name, State.PROBLEM, f"no answer within {seconds:g} s", "see what it waits for")
    collector.close()
    result = results[0]
    if isinstance(result, Exception):
        return Finding(name, State.PROBLEM, str(result) or type(result).__name__)
    if result.condition:
        return Finding(name, State.NOTE, result.condition)
    return Finding(name, State.OK, f"works, {len(result.readings)} readings")


def _port(around: Surroundings) -> Iterator[Finding]:
    server = around.settings.server
    place = f"{server.host}:{server.port}"
    if server.port == 0:
        yield Finding("port", State.OK, "any free one is taken at the start")
    elif (alive := _daemons_answer(server.host, server.port)) is not None:
        state = State.OK if alive else State.PROBLEM
        what = f"a ClusterWatch daemon answers on {place}{'' if alive else ' and says that it is stalled'}"
        yield Finding("port", state, what, "" if alive else "restart it and read its log")
    elif refusal := _why_not_bound(server.host, server.port):
        advice = "choose another with [server] port, or end what holds it"
        yield Finding("port", State.PROBLEM, f"{place} cannot be used: {refusal}", advice)
    else:
        yield Finding("port", State.OK, f"{place} is free")


def _daemons_answer(host: str, port: int) -> bool | None:
    """Return what a daemon of ours on *port* says of itself; None where none answers."""
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        told = json.loads(connection.getresponse().read(65_536))
        return told["alive"] if isinstance(told, dict) and isinstance(told.get("alive"), bool) else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _why_not_bound(host: str, port: int) -> str:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _reachable(around: Surroundings) -> Iterator[Finding]:
    warnings = around.settings.warnings()
    yield from (Finding("page and metrics", State.NOTE, warning) for warning in warnings)
    if not warnings:
        yield Finding("page and metrics", State.OK, "only this machine reaches them")


def _clock(around: Surroundings) -> Iterator[Finding]:
    now = around.clock.now()
    if now < _WRITTEN_AT:
        yield Finding(
            "clock", State.PROBLEM, f"it shows {now:%Y-%m-%d}", "set it, and keep it right with chrony or NTP"
        )
    elif _is_synchronised():
        yield Finding("clock", State.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC, synchronised")
    else:
        what = f"{now:%Y-%m-%d %H:%M:%S} UTC, and the kernel does not know it synchronised"
        yield Finding("clock", State.NOTE, what, "with several nodes, keep their clocks together with chrony or NTP")


def _is_synchronised() -> bool:
    # A zeroed struct timex asks and sets nothing; it is 208 bytes at most.
    question = ctypes.create_string_buffer(512)
    state: int = ctypes.CDLL(None).adjtimex(question)
    return 0 <= state < _CLOCK_NOT_SYNCHRONISED


def _extras(around: Surroundings) -> Iterator[Finding]:
    for module, extra, without in (
        ("hyperscan", "fast", "logs are searched more slowly"),
        ("grafana_client", "grafana", 'boards can be built and not pushed with "clusterwatch dashboards push"'),
    ):
        if importlib.util.find_spec(module):
            yield Finding(f"extra {extra}", State.OK, f"{module} is installed")
        else:
            what = f"{module} is not installed: {without}"
            yield Finding(f"extra {extra}", State.NOTE, what, f"pip install 'clusterwatch[{extra}]'")


CHECKS: dict[str, Check] = {
    "python": _python,
    "configuration": _configuration,
    "detection rules": _rules,
    "state folder": _state_folder,
    "database": _database,
    "kernel log": _kernel_log,
    "NVIDIA driver": _driver,
    "device tools": device_tools.findings,
    "collectors": _collectors,
    "port": _port,
    "page and metrics": _reachable,
    "clock": _clock,
    "extras": _extras,
}
"""Every check by its name, in the order in which its findings are told."""
