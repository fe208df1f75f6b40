"""The kernel's ring of log records, read through a device such as /dev/kmsg."""

from __future__ import annotations

import os
from collections.abc import Iterator

from clusterwatch.reading.kmsg import KernelRecord, kernel_record

# The kernel refuses to give a record to a buffer that is too small for it; the largest has 8 KiB (CONSOLE_EXT_LOG_MAX).
_RECORD_BYTES = 16_384


class KernelRing:
    """An open device that gives one record per read, and knows after which record it stands."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._path = ""
        self._after: int | None = None

    def records_after(self, seq: int, path: str) -> Iterator[KernelRecord]:
        """Yield the records with a greater number than *seq*, oldest first, until there is none yet.

        The device stays open; it is read from its oldest record only where *seq* is not where it stands.

        Raises:
            OSError: The device cannot be opened or read.
        """
        fd = self._opened_at(seq, path)
        while (raw := _next_record(fd)) is not None:
            record = kernel_record(raw)
            if record is not None and record.seq > seq:
                self._after = record.seq
                yield record

    def close(self) -> None:
        """Give the device back."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd = self._after = None

    def _opened_at(self, seq: int, path: str) -> int:
        if self._fd is None or self._after != seq or self._path != path:
            self.close()
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._path, self._after = path, seq
        return self._fd


def _next_record(fd: int) -> bytes | None:
    while True:
        try:
            return os.read(fd, _RECORD_BYTES) or None
        except BlockingIOError:
            return None
        except BrokenPipeError:
            # EPIPE: the ring overran the reader. The next read gives the oldest record left; the gap in the
            # sequence numbers tells how many are gone.
            continue
