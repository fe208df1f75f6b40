"""Texts of several lines to one finding: Python tracebacks and torchelastic's table of failures.

1. A text begins where its first line is seen; what stands before it there stands before its other lines too. A
   traceback whose beginning was cut off begins with its first frame.
2. Its own lines are consumed. Lines of others in between are passed on; too many of them end it.
3. A traceback ends with the exception's line, which is passed on too: the rules look at it first. One that ends
   otherwise, and in which no line named an exception, was cut off: a program failed, and nobody knows how.
4. An exception that Python says it ignored, as when the program ends, is none.
5. A table of failures tells each failed rank when its "traceback" or "msg" line is seen.
5. A heading names what the next lines are about; they are passed on. The next heading, or any other text, ends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from clusterwatch.detect.state import Assembly
from clusterwatch.model import Component, Scalar

MOST_STRANGERS = 60
MOST_UNDER_HEADING = 400
"""Lines that a heading holds for; a GPU's part of "nvidia-smi -q" has about 200."""

_IGNORED = "Exception ignored in"
_TRACEBACK_WORDS = "Traceback (most recent call last):"
_TRACEBACK = re.compile(re.escape(_TRACEBACK_WORDS))
_FRAME = re.compile(r'\s+File "(?P<path>[^"]*)", line (?P<line>\d+)')
_IN_FRAME = '", line '
_FRAME_OF_CUT = re.compile(r'\s{1,2}File "[^"]{1,400}", line \d+, in ')
_NAMES_EXCEPTION = re.compile(r"[a-z](?:Error|Exception|Interrupt)\b")
_CHAINED = re.compile(r"During handling of the above exception|The above exception was the direct cause")
_EXCEPTION = re.compile(
    r"(?P<exception>(?:[A-Za-z_]\w*\.)*(?:[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Timeout|Failure|Warning)"
    r"|[A-Z][a-z0-9]+[A-Z]\w*|(?<=\.)[A-Z]\w*))(?:: ?(?P<message>.*))?$"
)
_ROOT = "Root Cause (first observed failure)"
_FAILURES = re.compile(r"^\s*Failures:\s*$")
_RULER = re.compile(r"^\s*[=*]{8,}\s*$")
_VALUE = re.compile(r"^\s*(?P<name>host|rank|exitcode|error_file|time|traceback|msg)\s*: ?(?P<value>.*)$")
_RANK = re.compile(r"(?P<rank>\d+) \(local_rank: (?P<local_rank>\d+)\)")
_EXIT = re.compile(r"(?P<exit_code>-?\d+) \(pid: (?P<pid>\d+)\)")


@dataclass(frozen=True, slots=True)
class Assembled:
    """What one line did: what is still open, whether the line was consumed, and what it completed.

    *exception* holds exception, message and where; *failure* what torchelastic says of a rank, with "root"; *cut_at*
    is the last frame of a traceback that was given up without its exception.
    """

    open: Assembly | None
    consumed: bool = False
    exception: dict[str, Scalar] = field(default_factory=dict)
    failure: dict[str, Scalar] = field(default_factory=dict)
    cut_at: str = ""


NOTHING_OPEN = Assembled(None)
"""What a line does that opens no text, where none is open."""


def may_open(line: str) -> bool:
    """Return whether *line* may begin a text; one that may not, where none is open, changes nothing."""
    has_words = _TRACEBACK_WORDS in line or _IGNORED in line or _ROOT in line
    return has_words or "Failures:" in line or _IN_FRAME in line


def assemble(assembly: Assembly | None, line: str, rank: int | None) -> Assembled:
    """Return what *line* does to the text that is open in its stream."""
    begins = _TRACEBACK.search(line) if _TRACEBACK_WORDS in line else None
    if assembly is not None and assembly.form == "elastic":
        return _in_table(assembly, line, rank)
    if begins:
        return Assembled(_traceback(assembly, line[: begins.start()], rank), consumed=True)
    if _IGNORED in line:
        return Assembled(_begin("ignored", "", rank), consumed=True)
    if assembly is not None and assembly.form == "ignored":
        assembly = None
    if _ROOT in line or ("Failures:" in line and _FAILURES.match(line)):
        prefix = line.partition(_ROOT)[0] if _ROOT in line else ""
        return Assembled(replace(_begin("elastic", prefix, rank), values=_section(line)), consumed=True)
    if assembly is not None and assembly.form != "heading":
        return _in_traceback(assembly, line)
    cut = _FRAME_OF_CUT.search(line) if _IN_FRAME in line else None
    if cut is not None:
        opened = _begin("traceback", line[: cut.start()], rank)
        return Assembled(_with_frame(opened, line[cut.start() :]), consumed=True)
    return Assembled(_under_heading(assembly)) if assembly is not None else NOTHING_OPEN


def cut_at(assembly: Assembly) -> str:
    """Return the last frame of a traceback whose exception is not known ("train.py:12"); "" for any other text."""
    is_cut = assembly.form == "traceback" and not assembly.values.keys() & {"ignored", "ended"}
    # What has frames only may be the stack of a program that runs on, as loggers and watchdogs print it.
    return assembly.values.get("where", "") if is_cut and "begun" in assembly.values else ""


