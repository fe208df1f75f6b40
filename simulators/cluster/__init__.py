"""The simulated cluster: who hangs on what, what it stores, draws and how fast it is by the hour."""

from simulators.cluster.files import builtin_cluster, cluster_from, read_cluster
from simulators.cluster.hardware import gpu_pci, nic_device, nic_pci, part_ids
from simulators.cluster.naming import named_numbers, with_numbers
from simulators.cluster.parallel import AXES, Parallelism
from simulators.cluster.site import Diurnal, OtherSaves, Power, Storage
from simulators.cluster.spec import ClusterSpec, Link

__all__ = [
    "AXES",
    "ClusterSpec",
    "Diurnal",
    "Link",
    "OtherSaves",
    "Parallelism",
    "Power",
    "Storage",
    "builtin_cluster",
    "cluster_from",
    "gpu_pci",
    "named_numbers",
    "nic_device",
    "nic_pci",
    "part_ids",
    "read_cluster",
    "with_numbers",
]
