"""Processors to verdicts: each is given a small sum, and told where it does not answer or answers wrongly.

A processor that is locked up runs nothing any more, which the kernel tells late or never; one that computes wrongly
tells nothing: https://research.google/pubs/cores-that-dont-count/ .
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from clusterwatch.app.verdicts import Verdict, readings_of
from clusterwatch.model import Collected
from clusterwatch.seams import Site

NAME = "processors"
"""Name of the check, and source of its readings."""

CHECKED, STUCK, WRONG = "scan.checked", "scan.processor_stuck", "scan.processor_wrong"
"""Subjects of the readings."""

MOST_SECONDS = 10.0
"""So long a processor may take: it takes 10 ms where nothing else runs."""

_CHILD = Path(__file__).parent / "children" / "processors.py"
_MARGIN_SECONDS = 1.0


def computed(site: Site, now: datetime, seconds: float) -> Collected:
    """Return what the processors of this node made of their sums, within *seconds*.

    Raises:
        TimeoutError: Not even the process that asks them came to its end.
    """
    request = json.dumps({"seconds": max(min(MOST_SECONDS, seconds - 2 * _MARGIN_SECONDS), seconds / 2)})
    child = subprocess.Popen((sys.executable, "-I", str(_CHILD), request), stdout=subprocess.PIPE)
    told = _line_of(child, seconds)
    if not told:
        return Collected(condition=f"processors could not be asked: exit code {child.wait()}")
    verdicts = judged(json.loads(told))
    return Collected(readings_of(NAME, site, now, verdicts))


def _line_of(child: subprocess.Popen[bytes], seconds: float) -> bytes:
    """Return the line that *child* printed; what hangs in a processor may keep it from ending."""
    assert child.stdout is not None
    with child.stdout as pipe:
        if not select.select([pipe], [], [], seconds)[0]:
            child.kill()
            raise TimeoutError(f"no answer within {seconds:g} s")
        return pipe.readline()


def judged(answer: Mapping[str, object]) -> list[Verdict]:
    """Return what the child's *answer* says of the node."""
    silent, wrong = _numbers(answer.get("silent")), _numbers(answer.get("wrong"))
    return list(_verdicts(silent, wrong)) or [(CHECKED, f"{answer.get('processors')} processors right", {})]


def _verdicts(silent: Sequence[int], wrong: Sequence[int]) -> Iterator[Verdict]:
    if silent:
        names = ",".join(map(str, silent))
        yield STUCK, f"{len(silent)} processors did not answer: {names}", {"processors": names}
    if wrong:
        names = ",".join(map(str, wrong))
        yield WRONG, f"{len(wrong)} processors computed wrongly: {names}", {"processors": names}


def _numbers(value: object) -> list[int]:
    return [each for each in value if isinstance(each, int)] if isinstance(value, list) else []
