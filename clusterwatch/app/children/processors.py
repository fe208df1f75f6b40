"""A small sum with a known answer on each processor, each in a process of its own. Needs Python alone.

A processor that is locked up never runs what is bound to it, and nothing that is bound to it can be waited for: so each
writes its answer into one pipe, and whoever has not written in time is told as silent. Run as
`processors.py '{"seconds": 5}'`; the answer is one line of JSON.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from contextlib import suppress

ROUNDS = 20_000
ANSWER = 3_707_682_769
"""What `work` gives on a processor that computes rightly."""


def main() -> None:
    """Answer the request on the command line."""
    seconds = json.loads(sys.argv[1])["seconds"]
    processors = sorted(os.sched_getaffinity(0))
    answers, children = asked(processors, seconds)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    silent = [each for each in processors if each not in answers]
    wrong = sorted(each for each, answer in answers.items() if answer != ANSWER)
    print(json.dumps({"processors": len(processors), "silent": silent, "wrong": wrong}), flush=True)
    # Children that hang in a processor are not waited for.
    os._exit(0)


def asked(processors: list[int], seconds: float) -> tuple[dict[int, int], list[int]]:
    """Return the answers until none came for *seconds*, by processor, and the ids of the processes."""
    reading, writing = os.pipe()
    children = [_started(each, writing) for each in processors]
    answers: dict[int, int] = {}
    told = b""
    while len(answers) < len(processors) and select.select([reading], [], [], seconds)[0]:
        *lines, told = (told + os.read(reading, 65_536)).split(b"\n")
        answers |= {int(name): int(answer) for name, answer in map(bytes.split, lines)}
    return answers, children


def work() -> int:
    """Return a number that depends on every step before it."""
    number = 1
    for step in range(ROUNDS):
        number = (number * 1_103_515_245 + 12_345 + step) & 0xFFFFFFFF
    return number


def _started(processor: int, writing: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.sched_setaffinity(0, {processor})
        os.write(writing, b"%d %d\n" % (processor, work()))
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
