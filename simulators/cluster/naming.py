"""The numbers of a site by the names under which the header of a trace says where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from simulators.cluster.files import cluster_from
from simulators.cluster.spec import ClusterSpec

_PLACES: Mapping[str, tuple[str, str]] = {
    "storage_sustained_bytes_per_second": ("storage", "sustained_bytes_per_second"),
    "storage_peak_bytes_per_second": ("storage", "peak_bytes_per_second"),
    "storage_burst_seconds": ("storage", "burst_seconds"),
    "gpu_busy_watts": ("power", "gpu_busy_watts"),
    "gpu_waiting_watts": ("power", "gpu_waiting_watts"),
    "rest_busy_watts": ("power", "rest_busy_watts"),
    "rest_waiting_watts": ("power", "rest_waiting_watts"),
    "diurnal_depth": ("diurnal", "depth"),
    "diurnal_slowest_hour": ("diurnal", "slowest_hour"),
}


def named_numbers(cluster: ClusterSpec) -> dict[str, float]:
    """Return what *cluster* has for storage, power and the hours of the day, by name."""
    return {name: float(getattr(getattr(cluster, table), key)) for name, (table, key) in _PLACES.items()}


def with_numbers(cluster: ClusterSpec, others: Mapping[str, float]) -> ClusterSpec:
    """Return *cluster* with *others* for the numbers that they name; what is no number of a site is passed over.

    Raises:
        ConfigError: One is out of range: holds all mistakes.
    """
    table = asdict(cluster)
    for name in _PLACES.keys() & others.keys():
        part, key = _PLACES[name]
        table[part][key] = others[name]
    return cluster_from(table, "assumptions") if _PLACES.keys() & others.keys() else cluster
