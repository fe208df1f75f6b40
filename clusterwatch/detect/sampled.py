"""Every subject that is a sample, and who compares it with the one before."""

from __future__ import annotations

from clusterwatch.detect import samples
from clusterwatch.detect.bmc_samples import BMC
from clusterwatch.detect.changes import Fields
from clusterwatch.detect.devices import Device, compare_device, device_key
from clusterwatch.detect.disk_samples import DISKS
from clusterwatch.detect.fabric_samples import FABRIC
from clusterwatch.detect.pcie_samples import PCIE_EDAC
from clusterwatch.detect.sightings import Sighting
from clusterwatch.model import Reading, Scalar

DEVICES: dict[str, Device] = {device.subject: device for device in (*FABRIC, *BMC, *PCIE_EDAC, *DISKS)}

SAMPLES = samples.SAMPLES | DEVICES.keys()
"""Subjects of the readings that are samples."""


def sample_key(reading: Reading) -> str:
    """Return what names the sampled thing: its source, node and instance."""
    return device_key(reading) if reading.subject in DEVICES else samples.sample_key(reading)


def compare(previous: Fields | None, reading: Reading) -> tuple[dict[str, Scalar], list[Sighting]]:
    """Return what to remember of a sample, and what changed since *previous* (None the first time)."""
    device = DEVICES.get(reading.subject)
    return compare_device(device, previous, reading) if device else samples.compare(previous, reading)
