"""A list of files that was written last to whether a checkpoint is what it was when it was saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterwatch.reading.archives import UNCHECKED, WHOLE, FileSeen, Verdict, json_value

MANIFEST = "clusterwatch-manifest.json"
"""Written by the client: ``{"version": 1, "step": N, "files": {NAME: {"size": BYTES, "sha256": HEX}}}``.

Others may name a "crc32" of eight digits instead, which takes a fifth of the time to check.
"""

CHECKSUMS = ("sha256", "crc32")
"""What a manifest may name of a file, the surest first; in hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a file must come to: *kind* is one of `CHECKSUMS`, *value* in small hexadecimal digits."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest names: the step, sizes in bytes by file, and checksums where it has them."""

    step: int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    checksums: Mapping[str, Checksum] = field(default_factory=dict)


def manifest_in(file: FileSeen) -> tuple[Manifest | None, Verdict]:
    """Return what the manifest names, None where it is not readable, and whether it is whole."""
    value, verdict = json_value(MANIFEST, file)
    if value is None:
        return None, verdict
    files = value.get("files") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(files, dict):
        return None, Verdict(f"{MANIFEST} names no files")
    entries = {str(name): entry for name, entry in files.items() if isinstance(entry, dict)}
    step = value.get("step")
    sizes = {name: entry["size"] for name, entry in entries.items() if isinstance(entry.get("size"), int)}
    checksums = {name: found for name, entry in entries.items() if (found := _checksum(entry)) is not None}
    return Manifest(step if isinstance(step, int) and step >= 0 else None, sizes, checksums), WHOLE


def _checksum(entry: Mapping[str, object]) -> Checksum | None:
    named = ((kind, entry.get(kind)) for kind in CHECKSUMS)
    return next((Checksum(kind, value.lower()) for kind, value in named if isinstance(value, str)), None)


def manifest_verdict(manifest: Manifest, inside: Mapping[str, FileSeen], deepest: int) -> Verdict:
    """Return whether the files *inside* a folder are those of its manifest.

    *deepest* is how many parts a name may have for its file to have been looked at.
    """
    seen = {name: size for name, size in manifest.sizes.items() if name.count("/") < deepest}
    for name, size in sorted(seen.items()):
        file = inside.get(name)
        if file is None:
            return Verdict(f"{name} is missing")
        if file.size != size:
            return Verdict(f"{name} has {file.size} bytes where {size} belong")
    return WHOLE if len(seen) == len(manifest.sizes) else UNCHECKED
