"""Counters of uncorrected memory errors to readings, one for each memory controller whose counter grew."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from clusterwatch.model import Collected, Reading
from clusterwatch.seams import Site


class EdacCollector:
    """Reads /sys/devices/system/edac; a machine without such counters is a condition, not an error."""

    name = "edac"
    every_seconds = 10.0
    deadline_seconds = 5.0

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return a reading for each counter that is higher than at *position*. Setting: *root*."""
        root = Path(str(site.settings.get("root", "/sys/devices/system/edac/mc")))
        counters = {path.parent.name: int(path.read_text()) for path in sorted(root.glob("mc*/ue_count"))}
        if not counters:
            return Collected(position=position, condition=f"no memory controller at {root}")
        # The first look only learns where the counters stand; after a reboot they start at 0 again.
        before = position.get("counters") if position.get("boot_id") == site.boot_id else None
        known = before if isinstance(before, dict) else counters
        readings = tuple(
            _grown(site, controller, count, count - known.get(controller, 0), now)
            for controller, count in counters.items()
            if count > known.get(controller, 0)
        )
        return Collected(readings, {"boot_id": site.boot_id, "counters": counters})

    def close(self) -> None:
        """Hold nothing, give nothing back."""


def _grown(site: Site, controller: str, count: int, new: int, now: datetime) -> Reading:
    return Reading(
        source=EdacCollector.name,
        node=site.node,
        # With node, boot and source it names the reading for ever: read twice, it is one event.
        position=f"{controller}/{count}",
        observed_at=now,
        boot_id=site.boot_id,
        subject="site.edac.uncorrected",
        text=f"{new} uncorrected memory errors on {controller}",
        fields={"controller": controller, "new": new},
    )
