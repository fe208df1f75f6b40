"""Why a job stopped: the closed set of causes and the row of Table 5 each one belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """One of the closed set of root causes. The values are part of the JSON contract."""

    FAULTY_GPU = "faulty_gpu"
    GPU_NVLINK = "gpu_nvlink"
    GPU_HBM = "gpu_hbm"
    GPU_SRAM = "gpu_sram"
    GPU_GSP = "gpu_gsp"
    GPU_THERMAL = "gpu_thermal"
    SILENT_DATA_CORRUPTION = "silent_data_corruption"
    NETWORK_SWITCH_CABLE = "network_switch_cable"
    NIC = "nic"
    CPU = "cpu"
    SYSTEM_MEMORY = "system_memory"
    SSD = "ssd"
    POWER_SUPPLY = "power_supply"
    SERVER_CHASSIS = "server_chassis"
    IO_EXPANSION_BOARD = "io_expansion_board"
    HOST_MAINTENANCE = "host_maintenance"
    PLANNED_MAINTENANCE = "planned_maintenance"
    PREEMPTION_OR_OPERATOR = "preemption_or_operator"
    SOFTWARE_BUG = "software_bug"
    OOM_GPU = "oom_gpu"
    OOM_HOST = "oom_host"
    DEPENDENCY = "dependency"
    STORAGE = "storage"
    NCCL_TIMEOUT_UNKNOWN = "nccl_timeout_unknown"
    UNKNOWN = "unknown"
    BENIGN = "benign"


@dataclass(frozen=True, slots=True)
class Table5Row:
    """A row of Table 5 with its count among the 419 unexpected interruptions.

    Source: The Llama 3 Herd of Models, arXiv 2407.21783, section 3.3.4, Table 5.
    """

    name: str
    category: str
    count: int


_FAULTY_GPU = Table5Row("Faulty GPU", "GPU", 148)
_HBM = Table5Row("GPU HBM3 Memory", "GPU", 72)
_SOFTWARE = Table5Row("Software Bug", "Dependency", 54)
_NETWORK = Table5Row("Network Switch/Cable", "Network", 35)
_MAINTENANCE = Table5Row("Host Maintenance", "Unplanned Maintenance", 32)
_SRAM = Table5Row("GPU SRAM Memory", "GPU", 19)
_GSP = Table5Row("GPU System Processor", "GPU", 17)
_NIC = Table5Row("NIC", "Host", 7)
_NCCL = Table5Row("NCCL Watchdog Timeouts", "Unknown", 7)
_SDC = Table5Row("Silent Data Corruption", "GPU", 6)
_THERMAL = Table5Row("GPU Thermal Interface + Sensor", "GPU", 6)
_SSD = Table5Row("SSD", "Host", 3)
_POWER = Table5Row("Power Supply", "Host", 3)
_CHASSIS = Table5Row("Server Chassis", "Host", 2)
_IO_BOARD = Table5Row("IO Expansion Board", "Host", 2)
_DEPENDENCY = Table5Row("Dependency", "Dependency", 2)
_CPU = Table5Row("CPU", "Host", 2)
_MEMORY = Table5Row("System Memory", "Host", 2)

TABLE5_ROW: dict[Cause, Table5Row | None] = {
    Cause.FAULTY_GPU: _FAULTY_GPU,
    Cause.GPU_NVLINK: _FAULTY_GPU,
    Cause.GPU_HBM: _HBM,
    Cause.GPU_SRAM: _SRAM,
    Cause.GPU_GSP: _GSP,
    Cause.GPU_THERMAL: _THERMAL,
    Cause.SILENT_DATA_CORRUPTION: _SDC,
    Cause.NETWORK_SWITCH_CABLE: _NETWORK,
    Cause.NIC: _NIC,
    Cause.CPU: _CPU,
    Cause.SYSTEM_MEMORY: _MEMORY,
    Cause.SSD: _SSD,
    Cause.POWER_SUPPLY: _POWER,
    Cause.SERVER_CHASSIS: _CHASSIS,
    Cause.IO_EXPANSION_BOARD: _IO_BOARD,
    Cause.HOST_MAINTENANCE: _MAINTENANCE,
    Cause.SOFTWARE_BUG: _SOFTWARE,
    Cause.OOM_GPU: _SOFTWARE,
    Cause.OOM_HOST: _SOFTWARE,
    Cause.DEPENDENCY: _DEPENDENCY,
    Cause.STORAGE: _DEPENDENCY,
    Cause.NCCL_TIMEOUT_UNKNOWN: _NCCL,
    Cause.UNKNOWN: _NCCL,
    Cause.PLANNED_MAINTENANCE: None,
    Cause.PREEMPTION_OR_OPERATOR: None,
    Cause.BENIGN: None,
}
"""Which printed row a cause is counted under; None for what is not among the 419."""

HARDWARE_CAUSES = frozenset(
    {
        Cause.FAULTY_GPU,
        Cause.GPU_NVLINK,
        Cause.GPU_HBM,
        Cause.GPU_SRAM,
        Cause.GPU_GSP,
        Cause.GPU_THERMAL,
        Cause.SILENT_DATA_CORRUPTION,
        Cause.NETWORK_SWITCH_CABLE,
        Cause.NIC,
        Cause.CPU,
        Cause.SYSTEM_MEMORY,
        Cause.SSD,
        Cause.POWER_SUPPLY,
        Cause.SERVER_CHASSIS,
        Cause.IO_EXPANSION_BOARD,
    }
)
"""Causes that blame a part: what must never be said of healthy hardware."""

PLANNED_CAUSES = frozenset({Cause.PLANNED_MAINTENANCE, Cause.PREEMPTION_OR_OPERATOR})
"""Causes that mean: somebody stopped the job on purpose."""

UNDETERMINED_CAUSES = frozenset({Cause.UNKNOWN, Cause.NCCL_TIMEOUT_UNKNOWN})
"""Causes that mean: the evidence does not tell."""
