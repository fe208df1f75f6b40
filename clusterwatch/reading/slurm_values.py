"""Values as Slurm 22.05 to 25.11 writes them, to plain ones.

1. Numbers are numbers, texts, or from 23.02 on objects: {"set": true, "infinite": false, "number": 3}.
2. States are a word, words joined with "+", or from 23.11 on a list of words.
3. Times are seconds since 1970; in text they are local to whoever asked, who asks in UTC.
4. In text, what people wrote stands alone on its line; a key that comes twice is somebody's attempt to look like Slurm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

_EMPTY = frozenset({"", "(null)", "None", "N/A", "Unknown", "n/a", "NONE"})

# Lines of `scontrol show` that hold what people wrote, up to their end.
_FREE = ("Comment", "AdminComment", "SystemComment", "Command", "WorkDir", "StdErr", "StdIn", "StdOut", "Reason", "OS")
_FREE_LINE = re.compile(rf"\s*({'|'.join((*_FREE, 'Extra'))})=(.*)")
_JOB_LINE = re.compile(r"(JobId)=(\S+)(?: ArrayJobId=\S+)?(?: ArrayTaskId=\S+)?.*? JobName=(.*)")
_PAIR = re.compile(r"(?:^|\s)([A-Za-z][\w:/]*)=(\S*)")
# A job whose nodes stand between: "Reason=NodeDown Dependency=(null)" belongs to the line of its state.
_STATE_LINE = re.compile(r"\s*JobState=")


class UnreadableError(ValueError):
    """What was said is not what Slurm says; nothing follows from it."""


def document(text: str, key: str) -> list[Mapping[str, Any]]:
    """Return the records under *key* of a JSON answer.

    Raises:
        UnreadableError: It is no JSON, holds no such list, or says that it failed.
    """
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise UnreadableError(f"not JSON: {text[:60]!r}") from error
    records = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise UnreadableError(f"JSON without a list of {key}: {text[:60]!r}")
    if answer.get("errors"):
        raise UnreadableError(f"Slurm answered with an error: {str(answer['errors'])[:200]}")
    return records


def blocks(text: str, first_key: str) -> Iterator[Mapping[str, str]]:
    """Yield the records of a `scontrol show` in several lines, each from *first_key* on.

    Raises:
        UnreadableError: A line is no part of such a record, or a key comes twice in one.
    """
    block: dict[str, str] = {}
    if not text.strip():
        raise UnreadableError("nothing was said")
    for line in text.splitlines():
        if line.startswith(f"{first_key}="):
            if block:
                yield block
            block = {}
        elif line.strip() and not block:
            raise UnreadableError(f"not what scontrol shows: {line[:60]!r}")
        for key, value in _pairs(line):
            if key in block:
                raise UnreadableError(f"{key} is told twice of {first_key} {block.get(first_key, '')[:60]!r}")
            block[key] = value
    if block:
        yield block


def _pairs(line: str) -> list[tuple[str, str]]:
    job = _JOB_LINE.match(line)
    if job is not None:
        return [(job[1], job[2]), ("JobName", job[3])]
    free = _FREE_LINE.match(line)
    if free is not None and not _STATE_LINE.match(line):
        return [(free[1], free[2].strip())]
    pairs = _PAIR.findall(line)
    if line.strip() and not pairs:
        raise UnreadableError(f"not what scontrol shows: {line[:60]!r}")
    return pairs


def text_in(value: object) -> str:
    """Return *value* as text; "" for everything that means nothing."""
    text = "" if value is None else str(value).strip()
    return "" if text in _EMPTY else text


def number_in(value: object) -> int | None:
    """Return *value* as a whole number; None where it is not set, infinite or none."""
    if isinstance(value, Mapping):
        is_set = value.get("set", True) and not value.get("infinite")
        return number_in(value.get("number")) if is_set else None
    try:
        return None if value is None or isinstance(value, bool) else int(str(value))
    except ValueError:
        return None


def words_in(value: object) -> tuple[str, ...]:
    """Return the words of a state in upper case: "DOWN*+DRAIN" is DOWN, DRAIN and NOT_RESPONDING."""
    parts = [str(part) for part in value] if isinstance(value, list | tuple) else str(value or "").split("+")
    words: list[str] = []
    for part in parts:
        word = part.strip().upper()
        words.append(re.sub(r"[^A-Z_]+$", "", word))
        if word.endswith("*"):
            words.append("NOT_RESPONDING")
    return tuple(word for word in dict.fromkeys(words) if word)


def time_in(value: object) -> datetime | None:
    """Return *value*, seconds since 1970 or "2026-11-21T10:09:33" in UTC, as a time; None for none."""
    seconds = number_in(value)
    if seconds is not None:
        # 4294967294 and its like are how Slurm writes that there is none.
        return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 0xFFFF_FFF0 else None
    text = text_in(value)
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError:
        return None


def exit_code_in(value: object) -> int | None:
    """Return how a job ended, negative for a signal: of a wait status, of "1:0", or of what 23.02 and later write."""
    if isinstance(value, Mapping):
        signal = value.get("signal")
        number = number_in(signal.get("id", signal.get("signal_id"))) if isinstance(signal, Mapping) else None
        return -number if number else number_in(value.get("return_code"))
    code, has_signal, number_text = str(value if value is not None else "").partition(":")
    if has_signal:
        number = number_in(number_text)
        return -number if number else number_in(code)
    status = number_in(value)
    if status is None:
        return None
    return -(status & 0x7F) if status & 0x7F else (status >> 8) & 0xFF
