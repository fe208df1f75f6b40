"""Trees of files as the kernel shows them, for collectors that read another root than /sys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class DeviceTree:
    """A root folder with files and symbolic links as in /sys, which a test changes while it is watched."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def write(self, folder: str, files: Mapping[str, str | int]) -> None:
        """Write *files* below *folder*, each with the line break that the kernel ends a value with."""
        for name, text in files.items():
            path = self.root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")

    def link(self, path: str, target: str) -> None:
        """Make *path* a symbolic link to *target*; both are below the root."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(self.root / target)

    def remove(self, path: str) -> None:
        """Take away a link, a file or a whole folder."""
        place = self.root / path
        if place.is_dir() and not place.is_symlink():
            for child in place.iterdir():
                self.remove(f"{path}/{child.name}")
            place.rmdir()
        else:
            place.unlink()
