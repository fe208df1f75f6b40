"""A kind of fault for every cause, without words: enough to make traces from."""

from clusterwatch.model import Cause, ComponentKind
from simulators.fleet_wording import Blast, FaultKind, Harm

_PLACES = {
    Cause.GPU_NVLINK: ComponentKind.NVSWITCH,
    Cause.NETWORK_SWITCH_CABLE: ComponentKind.LINK,
    Cause.NIC: ComponentKind.NIC,
    Cause.CPU: ComponentKind.CPU,
    Cause.SYSTEM_MEMORY: ComponentKind.DIMM,
    Cause.SSD: ComponentKind.DISK,
    Cause.POWER_SUPPLY: ComponentKind.PSU,
    Cause.SERVER_CHASSIS: ComponentKind.FAN,
    Cause.IO_EXPANSION_BOARD: ComponentKind.SLOT,
    Cause.HOST_MAINTENANCE: ComponentKind.NODE,
    Cause.SOFTWARE_BUG: ComponentKind.JOB,
    Cause.OOM_GPU: ComponentKind.RANK,
    Cause.OOM_HOST: ComponentKind.NODE,
    Cause.DEPENDENCY: ComponentKind.SERVICE,
    Cause.STORAGE: ComponentKind.SERVICE,
    Cause.NCCL_TIMEOUT_UNKNOWN: ComponentKind.JOB,
}


def kind(name, cause, component=ComponentKind.GPU, share=1.0, harm=Harm.CRASH, stays=True, blast=Blast.NODE):
    """Return a kind of fault of *cause*; the rest is as of a broken GPU."""
    exit_code = 1 if harm is Harm.CRASH else 0
    return FaultKind(name, cause, share, component, harm, exit_code, stays, (), blast, ())


SOME_KINDS = {
    each.name: each
    for each in (
        *(
            kind(f"some_{cause}", cause, _PLACES.get(cause, ComponentKind.GPU))
            for cause in Cause
            if cause is not Cause.BENIGN
        ),
        kind("link_down", Cause.NETWORK_SWITCH_CABLE, ComponentKind.LINK, 0.4),
        kind("tor_down", Cause.NETWORK_SWITCH_CABLE, ComponentKind.SWITCH, 0.1, blast=Blast.TOR),
        kind("power_lost", Cause.POWER_SUPPLY, ComponentKind.PSU, 0.1, harm=Harm.NODE_DOWN, blast=Blast.POWER),
        kind("corrected_memory_errors", Cause.BENIGN, ComponentKind.DIMM, 0.7, harm=Harm.NONE, stays=False),
        kind("foreign_xid", Cause.BENIGN, ComponentKind.GPU, 0.2, harm=Harm.NONE, stays=False),
        kind("reboot_that_looks_like_a_fault", Cause.BENIGN, ComponentKind.NODE, 0.1, harm=Harm.NONE, stays=False),
        kind("library_chatter", Cause.BENIGN, ComponentKind.JOB, 0.1, harm=Harm.NONE, stays=False),
    )
}
"""Kinds by name."""
