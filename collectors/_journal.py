"""The kernel's records in the systemd journal, read through a journalctl that may not outlive its deadline."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from threading import Timer

from clusterwatch.errors import SourceError
from clusterwatch.reading.journal import JournalRecord, journal_record

NO_JOURNALCTL = "no journalctl here"
NO_JOURNAL = "no journal here"


@dataclass(frozen=True, slots=True)
class Journal:
    """Where the journal is and how long it may take to answer. *directory* "" is the system's own."""

    command: str = "journalctl"
    directory: str = ""
    deadline_seconds: float = 4.0

    def arguments(self, cursor: str, since: datetime) -> list[str]:
        """Return the command line for the records after *cursor*, or from *since* where there is no cursor."""
        # Not "-k": that means this boot only, and the last words before a crash stand in the boot before.
        place = f"--after-cursor={cursor}" if cursor else f"--since=@{int(since.timestamp())}"
        directory = [f"--directory={self.directory}"] if self.directory else []
        return [self.command, "--output=json", "--all", "--no-pager", *directory, place, "_TRANSPORT=kernel"]

    def records_after(self, cursor: str, since: datetime, limit: int) -> tuple[tuple[JournalRecord, ...], str]:
        """Return at most *limit* records, oldest first, and the stated condition, "" when there is a journal.

        Raises:
            SourceError: The journal did not answer in time, or refused.
        """
        try:
            child = subprocess.Popen(
                self.arguments(cursor, since),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except FileNotFoundError:
            return (), NO_JOURNALCTL
        with _KilledAfter(child, self.deadline_seconds) as deadline, child:
            lines = list(islice(_lines(child), limit))
            child.kill() if len(lines) == limit else child.wait()
        records = tuple(record for record in map(journal_record, lines) if record is not None)
        if deadline.has_passed and not records:
            raise SourceError(f"the journal did not answer in {self.deadline_seconds:g} s")
        return records, "" if records else _condition(lines, child.returncode)


class _KilledAfter:
    """Kills a child that is still there after a deadline."""

    def __init__(self, child: subprocess.Popen[bytes], seconds: float) -> None:
        self.has_passed = False
        self._child = child
        self._timer = Timer(seconds, self._kill)
        self._timer.daemon = True

    def __enter__(self) -> _KilledAfter:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _kill(self) -> None:
        self.has_passed = True
        self._child.kill()


def _lines(child: subprocess.Popen[bytes]) -> Iterator[bytes]:
    return iter(child.stdout or ())


def _condition(lines: list[bytes], exit_code: int) -> str:
    said = b" ".join(lines).decode("utf-8", "replace").strip()
    if "No journal files" in said or "No such file or directory" in said:
        return NO_JOURNAL
    if exit_code > 0:
        raise SourceError(f"journalctl failed with exit code {exit_code}: {said[:300]}: check that it runs by hand")
    return ""
