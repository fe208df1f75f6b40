"""End processes for sure: politely first, then by SIGKILL, and say so when even that does not help."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress

import psutil

from clusterwatch.errors import ActionError

KILLED_WITHIN_SECONDS = 5.0
"""SIGKILL works at once but for a process that waits for a dead device."""

LOOK_EVERY_SECONDS = 0.02
"""How often it is looked whether processes that were told to end have ended."""


def exit_code(child: subprocess.Popen[bytes]) -> int | None:
    """Return how *child* ended, negative for a signal, without taking its exit status away; None while it runs."""
    if child.returncode is not None:
        return child.returncode
    try:
        ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        # Another thread, which ends it, has just taken its exit status.
        return child.poll()
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def end_session(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """End *child* and what it started.

    Raises:
        ActionError: One of them survived SIGKILL.
    """
    descendants = _descendants(child.pid)
    # A stopped process never takes SIGTERM, and its launcher would wait for it in vain.
    _kill(process for process in descendants if _is_stopped(process.pid))
    signal_session(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(0 if _is_stopped(child.pid) else grace_seconds)
    left = {*descendants, *_descendants(child.pid)}
    _kill(left)
    # Only now its own kill: while it lives, what it started can be found through it.
    child.kill()
    try:
        child.wait(KILLED_WITHIN_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ActionError(f"process {child.pid} did not end within {error.timeout:g} s of SIGKILL") from error
    _bury_all(left)


def _is_stopped(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP))
    except psutil.NoSuchProcess:
        return False


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        # One that has gone meanwhile needs no killing; one that may not be killed is seen to be left.
        with suppress(psutil.Error):
            process.kill()


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def signal_session(pid: int, number: signal.Signals) -> None:
    """Pass a signal on to the session that *pid* leads; one that has ended needs none."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def processes_of(job_id: str, spared_attempt: str) -> list[psutil.Process]:
    """Return our own user's processes that were started for *job_id*, by their environment."""
    found = []
    for process in psutil.process_iter():
        # What is gone by now, or is not for us to look into, is not ours to end.
        with suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.uids().real != os.getuid():
                continue
            environment = process.environ()
            is_of_job = environment.get("CLUSTERWATCH_JOB_ID") == job_id
            if is_of_job and environment.get("CLUSTERWATCH_ATTEMPT") != spared_attempt:
                found.append(process)
    return found


def end_all(processes: Sequence[psutil.Process], grace_seconds: float) -> None:
    """End *processes*: politely first, surely after the grace.

    Raises:
        ActionError: One of them survived SIGKILL.
    """
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    _kill(_left_of(processes, grace_seconds))
    _bury_all(processes)


def _bury_all(processes: Iterable[psutil.Process]) -> None:
    left = _left_of(processes, KILLED_WITHIN_SECONDS)
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        raise ActionError(f"process {pids} did not end within {KILLED_WITHIN_SECONDS:g} s of SIGKILL")


def _left_of(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Return those of *processes* that still run when all have ended or *seconds* are over."""
    nothing = threading.Event()
    left = [process for process in processes if runs(process)]
    for _ in range(int(seconds / LOOK_EVERY_SECONDS)):
        if not left:
            break
        nothing.wait(LOOK_EVERY_SECONDS)
        left = [process for process in left if runs(process)]
    return left


def runs(process: psutil.Process) -> bool:
    """Whether *process* can still do anything; one that ended may wait for a parent that never asks."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
