"""What stands behind the number of an Xid or SXid, read from the driver's lines."""

from datetime import UTC, datetime

import pytest

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.model import Cause, Component, ComponentKind, Event, Reading

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def event_of(catalog: Catalog, line: str, source: str = "kernel_log") -> Event:
    reading = Reading(source=source, node="node001", position="1", observed_at=NOON, text=line)
    _, (event,), _ = notice(ObserverState(), [reading], catalog, NOON)
    return event


@pytest.mark.parametrize(
    ("line", "kind", "cause"),
    [
        ("48, An uncorrectable double bit error (DBE) has been detected on GPU", "48", Cause.FAULTY_GPU),
        ("48, Double Bit ECC Error in the framebuffer at partition 1, subpartition 0", "48.dram", Cause.GPU_HBM),
        ("48, Double Bit ECC Error in SM register file", "48.sram", Cause.GPU_SRAM),
        ("94, pid=9, name=python3, Contained: SM (0x4). RST: No, D-RST: No", "94.unit", Cause.FAULTY_GPU),
        ("95, pid=9, Uncontained: LTC TAG (0x1,0x0). RST: Yes, D-RST: No", "95.sram", Cause.GPU_SRAM),
        ("95, Uncontained DRAM ECC error", "95.dram", Cause.GPU_HBM),
        ("140, An uncorrectable ECC error detected DRAM:0, LTC:2, MMU:0, PCIE:0", "140.sram", Cause.GPU_SRAM),
        ("140, An uncorrectable ECC error detected DRAM:-2147483648, LTC:0, MMU:0, PCIE:0", "140.dram", Cause.GPU_HBM),
        ("156, Retiring TPC 3 from GPC 1 with a TPC from a different GPC.", "156.core", Cause.FAULTY_GPU),
        ("171, Double Bit ECC Error in FBPA 2 subpartition 0", "171", Cause.GPU_HBM),
        ("172, Uncorrectable SRAM error", "172", Cause.GPU_SRAM),
    ],
)
def test_memory_that_failed_is_read_from_the_line(catalog: Catalog, line: str, kind: str, cause: Cause) -> None:
    event = event_of(catalog, f"NVRM: Xid (PCI:0000:3b:00): {line}")

    assert event.kind == f"gpu.xid.{kind}"
    assert catalog.knowledge[event.kind].leading_cause is cause


def test_place_of_a_core_is_kept_for_who_counts_repeats(catalog: Catalog) -> None:
    line = "NVRM: Xid (PCI:0000:3b:00): 13, Graphics SM Warp Exception on (GPC 4, TPC 2, SM 1): Out Of Range Address"

    event = event_of(catalog, line)

    assert event.kind == "gpu.xid.13.address"
    assert [event.fields[name] for name in ("gpc", "tpc", "sm")] == ["4", "2", "1"]


def test_page_fault_tells_engine_and_kind_of_fault(catalog: Catalog) -> None:
    line = (
        "NVRM: Xid (PCI:0000:3b:00): 31, pid=7, name=python3, Ch 00000009, intr 00000000. MMU Fault: ENGINE CE3"
        " HUBCLIENT_CE1 faulted @ 0x7f11_00000000. Fault is of type FAULT_RO_VIOLATION ACCESS_TYPE_VIRT_WRITE"
    )

    event = event_of(catalog, line)

    assert event.kind == "gpu.xid.31.fault_ro_violation"
    assert event.fields["engine"] == "CE3"
    assert catalog.knowledge[event.kind].leading_cause is Cause.SOFTWARE_BUG


@pytest.mark.parametrize(
    ("registers", "last"),
    [
        ("0x10, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0", "link.ecc"),
        ("0x0, 0x0, 0x0, 0x0, 0x40000, 0x0, 0x0", "link.ecc"),
        ("0x10000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0", "link.mechanical"),
        ("0x200000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0", "link.signal"),
        ("0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0", "link.repeated"),
        ("0x2, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0", "link.secondary"),
        ("0x1, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0", "link.counted"),
        ("0x4, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0", "link"),
    ],
)
def test_registers_of_xid_74_say_how_the_link_failed(catalog: Catalog, registers: str, last: str) -> None:
    line = f"NVRM: Xid (PCI:0000:3b:00): 74, pid=3, name=x, NVLink: fatal error detected on link 5({registers})"

    event = event_of(catalog, line)

    assert event.kind == f"gpu.xid.74.{last}"
    assert event.fields["link"] == "5"
    assert catalog.knowledge[event.kind].leading_cause is Cause.GPU_NVLINK


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("149, NETIR_LINK_EVT Fatal XC0 i0 Link 00 (0x025001c6 0x00000000)", "149.fatal.peer"),
        ("149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 09 (0x004505c6 0x00000000)", "149.fatal.signal"),
        ("149, NETIR_LINK_EVT Fatal XC0 i0 Link 00 (0x016415c6 0x00000000)", "149.fatal.deliberate"),
        ("149, NETIR_LINK_EVT Fatal XC0 i0 Link 00 (0x00400011 0x00000000)", "149.fatal.signal"),
        ("149, NETIR_BER_EVENT Nonfatal XC0 i0 Link 03 (0x00000226 0x00000001)", "149.non_fatal.bit_errors"),
        ("145, RLW_RXPIPE Nonfatal XC0 i0 Link 13 (0x0409a0c2 0x00000008)", "145.non_fatal.software"),
        ("145, RLW_REMAP Nonfatal XC0 i0 Link 02 (0x00000004 0x00000001)", "145.non_fatal.elsewhere"),
        ("145, RLW_REMAP Fatal XC0 i0 Link 02 (0x00000082 0x00000040)", "145.fatal.internal"),
        ("144, SAW_MVB Fatal XC0 i0 Link 02 (0x00000001 0x00000002)", "144.fatal.internal"),
        ("146, TLW_CTRL Nonfatal XC0 i0 Link 02 (0x00000123 0x00000001)", "146.non_fatal.corrected"),
        ("145, RLW_SRC_TRACK Nonfatal XC1 i0 Link 03 (0xffffffff 0xffffffff)", "145.non_fatal"),
        ("145, RLW, nonfatal, cross-contain=0, injected=0, Link 3 (0x00000004 0x00000001)", "145"),
        ("150, MSE_WATCHDOG Fatal XC0 i0 Link -1", "150.fatal"),
    ],
)
def test_nvlink_5_errors_are_decoded_in_both_layouts(catalog: Catalog, line: str, last: str) -> None:
    event = event_of(catalog, f"NVRM: Xid (PCI:0008:01:00): {line}")

    assert event.kind == f"gpu.xid.{last}"


