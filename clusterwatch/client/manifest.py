"""A folder that holds a checkpoint to a list of its files, so that whoever looks at it later knows that it is whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator

MANIFEST = "clusterwatch-manifest.json"
VERSION = 1
_CHUNK_BYTES = 1024 * 1024


def write_manifest(folder: str, step: int, checksums: bool = False) -> bool:
    """Write the name and size of every file under *folder* into it, last of all; return whether that was possible.

    Args:
        folder: Of a checkpoint whose files are all written.
        step: Training step it holds.
        checksums: Also their SHA-256, which reads everything once more.
    """
    try:
        files = {name: _entry(os.path.join(folder, name), checksums) for name in sorted(_names(folder))}
        _write(os.path.join(folder, MANIFEST), {"version": VERSION, "step": step, "files": files})
    except (OSError, ValueError):
        return False
    return True


def _names(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.relpath(os.path.join(parent, name), folder)
            if not name.startswith(MANIFEST):
                yield path.replace(os.sep, "/")


def _entry(path: str, checksums: bool) -> dict[str, str | int]:
    entry: dict[str, str | int] = {"size": os.path.getsize(path)}
    if checksums:
        entry["sha256"] = _sha256(path)
    return entry


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _write(path: str, value: object) -> None:
    """Write *value* beside *path* first, so that a manifest is whole or not there."""
    being_written = f"{path}.{os.getpid()}.tmp"
    try:
        with open(being_written, "w", encoding="ascii") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(being_written, path)
    finally:
        if os.path.exists(being_written):
            os.remove(being_written)
