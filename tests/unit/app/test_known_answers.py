"""What the results of sums with a known answer say about the GPUs that computed them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from clusterwatch.app.children.known_answers import PROBLEMS
from clusterwatch.app.known_answers import (
    ANSWERS,
    CHECKED,
    CPU_SIZE,
    FAILED,
    GPU_SIZE,
    NO_ROOM,
    UNSTABLE,
    WRONG,
    Device,
    answers_in,
    judged,
)

LOW = 0x7FFFFFFF
EXACT = {name: magnitude for name, _, magnitude in PROBLEMS if magnitude is not None}


def whole_numbers(size: int, seed: int, magnitude: int) -> np.ndarray:
    row, column = np.arange(size, dtype=np.int64)[:, None], np.arange(size, dtype=np.int64)[None, :]
    bits = ((row * 73856093) ^ (column * 19349663) ^ seed) & LOW
    bits = ((bits ^ (bits >> 13)) * 1274126177) & LOW
    bits = ((bits ^ (bits >> 16)) * 668265263) & LOW
    return (bits >> 7) % (2 * magnitude + 1) - magnitude


def gpu(index: int, name: str = "H100", error: str = "", **digests: str) -> Device:
    """A GPU whose *digests* are words, one for each round: a="x x y"."""
    right = {name: (answer,) * 3 for name, answer in ANSWERS[GPU_SIZE].items()}
    results = right | {problem: tuple(words.split()) for problem, words in digests.items()}
    identity = {"index": index, "pci": f"0000:{index:02x}:00.0", "uuid": f"GPU-{index}", "name": name}
    return Device(f"cuda:{index}", identity, results, error)


def verdicts(*devices: Device) -> list[str]:
    return [subject for subject, _, _ in judged(devices, GPU_SIZE)]


@pytest.mark.parametrize("problem", EXACT)
def test_known_answers_are_those_of_another_library_in_whole_numbers(problem: str):
    left, right = (whole_numbers(CPU_SIZE, seed, EXACT[problem]) for seed in (1, 2))

    product = hashlib.sha256((left @ right).astype("<i8").tobytes()).hexdigest()[:32]

    assert ANSWERS[CPU_SIZE][problem] == product


@pytest.mark.parametrize("problem", EXACT)
def test_answers_for_gpus_are_exact_in_double_precision(problem: str):
    left, right = (whole_numbers(GPU_SIZE, seed, EXACT[problem]).astype(np.float64) for seed in (1, 2))

    product = (left @ right).astype(np.int64)

    assert np.abs(left).max() * np.abs(right).max() * GPU_SIZE <= 2**53
    assert ANSWERS[GPU_SIZE][problem] == hashlib.sha256(product.astype("<i8").tobytes()).hexdigest()[:32]


def test_every_size_has_an_answer_to_every_exact_problem():
    assert {size: set(answers) for size, answers in ANSWERS.items()} == {CPU_SIZE: set(EXACT), GPU_SIZE: set(EXACT)}


def test_gpu_whose_results_are_all_right_is_well():
    assert verdicts(gpu(0), gpu(1)) == [CHECKED, CHECKED]


def test_gpu_with_one_wrong_result_among_right_ones_computes_wrongly():
    right = ANSWERS[GPU_SIZE]["float32"]

    (verdict,) = judged([gpu(3, float32=f"{right} {right} 00ff")], GPU_SIZE)

    assert (verdict[0], verdict[1]) == (WRONG, "GPU 3: wrong result of float32")
    assert verdict[2]["pci"] == "0000:03:00.0"


def test_gpu_whose_bits_change_from_run_to_run_is_unstable():
    assert verdicts(gpu(0, **{"float32-free": "aa aa ab"})) == [UNSTABLE]


def test_gpu_that_differs_from_most_of_its_kind_computes_wrongly():
    devices = [gpu(index, **{"float32-free": "aa aa aa"}) for index in range(3)]
    odd = gpu(3, **{"float32-free": "bb bb bb"})

    assert verdicts(*devices, odd) == [CHECKED, CHECKED, CHECKED, WRONG]


@pytest.mark.parametrize("other", ["H100", "A100"])
def test_two_gpus_or_two_kinds_that_differ_prove_nothing(other: str):
    differing = gpu(0, **{"float32-free": "aa aa aa"}), gpu(1, name=other, **{"float32-free": "bb bb bb"})

    assert verdicts(*differing) == [CHECKED, CHECKED]


def test_gpu_that_cannot_compute_is_no_gpu_that_computes_wrongly():
    assert verdicts(gpu(0, error="AcceleratorError: CUDA error: an illegal memory access")) == [FAILED]


def test_gpu_whose_memory_is_taken_by_a_job_is_not_at_fault():
    assert verdicts(gpu(0, error="OutOfMemoryError: CUDA out of memory. Tried to allocate 64.00 MiB")) == [NO_ROOM]


def test_what_libraries_print_among_the_answers_is_passed_over():
    answered = answers_in(
        [
            "Warning: something about a cache",
            '{"device": "cuda:0", "name": "H100", "index": 0}',
            "[1, 2]",
            '{"device": "cuda:0", "problem": "float64", "round": 0, "digest": "aa"}',
        ]
    )

    assert answered.devices == (Device("cuda:0", {"name": "H100", "index": 0}, {"float64": ("aa",)}),)
    assert (answered.is_done, answered.condition) == (False, "")
