"""GPUs to verdicts, by computing what has a known answer: the only check that sees silent data corruption.

1. A product of whole numbers has one right result, whatever the GPU and the order it adds in.
2. The same product must give the same bits each time, on a GPU and among GPUs of one kind.
3. A GPU that could not compute is told apart from one that computed wrongly, and from one that had no room.

Why this is worth its seconds: cores that compute wrongly without any error exist in every large fleet,
https://arxiv.org/abs/2102.11245 .
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from clusterwatch.app.verdicts import Verdict, readings_of
from clusterwatch.model import Collected, Scalar
from clusterwatch.seams import Site

NAME = "known_answers"
"""Name of the check, and source of its readings."""

CHECKED, WRONG, UNSTABLE, FAILED, NO_ROOM = (
    "scan.checked",
    "scan.wrong_answer",
    "scan.unstable_answer",
    "scan.computation_failed",
    "scan.no_room",
)
"""Subjects of the readings."""

GPU_SIZE, CPU_SIZE = 2048, 256
"""Rows of the matrices: on a GPU enough for all its multiprocessors to take part."""

# SHA-256, its first half, of the product as 64-bit integers, by size of the matrix. A test computes them another way.
ANSWERS: Mapping[int, Mapping[str, str]] = {
    CPU_SIZE: {
        "float64": "a8069d46fe92dae01d6f7fe984e079e9",
        "float32": "8a4e1307ca7c3d98a8a64fb6a760dca3",
        "tf32": "8a4e1307ca7c3d98a8a64fb6a760dca3",
        "float16": "c9f84f8fb051ed85909d8c306440611c",
        "bfloat16": "c9f84f8fb051ed85909d8c306440611c",
    },
    GPU_SIZE: {
        "float64": "f256e71e7b150831465cb4eef9bfbb05",
        "float32": "ed52353ad85d4391ba431bb499f872d5",
        "tf32": "ed52353ad85d4391ba431bb499f872d5",
        "float16": "dbcd4c09233c548883197f90d5b8ec9a",
        "bfloat16": "dbcd4c09233c548883197f90d5b8ec9a",
    },
}

# Two GPUs that differ do not say which is wrong.
LEAST_FOR_A_MAJORITY = 3

_CHILD = Path(__file__).parent / "children" / "known_answers.py"
_OUT_OF_MEMORY = ("outofmemoryerror", "out of memory")
_KILL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Device:
    """What one device did.

    Attributes:
        id: As the child numbers it.
        identity: What names the part: index, pci, uuid, name; empty for a CPU.
        digests: Of the results, in the order of the rounds, by problem.
        error: Why it could not go on; "" when it could.
    """

    id: str
    identity: Mapping[str, Scalar] = field(default_factory=dict)
    digests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a run of the child told.

    Attributes:
        devices: In the child's order.
        condition: Why nothing can compute here; "" when something can.
        is_done: The child came to its end.
        busy: Id of the device that it was at last.
    """

    devices: tuple[Device, ...] = ()
    condition: str = ""
    is_done: bool = False
    busy: str = ""

    def ended(self, how: str) -> tuple[Device, ...]:
        """Return the devices, the one at work with the error that it never ended where the child did not."""
        if self.is_done:
            return self.devices
        why = f"the computation did not end: {how}"
        return tuple(replace(each, error=each.error or why) if each.id == self.busy else each for each in self.devices)


def computed(site: Site, now: datetime, seconds: float, *, python: str, device: str, rounds: int) -> Collected:
    """Return what each GPU of this node made of its sums, within *seconds*.

    Args:
        python: Interpreter that has torch; "" for the one that runs this.
        device: "gpu" or "cpu".
        rounds: How often each product is computed; at least 2 show what does not repeat.
    """
    size = CPU_SIZE if device == "cpu" else GPU_SIZE
    request = json.dumps({"device": device, "size": size, "rounds": rounds})
    lines, ending = _run((python or sys.executable, str(_CHILD), request), seconds)
    answered = answers_in(lines)
    if answered.condition:
        return Collected(condition=answered.condition)
    verdicts = list(judged(answered.ended(ending), size))
    if not answered.busy:
        verdicts.append((FAILED, f"the computation did not begin: {ending}", {}))
    return Collected(readings_of(NAME, site, now, verdicts))