def headed(component: Component) -> Assembly:
    """Return the text that a heading opens: the lines after it are about *component*."""
    return Assembly("heading", values={component.kind: component.id})


def _under_heading(assembly: Assembly) -> Assembly | None:
    if assembly.strangers + 1 >= MOST_UNDER_HEADING:
        return None
    return replace(assembly, strangers=assembly.strangers + 1)


def _traceback(before: Assembly | None, prefix: str, rank: int | None) -> Assembly:
    """Return a traceback that begins; Python says before it when the exception was ignored."""
    begun = replace(_begin("traceback", prefix, rank), values={"begun": "yes"})
    is_ignored = before is not None and before.form == "ignored"
    return replace(begun, values={"ignored": "yes"}) if is_ignored else begun


def _begin(form: str, prefix: str, rank: int | None) -> Assembly:
    return Assembly(form, _shape(prefix), rank)


def _shape(prefix: str) -> str:
    return re.sub(r"\d", "0", prefix)


def _section(line: str) -> dict[str, str]:
    return {"root": "yes"} if _ROOT in line else {}


def _own_part(assembly: Assembly, line: str) -> str | None:
    width = len(assembly.prefix)
    if _shape(line[:width]) == assembly.prefix:
        return line[width:]
    # The indentation of a prefix is lost where a line is empty.
    return "" if not line.strip() else None


def _stranger(assembly: Assembly) -> Assembled:
    strangers = assembly.strangers + 1
    if strangers >= MOST_STRANGERS:
        return Assembled(None, cut_at=cut_at(assembly))
    return Assembled(replace(assembly, strangers=strangers))


def _stranger_to_traceback(assembly: Assembly, line: str) -> Assembled:
    """Take a line of others; one that names an exception may be this one's end, printed by who prints no prefix."""
    if _NAMES_EXCEPTION.search(line):
        assembly = replace(assembly, values={**assembly.values, "ended": "yes"})
    return _stranger(assembly)


def _in_traceback(assembly: Assembly, line: str) -> Assembled:
    part = _own_part(assembly, line)
    if part is None:
        return _stranger_to_traceback(assembly, line)
    if not part.strip() or part[0] in " \t|+" or _CHAINED.search(part):
        return Assembled(_with_frame(assembly, part), consumed=True)
    found = _EXCEPTION.match(part.rstrip())
    if found is None:
        return _stranger_to_traceback(assembly, part)
    if "ignored" in assembly.values:
        return Assembled(None, consumed=True)
    exception = {"exception": found["exception"], "message": (found["message"] or "")[:300]}
    return Assembled(None, exception={**exception, "where": assembly.values.get("where", "")})


def _with_frame(assembly: Assembly, part: str) -> Assembly:
    frame = _FRAME.match(part)
    if frame is None:
        return replace(assembly, strangers=0)
    name = re.split(r"[/\\]", frame["path"])[-1]
    return replace(assembly, strangers=0, values={**assembly.values, "where": f"{name}:{frame['line']}"})


def _in_table(assembly: Assembly, line: str, rank: int | None) -> Assembled:
    part = _own_part(assembly, line)
    if part is None:
        return _stranger(assembly)
    if _ROOT in part or _FAILURES.match(part):
        return Assembled(replace(assembly, values=_section(part), strangers=0), consumed=True)
    if _RULER.match(part):
        return Assembled(None, consumed=True, failure=_failure(assembly.values))
    value = _VALUE.match(part)
    if value is None:
        return _stranger(assembly) if part.strip() and part[0].isalpha() else Assembled(assembly, consumed=True)
    read = replace(assembly, values={**assembly.values, value["name"]: value["value"].strip()}, strangers=0)
    return _told(read, line, rank) if value["name"] in {"traceback", "msg"} else Assembled(read, consumed=True)


def _told(assembly: Assembly, line: str, rank: int | None) -> Assembled:
    failure = _failure(assembly.values)
    begins = _TRACEBACK.search(line)
    if begins is None:
        kept = {name: value for name, value in assembly.values.items() if name == "root"}
        return Assembled(replace(assembly, values=kept), consumed=True, failure=failure)
    # The rank's own traceback follows inside the table, indented like its other values.
    owner = failure.get("rank")
    return Assembled(
        Assembly("traceback", "  ", owner if isinstance(owner, int) else rank), consumed=True, failure=failure
    )


def _failure(values: object) -> dict[str, Scalar]:
    known = dict(values) if isinstance(values, dict) else {}
    rank, ended = _RANK.match(known.get("rank", "")), _EXIT.match(known.get("exitcode", ""))
    if rank is None or ended is None:
        return {}
    numbers = {**rank.groupdict(), **ended.groupdict()}
    told: dict[str, Scalar] = {name: int(value) for name, value in numbers.items()}
    reason = known.get("traceback") or known.get("msg") or ""
    return {**told, "host": known.get("host", ""), "reason": reason, "root": "root" in known}
