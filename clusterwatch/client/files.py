"""Lines to a file that many processes may append to: one write for each line, bounded in size, never an exception."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from contextlib import suppress

LARGEST_BYTES = 8 * 1024 * 1024
"""Size at which a file is put aside as ``NAME.1``; the one put aside before is removed."""

LOOKED_AT_EVERY_BYTES = 64 * 1024
"""How much is written between two looks at the file's size: a look costs as much as a line."""

QUIET_SECONDS = 60.0
"""How long nothing is tried after a write failed: a full disk is not asked again at every step."""


class ReportFile:
    """Appends lines to one file.

    Every line is a single write to a file opened for appending, so that lines of several processes do not mix on a
    local file system. A process that was forked opens the file anew.
    """

    def __init__(self, path: str, largest_bytes: int = LARGEST_BYTES) -> None:
        """Take the path; the file and its folder are made with the first line."""
        self.path = path
        self._largest_bytes = largest_bytes
        self._look_after = min(LOOKED_AT_EVERY_BYTES, largest_bytes)
        self._file: int | None = None
        self._owner = 0
        self._unlooked = 0
        self._is_torn = False
        self._quiet_until = 0.0

    def write(self, line: str) -> bool:
        """Append *line*; return whether it was written."""
        try:
            return self._write(line.encode("ascii", "replace") + b"\n")
        except OSError:
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            self._let_go()
            return False

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        self._let_go()

    def _write(self, data: bytes) -> bool:
        if self._file is None or self._owner != os.getpid():
            if time.monotonic() < self._quiet_until:
                return False
            self._file = self._opened()
        if self._is_torn:
            data = b"\n" + data
        written = os.write(self._file, data)
        self._is_torn = written < len(data)
        self._unlooked += written
        if self._unlooked >= self._look_after:
            self._look()
        return not self._is_torn

    def _opened(self) -> int:
        self._let_go()
        folder = os.path.dirname(self.path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.fstat(file).st_size
        # Whoever wrote last may have been killed within a line.
        self._is_torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        self._owner = os.getpid()
        return file

    def _look(self) -> None:
        """Put the file aside if it is too large, or follow another process that did so."""
        self._unlooked = 0
        file = self._file
        assert file is not None
        try:
            # The lock belongs to the file, not to its name: of two processes only one renames it.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        ours, named = os.fstat(file), _status(self.path)
        is_ours = named is not None and (named.st_ino, named.st_dev) == (ours.st_ino, ours.st_dev)
        if is_ours and ours.st_size < self._largest_bytes:
            fcntl.flock(file, fcntl.LOCK_UN)
            return
        if is_ours:
            os.rename(self.path, self.path + ".1")
        self._let_go()

    def _let_go(self) -> None:
        if self._file is not None:
            # A file of the parent process is its own to close; here it is only another number for it.
            with suppress(OSError):
                os.close(self._file)
        self._file = None


class StandardOutput:
    """Prints lines among what the program prints."""

    def write(self, line: str) -> bool:
        """Print *line*; return whether it was taken."""
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except Exception:
            return False
        return True

    def close(self) -> None:
        """Hold nothing."""


class Nowhere:
    """Takes lines and keeps none: nobody asked for reports."""

    def write(self, line: str) -> bool:
        """Return False."""
        return False

    def close(self) -> None:
        """Hold nothing."""


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
