"""The files of a saved checkpoint, read little by little, to whether they are what their manifest says."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from clusterwatch.reading.manifests import Checksum

_CHUNK_BYTES = 1024 * 1024


class Digest(Protocol):
    """A checksum in the making."""

    def update(self, data: bytes, /) -> None:
        """Take more of the file."""
        ...

    def hexdigest(self) -> str:
        """Return it as the manifest writes it."""
        ...


class Crc32:
    """The CRC-32 of zlib and gzip; meets `Digest`."""

    def __init__(self) -> None:
        """Begin a file."""
        self._value = 0

    def update(self, data: bytes, /) -> None:
        """Take more of the file."""
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        """Return eight digits."""
        return f"{self._value:08x}"


_DIGESTS: Mapping[str, Callable[[], Digest]] = {"sha256": hashlib.sha256, "crc32": Crc32}


class Summing:
    """The checksums of one checkpoint. *signature* is how it was seen; whoever sees it otherwise begins anew."""

    def __init__(self, signature: str, folder: Path, sums: Mapping[str, Checksum]) -> None:
        """Take the files to read, by name within *folder*, and what they must come to."""
        self.signature = signature
        self.problem = ""
        self._folder = folder
        self._left = sorted(sums.items(), reverse=True)
        self._begun: tuple[Digest, int] | None = None

    @property
    def is_over(self) -> bool:
        """Whether everything was read, or one file is not what it should be."""
        return bool(self.problem) or not self._left

    def read(self, budget_bytes: int) -> int:
        """Read at most so many bytes more; return how many that were."""
        spent = 0
        while spent < budget_bytes and not self.is_over:
            name, sum_ = self._left[-1]
            try:
                spent += self._read_on(name, sum_, budget_bytes - spent)
            except OSError:
                # It is being deleted, is a link, or may not be read: nothing is known of it.
                self._next()
        return spent

    def _read_on(self, name: str, sum_: Checksum, budget_bytes: int) -> int:
        digest, offset = self._begun or (_DIGESTS[sum_.kind](), 0)
        spent = 0
        # A link could lead to what the job's owner may not read.
        descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            file.seek(offset)
            while spent < budget_bytes and (chunk := file.read(min(_CHUNK_BYTES, budget_bytes - spent))):
                digest.update(chunk)
                spent += len(chunk)
            self._begun = (digest, offset + spent)
            if offset + spent >= os.fstat(descriptor).st_size:
                self._ended(name, sum_, digest)
        return spent

    def _ended(self, name: str, sum_: Checksum, digest: Digest) -> None:
        if digest.hexdigest() != sum_.value:
            self.problem = f"{name} is not what was saved: its {sum_.kind} is another"
        self._next()

    def _next(self) -> None:
        self._left.pop()
        self._begun = None
