"""What NVML's numbers mean, against the names that NVIDIA gives them, and GPUs that are gone."""

from __future__ import annotations

from datetime import UTC, datetime

import pynvml
import pytest

from clusterwatch.detect import gpu as detected
from clusterwatch.errors import ConfigError
from clusterwatch.model import Scalar
from clusterwatch.seams import Site
from collectors import _nvml_fields as words
from collectors.nvml import FIELDS, NvmlCollector, with_lost

GPU_0: dict[str, Scalar] = {"index": 0, "uuid": "GPU-a", "serial": "1", "pci": "0000:3b:00.0", "name": "H100"}
GPU_1: dict[str, Scalar] = {**GPU_0, "index": 1, "uuid": "GPU-b", "pci": "0000:3c:00.0"}
KNOWN = {"GPU-a": GPU_0, "GPU-b": GPU_1}


def sample(identity: dict[str, Scalar], **values: Scalar) -> dict[str, Scalar]:
    nothing: dict[str, Scalar] = dict.fromkeys(FIELDS)
    return {**nothing, "lost": False, "reset_required": False, **identity, **values}


def constants(prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): getattr(pynvml, name) for name in dir(pynvml) if name.startswith(prefix)}


def test_every_clock_event_reason_has_words():
    reasons = {**constants("nvmlClocksThrottleReason"), **constants("nvmlClocksEventReason")}
    single = {bit for name, bit in reasons.items() if name not in {"None", "All"}}

    assert set(words.THROTTLE) == single
    assert words.throttle_words(pynvml.nvmlClocksThrottleReasonHwThermalSlowdown) == "hardware thermal slowdown"
    assert words.throttle_words(0) == ""


def test_recovery_actions_are_named_by_their_numbers():
    named = {name.lower(): number for name, number in constants("NVML_GPU_RECOVERY_ACTION_").items()}

    assert dict(zip(words.RECOVERY_ACTIONS, range(len(words.RECOVERY_ACTIONS)), strict=True)) == named


def test_every_recovery_action_but_none_is_an_event():
    told = {each.kind for each in detected.CONDITIONS if each.kind.startswith("gpu.recovery.")}

    assert told == {f"gpu.recovery.{action}" for action in words.RECOVERY_ACTIONS if action != "none"}


def test_fabric_states_are_named_by_their_numbers():
    named = {name.lower(): number for name, number in constants("NVML_GPU_FABRIC_STATE_").items()}

    assert {name: number for number, name in enumerate(words.FABRIC_STATES)} == named


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("DEGRADED_BW", pynvml.NVML_GPU_FABRIC_HEALTH_MASK_DEGRADED_BW_TRUE, "degraded bandwidth"),
        ("DEGRADED_BW", pynvml.NVML_GPU_FABRIC_HEALTH_MASK_DEGRADED_BW_FALSE, ""),
        ("ROUTE_RECOVERY", pynvml.NVML_GPU_FABRIC_HEALTH_MASK_ROUTE_RECOVERY_TRUE, "route recovery"),
        ("ROUTE_UNHEALTHY", pynvml.NVML_GPU_FABRIC_HEALTH_MASK_ROUTE_UNHEALTHY_TRUE, "unhealthy route"),
        ("ACCESS_TIMEOUT_RECOVERY", 1, "access timeout recovery"),
        ("INCORRECT_CONFIGURATION", pynvml.NVML_GPU_FABRIC_HEALTH_MASK_INCORRECT_CONFIGURATION_NONE, ""),
        ("INCORRECT_CONFIGURATION", 5, "too few NVLinks"),
    ],
)
def test_health_of_the_fabric_is_told_in_words(field: str, value: int, told: str):
    shift = getattr(pynvml, f"NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_{field}")

    assert words.fabric_health_words(value << shift) == told


def test_number_that_a_newer_driver_gives_stays_a_number():
    assert words.named(42, words.RECOVERY_ACTIONS) == "42"


def test_every_field_that_detection_reads_is_one_that_the_collector_gives():
    read = {counter.name for counter in detected.COUNTERS}

    assert read <= set(FIELDS)


def test_gpu_that_cannot_say_who_it_is_gets_its_name_and_is_lost():
    nameless = sample({"index": 1, "uuid": None}, error="Unknown Error")

    first, second = with_lost([sample(GPU_0), nameless], KNOWN)

    assert (first["lost"], second["lost"]) == (False, True)
    assert (second["uuid"], second["pci"], second["error"]) == ("GPU-b", "0000:3c:00.0", "Unknown Error")


def test_gpu_that_waits_for_a_reset_is_there():
    (gpu, other) = with_lost([sample(GPU_0), sample({"index": 1, "uuid": None}, reset_required=True)], KNOWN)

    assert (gpu["lost"], other["lost"], other["uuid"]) == (False, False, "GPU-b")


def test_gpu_that_is_listed_no_more_is_lost():
    samples = with_lost([sample(GPU_0)], KNOWN)

    assert [(each["uuid"], each["lost"]) for each in samples] == [("GPU-a", False), ("GPU-b", True)]


@pytest.mark.parametrize("gpus", ["8", True, -1, 7.5])
def test_number_of_gpus_that_is_none_is_a_mistake_of_the_configuration(gpus: object):
    collector = NvmlCollector()

    with pytest.raises(ConfigError, match="expected a whole number"):
        collector.collect(Site("node001", "boot-1", {"gpus": gpus}), {}, datetime(2026, 3, 1, tzinfo=UTC))

    collector.close()
