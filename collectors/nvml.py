"""NVIDIA's management library to readings: one sample per GPU, also for a GPU that no longer answers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import cast

from clusterwatch.errors import SourceError
from clusterwatch.model import Collected, Reading, Scalar
from clusterwatch.reading.text import printable
from clusterwatch.seams import Site
from collectors._child import LineChild, NoAnswerError

SAMPLE = "gpu.sample"
"""Subject of the reading that holds one GPU's values."""

FIELDS = (
    "index",
    "uuid",
    "serial",
    "pci",
    "name",
    "temperature_celsius",
    "power_watts",
    "memory_used_bytes",
    "memory_total_bytes",
    "utilization_percent",
    "sm_clock_mhz",
    "ecc_corrected_total",
    "ecc_uncorrected_total",
    "ecc_uncorrected_aggregate_total",
    "remapped_correctable_rows",
    "remapped_uncorrectable_rows",
    "remap_pending",
    "remap_failed",
    "throttle_reasons",
    "nvlinks_active",
    "nvlinks_total",
    "nvlink_errors_total",
    "lost",
    "error",
)
"""Fields of every sample; None where the driver or the GPU has no such value.

The ECC totals count since the driver was loaded, the aggregate over the life of the GPU. *throttle_reasons* are NVML's
bits, *lost* says that the driver reaches the GPU no more, *error* in NVML's words why.
"""

_IDENTITY = ("index", "uuid", "serial", "pci", "name")

Sample = Mapping[str, Scalar]


class NvmlCollector:
    """Asks NVML in a child process, so that a driver that hangs takes nothing with it."""

    name = "nvml"
    every_seconds = 10.0
    deadline_seconds = 8.0

    def __init__(self) -> None:
        self._child = LineChild()

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return a sample of each GPU that is here, or was seen since the node booted.

        Settings: *deadline_seconds* for one answer (default: two seconds less than the collector's own), *library_dir*
        where libnvidia-ml.so.1 is (default: where the system looks).

        Raises:
            SourceError: The driver did not answer in time, or refused.
        """
        answer = self._answer(site.settings)
        if "error" in answer:
            raise SourceError(f'NVML refused: {answer["error"]}: check with "nvidia-smi" on this node')
        if "condition" in answer:
            return Collected(position=position, condition=str(answer["condition"]))
        known = _known(position, site.boot_id)
        samples = with_lost(map(_sample, cast("list[Mapping[str, object]]", answer.get("gpus", []))), known)
        readings = tuple(_reading(site, sample, now) for sample in samples)
        return Collected(readings, {"boot_id": site.boot_id, "gpus": _identities(samples)})

    def close(self) -> None:
        """End the child."""
        self._child.close()

    def _answer(self, settings: Mapping[str, object]) -> Mapping[str, object]:
        deadline_seconds = float(str(settings.get("deadline_seconds", self.deadline_seconds - 2)))
        environment = _environment(str(settings.get("library_dir", "")))
        # "-P": nothing is imported from the folder the service happens to run in.
        command = (sys.executable, "-P", "-m", "collectors._nvml_child")
        try:
            answer = json.loads(self._child.ask(command, environment, b"{}", deadline_seconds))
        except NoAnswerError as silence:
            raise SourceError(
                f"the NVIDIA driver did not answer in {deadline_seconds:g} s ({silence}): "
                'a GPU may have fallen off the bus, look for "NVRM: Xid" in the kernel log'
            ) from silence
        return cast("Mapping[str, object]", answer)


def with_lost(samples: Iterable[Sample], known: Mapping[str, Sample]) -> tuple[Sample, ...]:
    """Return *samples* with names for GPUs that answer no more, and one more for each known GPU that is not listed.

    *known* holds the identity of the GPUs seen since boot by their UUID (by index where a GPU has none).
    """
    listed = tuple(samples)
    answering = {_key(sample) for sample in listed if sample["uuid"] is not None}
    silent = {gpu["index"]: gpu for key, gpu in known.items() if key not in answering}
    named = tuple(_named(sample, silent.get(sample["index"])) for sample in listed)
    present = {_key(sample) for sample in named}
    missing = (gpu for key, gpu in known.items() if key not in present)
    return (*named, *(_not_listed(gpu) for gpu in missing))


def _sample(answer: Mapping[str, object]) -> Sample:
    """Return the child's answer for one GPU with every field, None where it has no value."""
    sample = {name: cast(Scalar, answer.get(name)) for name in FIELDS}
    error = printable(str(answer["error"]), 300) if "error" in answer else None
    # "Unknown error" of a GPU that could still say who it is proves nothing; `_named` decides about the others.
    return sample | {"lost": bool(answer.get("certain")), "error": error, "pci": _pci(answer.get("pci"))}


def _named(sample: Sample, known: Sample | None) -> Sample:
    if sample["uuid"] is not None or known is None:
        return sample
    return {**sample, **{name: known.get(name) for name in _IDENTITY}, "lost": True}


def _not_listed(known: Sample) -> Sample:
    nothing: dict[str, Scalar] = dict.fromkeys(FIELDS)
    identity = {name: known.get(name) for name in _IDENTITY}
    return {**nothing, **identity, "lost": True, "error": "the driver lists this GPU no more"}


def _pci(bus_id: object) -> str | None:
    """Return "0000:3b:00.0" for NVML's "00000000:3B:00.0": the form that the kernel and lspci print."""
    if not isinstance(bus_id, str):
        return None
    domain, colon, rest = bus_id.lower().partition(":")
    return f"{domain[-4:] if domain.startswith('0000') else domain}{colon}{rest}"


def _key(sample: Sample) -> str:
    return str(sample["uuid"] if sample["uuid"] is not None else sample["index"])


def _identities(samples: Iterable[Sample]) -> dict[str, dict[str, Scalar]]:
    seen = (sample for sample in samples if sample["uuid"] is not None)
    return {_key(sample): {name: sample[name] for name in _IDENTITY} for sample in seen}


def _known(position: Mapping[str, object], boot_id: str) -> Mapping[str, Sample]:
    """Return the GPUs seen in this boot: over a reboot a GPU may have been taken out."""
    gpus = position.get("gpus")
    return gpus if isinstance(gpus, Mapping) and position.get("boot_id") == boot_id else {}


def _environment(library_dir: str) -> dict[str, str]:
    if not library_dir:
        return dict(os.environ)
    searched = (library_dir, os.environ.get("LD_LIBRARY_PATH", ""))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folder for folder in searched if folder)}


def _reading(site: Site, sample: Sample, now: datetime) -> Reading:
    return Reading(
        source=NvmlCollector.name,
        node=site.node,
        position=f"{now.isoformat()}/{_key(sample)}",
        observed_at=now,
        happened_at=now,
        boot_id=site.boot_id,
        subject=SAMPLE,
        text=", ".join(_words(sample)),
        fields=sample,
    )


def _words(sample: Sample) -> Iterator[str]:
    yield f"GPU {sample['index']}"
    if sample["pci"]:
        yield f"PCI {sample['pci']}"
    if sample["lost"]:
        yield "lost"
    if sample["error"]:
        yield str(sample["error"])
    if sample["temperature_celsius"] is not None:
        yield f"{sample['temperature_celsius']} °C"
