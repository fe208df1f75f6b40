"""What the samples of InfiniBand and RoCE ports mean.

Limits of the counters are those of NVIDIA's NVSentinel where it has one, else those with which ibqueryerrors ships:
https://docs.nvidia.com/nvsentinel/components/nic-health-monitor/link-counter-detection
https://github.com/linux-rdma/rdma-core/blob/master/infiniband-diags/etc/error_thresholds
"""

from __future__ import annotations

from clusterwatch.detect.changes import Condition, Fields, equals
from clusterwatch.detect.devices import Device, Growth
from clusterwatch.detect.progress import number
from clusterwatch.model import Component, ComponentKind, Reading

_HERE = "{device} port {port} ({netdev})"

MINUTE_SECONDS, HOUR_SECONDS = 60.0, 3600.0


def _is_down(fields: Fields, before: bool) -> bool | None:
    """Whether a port that should be up has no link.

    One that never was up may be unused, and links come up slowly after a boot; one that somebody switched off is
    another matter.
    """
    if fields.get("state") is None or _is_off(fields) or not fields.get("answers"):
        return None
    if fields["state"] in ("ACTIVE", "ACTIVE_DEFER", "INIT", "ARMED"):
        return False
    had_link_before_boot = fields.get("best_rate_gbps") is not None and not fields.get("is_settling")
    return True if fields.get("seen_active") or had_link_before_boot else None


def _is_switched_off(fields: Fields, before: bool) -> bool | None:
    return None if fields.get("state") is None else _is_off(fields)


def _is_off(fields: Fields) -> bool:
    if fields.get("link_layer") == "Ethernet":
        return fields.get("admin_up") is False
    return fields.get("phys_state") == "Disabled"


def _waits_for_manager(fields: Fields, before: bool) -> bool | None:
    """Whether the link is there and no subnet manager makes the port active."""
    if fields.get("state") is None or fields.get("is_settling"):
        return None
    return fields["state"] in ("INIT", "ARMED") and fields.get("phys_state") == "LinkUp"


def _is_slower(fields: Fields, before: bool) -> bool | None:
    rate, best = number(fields.get("rate_gbps")), number(fields.get("best_rate_gbps"))
    # A link that is coming up may pass through lower rates.
    if fields.get("state") != "ACTIVE" or fields.get("is_settling") or rate is None or best is None:
        return None
    return rate < best


def _has_full_counters(fields: Fields, before: bool) -> bool | None:
    return None if fields.get("full_counters") is None else bool(fields["full_counters"])


def _flapped(fields: Fields, downs: float) -> str | None:
    """Return the kind of a link that went down once since the last look and is up again; None where it is another."""
    return "fabric.link.flapped" if downs <= 1 and fields.get("state") == "ACTIVE" else None


def _nic(reading: Reading) -> Component:
    # By its address, as the kernel and the other collectors name it.
    return Component(ComponentKind.NIC, str(reading.fields.get("pci") or reading.fields.get("device")), reading.node)


def _far_end(reading: Reading) -> Component:
    name = f"{reading.fields.get('peer')}/{reading.fields.get('peer_port')}"
    return Component(ComponentKind.LINK, name, reading.node)


PORT = Device(
    subject="fabric.port",
    component=_nic,
    conditions=(
        Condition("fabric.device.lost", equals("present", False), _HERE + " is listed no more"),
        Condition("fabric.device.unresponsive", equals("answers", False), _HERE + " does not answer its driver"),
        Condition("fabric.port.down", _is_down, _HERE + " is {state}, {phys_state}", from_start=False),
        Condition("fabric.port.switched_off", _is_switched_off, _HERE + " is switched off", from_start=False),
        Condition("fabric.port.no_manager", _waits_for_manager, _HERE + " is {state}: no subnet manager answers"),
        Condition("fabric.port.slower", _is_slower, _HERE + " runs at {rate_gbps} Gb/s, it had {best_rate_gbps}"),
        Condition("fabric.counters.full", _has_full_counters, _HERE + ": at their end: {full_counters}"),
    ),
    growths=(
        Growth("fabric.link.downed", "link_downed_total", _HERE + ": link down {growth} times", milder=_flapped),
        Growth(
            "fabric.link.carrier",
            "carrier_changes_total",
            _HERE + ": carrier changed {growth} times",
            2,
            60.0,
            lambda fields, changes: _flapped(fields, changes / 2),
        ),
        Growth(
            "fabric.link.symbol_errors",
            "symbol_error_total",
            _HERE + ": {growth} symbol errors within an hour",
            120,
            HOUR_SECONDS,
        ),
        Growth(
            "fabric.link.recovered",
            "link_error_recovery_total",
            _HERE + ": link recovered from errors {growth} times within a minute",
            5,
            MINUTE_SECONDS,
        ),
        Growth(
            "fabric.link.receive_errors",
            "port_rcv_errors_total",
            _HERE + ": {growth} damaged packets within a minute",
            600,
            MINUTE_SECONDS,
        ),
        Growth(
            "fabric.link.integrity", "local_link_integrity_errors_total", _HERE + ": {growth} link integrity errors"
        ),
        Growth(
            "fabric.link.overrun",
            "excessive_buffer_overrun_errors_total",
            _HERE + ": {growth} excessive buffer overruns",
        ),
        Growth(
            "fabric.remote_errors",
            "port_rcv_remote_physical_errors_total",
            _HERE + ": {growth} packets marked bad by a switch before",
            100,
            HOUR_SECONDS,
        ),
        Growth(
            "fabric.discards",
            "port_xmit_discards_total",
            _HERE + ": {growth} packets not sent within a minute",
            6000,
            MINUTE_SECONDS,
        ),
        Growth(
            "fabric.packet_damage", "rx_icrc_encapsulated_total", _HERE + ": {growth} RoCE packets with a wrong CRC"
        ),
        Growth(
            "fabric.ack_timeouts",
            "local_ack_timeout_err_total",
            _HERE + ": {growth} acknowledgements missing within a minute",
            60,
            MINUTE_SECONDS,
        ),
        Growth(
            "fabric.retries_exceeded",
            "req_transport_retries_exceeded_total",
            _HERE + ": {growth} connections gave up after all retries",
        ),
    ),
)

_THERE = "{peer} port {peer_port}, cable to {other_end}"

PEER = Device(
    subject="fabric.peer",
    component=_far_end,
    growths=(
        Growth("fabric.peer.downed", "link_downed_total", _THERE + ": link down {growth} times"),
        Growth(
            "fabric.peer.symbol_errors",
            "symbol_error_total",
            _THERE + ": {growth} symbol errors within an hour",
            120,
            HOUR_SECONDS,
        ),
        Growth(
            "fabric.peer.recovered",
            "link_error_recovery_total",
            _THERE + ": link recovered from errors {growth} times within ten minutes",
            10,
            10 * MINUTE_SECONDS,
        ),
        Growth(
            "fabric.peer.receive_errors",
            "port_rcv_errors_total",
            _THERE + ": {growth} damaged packets within ten minutes",
            600,
            10 * MINUTE_SECONDS,
        ),
        Growth(
            "fabric.peer.integrity", "local_link_integrity_errors_total", _THERE + ": {growth} link integrity errors"
        ),
    ),
)

FABRIC = (PORT, PEER)
"""Devices of the collector `fabric`."""
