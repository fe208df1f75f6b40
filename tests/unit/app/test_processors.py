"""Sums on the processors of this machine, and what their answers mean."""

import json
import runpy
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clusterwatch.app import processors
from clusterwatch.seams import Site

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHILD = Path(processors.__file__).parent / "children" / "processors.py"


def test_processors_of_this_machine_are_right():
    (reading,) = processors.computed(Site("node001"), NOON, 30).readings

    assert reading.subject == "scan.checked"
    assert reading.text.endswith(" processors right")


def test_known_answer_is_that_of_the_sum():
    child = runpy.run_path(str(CHILD))

    number = 1
    for step in range(child["ROUNDS"]):
        number = (number * 1_103_515_245 + 12_345 + step) % 2**32
    assert child["ANSWER"] == number


def test_process_that_asks_them_ends_by_itself():
    done = subprocess.run([sys.executable, str(CHILD), '{"seconds": 20}'], capture_output=True, timeout=60, check=True)

    answer = json.loads(done.stdout)
    assert (answer["silent"], answer["wrong"]) == ([], [])
    assert answer["processors"] > 0


@pytest.mark.parametrize(
    ("answer", "subjects"),
    [
        ({"processors": 8, "silent": [], "wrong": []}, ["scan.checked"]),
        ({"processors": 8, "silent": [3], "wrong": []}, ["scan.processor_stuck"]),
        ({"processors": 8, "silent": [3, 5], "wrong": [7]}, ["scan.processor_stuck", "scan.processor_wrong"]),
    ],
)
def test_processor_that_is_silent_is_told_apart_from_one_that_is_wrong(answer: dict[str, object], subjects: list[str]):
    assert [subject for subject, _, _ in processors.judged(answer)] == subjects
