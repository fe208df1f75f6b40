"""The other end of an InfiniBand link, as infiniband-diags tell it: who it is, and what its port counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from collectors._tools import NoAnswerError, Said, Tools

# The direct route of one hop: whatever is at the other end of the cable.
OTHER_END = "0,1"

_NODE_INFO = re.compile(r"^(\w+):\.+(.*)$", re.MULTILINE)
_DESCRIPTION = re.compile(r"^Node Description:\.*(.*)$", re.MULTILINE)
_NODE = re.compile(r'^Errors for (?P<guid>0x[0-9a-f]+) "(?P<name>[^"]*)"')
_PORT = re.compile(r"^\s+GUID (?P<guid>0x[0-9a-f]+) port (?P<port>\d+):(?P<counters>.*)")
_COUNTER = re.compile(r"\[(?P<name>\w+) == (?P<value>\d+)")
_LINK = re.compile(r'==>\s+(?P<guid>0x[0-9a-f]+)\s+\d+\s+(?P<port>\d+)\[[^\]]*\] "(?P<name>[^"]*)"')

# Names of infiniband-diags to the kernel's names of the same counters.
COUNTER_NAMES: Mapping[str, str] = {
    "SymbolErrorCounter": "symbol_error",
    "LinkErrorRecoveryCounter": "link_error_recovery",
    "LinkDownedCounter": "link_downed",
    "PortRcvErrors": "port_rcv_errors",
    "PortRcvRemotePhysicalErrors": "port_rcv_remote_physical_errors",
    "PortRcvSwitchRelayErrors": "port_rcv_switch_relay_errors",
    "PortXmitDiscards": "port_xmit_discards",
    "LocalLinkIntegrityErrors": "local_link_integrity_errors",
    "ExcessiveBufferOverrunErrors": "excessive_buffer_overrun_errors",
}


@dataclass(frozen=True, slots=True)
class FabricPort:
    """One port of the fabric, the errors it counted, and where its cable goes ("" where the tool does not say)."""

    guid: str
    name: str
    number: int
    counters: Mapping[str, int] = field(default_factory=dict)
    other_end: str = ""


class Fabric:
    """infiniband-diags as seen from this node. *prefix* is put before each command."""

    def __init__(self, tools: Tools, prefix: Sequence[str], deadline_seconds: float) -> None:
        self._tools = tools
        self._prefix = tuple(prefix)
        self._deadline_seconds = deadline_seconds

    def other_end(self, device: str, port: int) -> FabricPort | None:
        """Return the port at the other end of the cable of a port here; None where nothing answers there.

        Raises:
            NoToolError: infiniband-diags are not installed.
            NoAnswerError: A tool hangs or refuses.
        """
        here = ("-C", device, "-P", str(port))
        asked = self._said("smpquery", *here, "-D", "nodeinfo", OTHER_END)
        node = dict(_NODE_INFO.findall(asked.output))
        if asked.exit_code or not node.get("LocalPort", "").isdecimal():
            return None
        told = _DESCRIPTION.search(self._said("smpquery", *here, "-D", "nodedesc", OTHER_END).output)
        number, guid = int(node["LocalPort"]), node.get("PortGuid" if node.get("NodeType") != "Switch" else "Guid", "")
        errors = self._said("ibqueryerrors", *here, *_EVERY_ERROR, "-D", OTHER_END)
        if not _is_complete(errors):
            raise NoAnswerError(f"ibqueryerrors: {errors.complaint}")
        found = {each.number: each.counters for each in fabric_ports(errors.output)}
        name = told[1].strip() if told else guid
        return FabricPort(guid, name, number, _with_zeros(found.get(number, {})), f"{device}/{port}")

    def every_port(self, device: str, port: int) -> tuple[FabricPort, ...]:
        """Return the ports of the whole fabric that counted errors, as seen from a port here.

        Raises:
            NoToolError: infiniband-diags are not installed.
            NoAnswerError: The sweep hangs or refuses.
        """
        said = self._said("ibqueryerrors", "-C", device, "-P", str(port), *_EVERY_ERROR, "--report-port")
        if not _is_complete(said):
            raise NoAnswerError(f"ibqueryerrors: {said.complaint}")
        return tuple(fabric_ports(said.output))

    def _said(self, tool: str, *arguments: str) -> Said:
        return self._tools.ask("fabric", (*self._prefix, tool, *arguments), self._deadline_seconds)


# Without the site's file of thresholds, every counter above 0 is told. Nothing is ever cleared: others read it too.
_EVERY_ERROR = ("--threshold-file", "/dev/null")


def fabric_ports(output: str) -> Iterator[FabricPort]:
    """Yield the ports that ibqueryerrors tells of, in its order."""
    name, waiting = "", None
    for line in output.splitlines():
        node, port, link = _NODE.match(line), _PORT.match(line), _LINK.search(line)
        if node:
            name = node["name"]
        elif port:
            if waiting is not None:
                yield waiting
            waiting = FabricPort(port["guid"], name, int(port["port"]), dict(_counters(port["counters"])))
        elif link and waiting is not None:
            end = f"{link['name']}/{link['port']}"
            yield FabricPort(waiting.guid, waiting.name, waiting.number, waiting.counters, end)
            waiting = None
    if waiting is not None:
        yield waiting


def _counters(text: str) -> Iterator[tuple[str, int]]:
    for counter in _COUNTER.finditer(text):
        if counter["name"] in COUNTER_NAMES:
            yield COUNTER_NAMES[counter["name"]], int(counter["value"])


def _with_zeros(counters: Mapping[str, int]) -> dict[str, int]:
    """Return *counters* with the 0 of those that ibqueryerrors leaves out."""
    return {**dict.fromkeys(COUNTER_NAMES.values(), 0), **counters}


def _is_complete(said: Said) -> bool:
    # It exits with 1 for errors of ports too; only a sweep that came to its end prints how many nodes it saw.
    return "## Summary:" in said.output