def answers_in(lines: Iterable[str]) -> Answered:
    """Return what the child's *lines* say; lines of others, such as warnings of libraries, are passed over."""
    identities: dict[str, Mapping[str, Scalar]] = {}
    digests: dict[str, dict[str, list[str]]] = {}
    errors: dict[str, str] = {}
    condition, busy, is_done = "", "", False
    for answer in _objects(lines):
        device = str(answer.get("device", ""))
        condition = str(answer.get("condition", condition))
        is_done = is_done or bool(answer.get("done"))
        busy = device if "begins" in answer else busy
        if "name" in answer:
            identities[device] = {name: value for name, value in answer.items() if name != "device"}
        if "digest" in answer:
            digests.setdefault(device, {}).setdefault(str(answer["problem"]), []).append(str(answer["digest"]))
        if "error" in answer:
            errors[device] = str(answer["error"])
    devices = (
        Device(
            device,
            identity,
            {problem: tuple(each) for problem, each in digests.get(device, {}).items()},
            errors.get(device, ""),
        )
        for device, identity in identities.items()
    )
    return Answered(tuple(devices), condition, is_done, busy)


def judged(devices: Sequence[Device], size: int) -> Iterator[Verdict]:
    """Yield one verdict per device: the gravest that its results allow."""
    common = _majorities(devices)
    for device in devices:
        wrong = sorted(_wrong(device, ANSWERS.get(size, {}), common))
        unstable = sorted(problem for problem, each in device.digests.items() if len(set(each)) > 1)
        named = {name: device.identity.get(name) for name in ("index", "pci", "uuid", "name")}
        part = named if device.id != "cpu" else {"name": "cpu"}
        if wrong:
            yield WRONG, f"{_label(device)}: wrong result of {', '.join(wrong)}", part
        elif unstable:
            yield UNSTABLE, f"{_label(device)}: results of {', '.join(unstable)} differ from run to run", part
        elif device.error:
            has_no_room = any(words in device.error.lower() for words in _OUT_OF_MEMORY)
            yield NO_ROOM if has_no_room else FAILED, f"{_label(device)}: {device.error}", part
        else:
            count = sum(map(len, device.digests.values()))
            yield CHECKED, f"{_label(device)}: {count} products right", part


def _wrong(device: Device, known: Mapping[str, str], common: Mapping[tuple[str, str], str]) -> Iterator[str]:
    kind = _kind(device)
    for problem, each in device.digests.items():
        right = known.get(problem) or common.get((kind, problem))
        # Of a problem without a known answer only a stable difference is laid to the device; the other is unstable.
        if right and (set(each) != {right} if problem in known else right not in each):
            yield problem


def _majorities(devices: Sequence[Device]) -> dict[tuple[str, str], str]:
    """Return, by kind of device and problem, the digest that most devices of that kind agree on."""
    votes: dict[tuple[str, str], list[str]] = {}
    for device in devices:
        for problem, each in device.digests.items():
            votes.setdefault((_kind(device), problem), []).append(each[0])
    return {
        voters: winner
        for voters, each in votes.items()
        for winner, count in Counter(each).most_common(1)
        if len(each) >= LEAST_FOR_A_MAJORITY and count > len(each) / 2
    }


def _kind(device: Device) -> str:
    """Libraries choose how to multiply by the model and by how much of it there is."""
    return f"{device.identity.get('name')}/{device.identity.get('multiprocessors')}"


def _label(device: Device) -> str:
    return "CPU" if device.id == "cpu" else f"GPU {device.identity.get('index')}"


def _objects(lines: Iterable[str]) -> Iterator[Mapping[str, Scalar]]:
    for line in lines:
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict):
            yield answer


def _run(command: Sequence[str], seconds: float) -> tuple[list[str], str]:
    """Return the lines that *command* printed, and how it ended, in words."""
    # cuBLAS repeats its results only with a fixed workspace; and nothing is imported from the folder we are in.
    environment = {**os.environ, "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONSAFEPATH": "1"}
    try:
        child = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
        )
    except OSError as error:
        return [json.dumps({"condition": f"{command[0]} cannot be started: {error.strerror}"})], ""
    try:
        told, complaints = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return _killed(child), f"no answer within {seconds:g} s"
    last = complaints.strip().splitlines()[-1:] or [""]
    return told.splitlines(), f"exit code {child.returncode} {last[0]}".strip()


def _killed(child: subprocess.Popen[str]) -> list[str]:
    """Return what the child printed so far. One that hangs inside the driver is left to end when that lets go of it."""
    child.kill()
    try:
        return child.communicate(timeout=_KILL_SECONDS)[0].splitlines()
    except subprocess.TimeoutExpired:
        return []
