"""Exit codes to how a process ended."""

from __future__ import annotations

from collections.abc import Mapping

from clusterwatch.model import Scalar

_NAMES = {2: "sigint", 6: "sigabrt", 7: "sigbus", 9: "sigkill", 11: "sigsegv", 15: "sigterm"}
# A shell reports a child that a signal ended as 128 + the signal's number.
_SHELL = 128


def ending(fields: Mapping[str, Scalar]) -> str:
    """Return "ok", "error", "signal", or a signal's name ("sigkill") from fields exit_code and signal."""
    number = signal_number(fields)
    if number:
        return _NAMES.get(number, "signal")
    return "ok" if fields.get("exit_code") in (0, "0") else "error"


def signal_number(fields: Mapping[str, Scalar]) -> int:
    """Return the number of the signal that ended a process; 0 when none did."""
    named = str(fields.get("signal") or "").lower()
    by_name = {name: number for number, name in _NAMES.items()}
    if named:
        return by_name.get(named if named.startswith("sig") else f"sig{named}", _whole(named))
    code = _whole(fields.get("exit_code"))
    if code < 0:
        return -code
    return code - _SHELL if code - _SHELL in _NAMES else 0


def _whole(value: Scalar) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