@pytest.mark.parametrize(
    ("change", "last"),
    [
        ("from 0x0 (None) to 0x1 (GPU Reset Required)", "gpu_reset"),
        ("from 0x0 (None) to 0x2 (Node Reboot Required)", "node_reboot"),
        ("from 0x0 (None) to 0x2 (OS Reboot)", "node_reboot"),
        ("from 0x0 (None) to 0x3 (Drain P2P)", "drain_p2p"),
        ("from 0x4 (Drain and Reset) to 0x1 (GPU Reset Required)", "gpu_reset"),
        ("from 0x0 (None) to 0x4 (Drain and Reset)", "drain_and_reset"),
        ("from 0x1 (GPU Reset Required) to 0x0 (None)", "none"),
    ],
)
def test_recovery_action_is_the_one_that_is_needed_now(catalog: Catalog, change: str, last: str) -> None:
    event = event_of(catalog, f"NVRM: Xid (PCI:0008:01:00): 154, GPU recovery action changed {change}")

    assert event.kind == f"gpu.xid.154.{last}"


@pytest.mark.parametrize(
    ("line", "kind", "gpu"),
    [
        ("NVRM: Xid (0000:86:00): 79, GPU has fallen off the bus.", "79", "0000:86:00"),
        ("NVRM: Xid (PCI:0000:3b:00 GPU-I:05): 94, pid=7, Contained: SM (0x1)", "94.unit", "0000:3b:00"),
        ("NVRM: Xid (PCI:...): 137, RLW_RXPIPE interrupt hit on link 11 on GPU3: PRIV Error", "137", "3"),
        (
            "XidCriticalError: Xid=48 on Device=GPU-1c2b3a49-aaaa, the device will go unhealthy.",
            "48",
            "GPU-1c2b3a49-aaaa",
        ),
        ("health check: Xid error 79 on GPU 6", "79", "6"),
    ],
)
def test_gpu_is_named_as_the_line_names_it(catalog: Catalog, line: str, kind: str, gpu: str) -> None:
    event = event_of(catalog, line)

    assert event.kind == f"gpu.xid.{kind}"
    assert event.component == Component(ComponentKind.GPU, gpu, "node001")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 27 LTSSM Fault Up", "gpu.sxid.fatal.20034"),
        ("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Non-fatal, Link 46 MCTO", "gpu.sxid.non_fatal.28006"),
        ("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 26006, SOE HALTED", "gpu.sxid.code.26006"),
        ("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Data {0x1, 0x2}", "gpu.sxid.detail"),
        (
            "detected NVSwitch fatal error 20034 on fid 0 on NVSwitch pci bus id 00000000:c1:00.0 port 27",
            "gpu.sxid.fatal.20034",
        ),
    ],
)
def test_sxid_is_fatal_where_the_line_says_so_and_names_its_switch(catalog: Catalog, line: str, kind: str) -> None:
    event = event_of(catalog, line)

    assert event.kind == kind
    assert event.component == Component(ComponentKind.NVSWITCH, "0000:c1:00", "node001")


@pytest.mark.parametrize(
    ("previous", "cause"), [(145, Cause.GPU_NVLINK), (31, Cause.SOFTWARE_BUG), (119, Cause.GPU_GSP)]
)
def test_removed_channel_speaks_for_the_xid_that_it_names(catalog: Catalog, previous: int, cause: Cause) -> None:
    line = f"NVRM: Xid (PCI:0000:3b:00): 45, pid=1, name=python3, Ch 00000001 caused by previous Xid {previous}"

    event = event_of(catalog, line)

    assert catalog.knowledge[event.kind].leading_cause is cause
