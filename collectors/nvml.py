"""NVIDIA's management library to readings: a sample per GPU, also for one that answers no more, their number, Xids."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import cast

from clusterwatch.errors import ConfigError, Mistake, SourceError
from clusterwatch.model import Collected, Reading, Scalar
from clusterwatch.reading.text import printable
from clusterwatch.seams import Site
from collectors._child import LineChild, NoAnswerError
from collectors._nvml_fields import FIELDS, IDENTITY

__all__ = ["COUNT", "FIELDS", "SAMPLE", "XID", "NvmlCollector", "with_lost"]

SAMPLE = "gpu.sample"
"""Subject of the reading that holds one GPU's values."""

COUNT = "gpu.count"
"""Subject of the reading that says how many GPUs there are."""

XID = "gpu.xid"
"""Subject of the reading of one Xid that the driver reported."""

# The child is given up before the collector is, so that its silence is told in words.
_MARGIN_SECONDS = 2.0
_LEAST_SECONDS = 0.5

Sample = Mapping[str, Scalar]


class NvmlCollector:
    """Asks NVML in a child process, so that a driver that hangs takes nothing with it."""

    name = "nvml"
    every_seconds = 10.0
    deadline_seconds = 8.0
    scans = True

    def __init__(self) -> None:
        self._child = LineChild()

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return a sample of each GPU that is here or was seen since the node booted, their number, and new Xids.

        Settings: *deadline_seconds* for one answer (default: two seconds less than the collector's own), *library_dir*
        where libnvidia-ml.so.1 is (default: where the system looks), *gpus* how many there should be.

        Raises:
            SourceError: The driver did not answer in time, or refused.
        """
        answer = self._answer(site)
        if "error" in answer:
            raise SourceError(f'NVML refused: {answer["error"]}: check with "nvidia-smi" on this node')
        known = _known(position, site.boot_id)
        listed = [_sample(gpu) for gpu in cast("list[Mapping[str, object]]", answer.get("gpus", []))]
        expected = _expected(site.settings)
        if "condition" in answer:
            # Without a driver nothing is known of GPUs, unless somebody said that there are some.
            missing = (_count(site, (), (), expected, now),) if expected else ()
            return Collected(missing, position, condition=str(answer["condition"]))
        samples = with_lost(listed, known)
        xids = cast("list[Mapping[str, object]]", answer.get("xids", []))
        readings = (
            *(_xid(site, xid, number, samples, now) for number, xid in enumerate(xids)),
            *(_reading(site, sample, now) for sample in samples),
            _count(site, listed, samples, expected, now),
        )
        return Collected(readings, {"boot_id": site.boot_id, "gpus": _identities(samples)})

    def close(self) -> None:
        """End the child."""
        self._child.close()

    def _answer(self, site: Site) -> Mapping[str, object]:
        settings = site.settings
        allowed_seconds = (site.deadline_seconds or self.deadline_seconds) - _MARGIN_SECONDS
        deadline_seconds = float(str(settings.get("deadline_seconds", max(allowed_seconds, _LEAST_SECONDS))))
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
    # One that has to be reset is there; what else cannot even say who it is, is not.
    is_lost = not sample["reset_required"]
    return {**sample, **{name: known.get(name) for name in IDENTITY}, "lost": is_lost}


def _not_listed(known: Sample) -> Sample:
    nothing: dict[str, Scalar] = dict.fromkeys(FIELDS)
    identity = {name: known.get(name) for name in IDENTITY}
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
    return {_key(sample): {name: sample[name] for name in IDENTITY} for sample in seen}


def _known(position: Mapping[str, object], boot_id: str) -> Mapping[str, Sample]:
    """Return the GPUs seen in this boot: over a reboot a GPU may have been taken out."""
    gpus = position.get("gpus")
    return gpus if isinstance(gpus, Mapping) and position.get("boot_id") == boot_id else {}


def _environment(library_dir: str) -> dict[str, str]:
    if not library_dir:
        return dict(os.environ)
    searched = (library_dir, os.environ.get("LD_LIBRARY_PATH", ""))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folder for folder in searched if folder)}


def _expected(settings: Mapping[str, object]) -> int | None:
    expected = settings.get("gpus")
    if expected is not None and (isinstance(expected, bool) or not isinstance(expected, int) or expected < 0):
        raise ConfigError("collector nvml", [Mistake("gpus", f"is {expected!r}, expected a whole number")])
    return expected


def _reading(site: Site, sample: Sample, now: datetime) -> Reading:
    return _told(site, SAMPLE, _key(sample), ", ".join(_words(sample)), sample, now)


def _count(
    site: Site, listed: Sequence[Sample], samples: Sequence[Sample], expected: int | None, now: datetime
) -> Reading:
    answering = sum(not sample["lost"] and sample["uuid"] is not None for sample in samples)
    values: dict[str, Scalar] = {
        "gpus_listed": len(listed),
        "gpus_answering": answering,
        "gpus_known": len(samples),
        "gpus_expected": expected,
    }
    return _told(site, COUNT, "count", f"{answering} of {len(samples)} GPUs answer", values, now)


def _xid(site: Site, xid: Mapping[str, object], number: int, samples: Sequence[Sample], now: datetime) -> Reading:
    values: dict[str, Scalar] = {name: cast(Scalar, value) for name, value in xid.items()}
    gpu = next((sample for sample in samples if sample["index"] == xid["index"]), None)
    values |= {name: gpu[name] for name in IDENTITY} if gpu else {}
    of_which = f"GPU {values['index']} ({values.get('pci')})" if gpu else "a GPU"
    text = f"NVML reports Xid {xid['xid']} of {of_which}"
    return _told(site, XID, f"xid{number}", text, values, now)


def _told(site: Site, subject: str, place: str, text: str, values: Sample, now: datetime) -> Reading:
    return Reading(
        source=NvmlCollector.name,
        node=site.node,
        position=f"{now.isoformat()}/{place}",
        observed_at=now,
        happened_at=now,
        boot_id=site.boot_id,
        subject=subject,
        text=text,
        fields=values,
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
