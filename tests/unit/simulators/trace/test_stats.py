"""Figures of traces."""

import pytest

from clusterwatch.model import Cause
from simulators.trace.generating import generate
from simulators.trace.specs import builtin_spec
from simulators.trace.stats import poisson_band, stats_of
from some_kinds import SOME_KINDS

LLAMA3 = stats_of(generate(builtin_spec("llama3-54d"), kinds=SOME_KINDS))


@pytest.mark.parametrize(
    ("mean", "band"),
    [
        (148, (125, 172)),
        (72, (56, 89)),
        (54, (40, 69)),
        (35, (24, 47)),
        (32, (21, 44)),
        (19, (11, 28)),
        (17, (9, 26)),
        (7, (2, 13)),
        (6, (2, 11)),
        (3, (0, 7)),
        (2, (0, 5)),
        (419, (379, 460)),
        (0.001, (0, 0)),
        (5_000, (4_862, 5_139)),
    ],
)
def test_band_of_a_count_is_that_of_poisson(mean: float, band: tuple[int, int]):
    assert poisson_band(mean) == band


def test_figures_of_llama3_are_those_that_are_published():
    assert (LLAMA3.faults, LLAMA3.planned, LLAMA3.nodes, LLAMA3.gpus) == (419, 47, 2_048, 16_384)
    assert LLAMA3.mean_hours_between_faults == pytest.approx(3.093, abs=0.001)
    assert LLAMA3.per_1000_node_days == pytest.approx(3.789, abs=0.001)


def test_every_row_of_llama3_lies_in_the_middle_of_its_band():
    assert len(LLAMA3.rows) == 18
    assert all(row.count == row.expected for row in LLAMA3.rows)
    first = LLAMA3.rows[0]
    assert (first.row, first.least, first.most, first.mean_hours_between) == ("Faulty GPU", 125, 172, 8.757)
    assert first.causes == {"faulty_gpu": 121, "gpu_nvlink": 27}


def test_bands_follow_the_size_and_the_length_of_the_trace():
    dense = stats_of(generate(builtin_spec("byterobust-dense"), kinds=SOME_KINDS))

    assert dense.rows[0].expected == pytest.approx(148 * 90 * 1_200 / (54 * 2_048), abs=0.01)


def test_nodes_that_fail_again_and_again_are_named():
    lemons = stats_of(generate(builtin_spec("lemon-nodes"), kinds=SOME_KINDS))

    assert list(lemons.repeat_offenders.values())[:3] > [5, 5, 5]
    assert lemons.repeated_share > 0.4


def test_copies_of_one_noise_are_counted():
    storm = stats_of(generate(builtin_spec("event-storm"), kinds=SOME_KINDS))

    assert storm.noise_seen > 1_400_000
    assert storm.noise_records < 100


def test_trace_without_faults_has_no_time_between_them():
    quiet = stats_of(generate(builtin_spec("tiny"), days=0.01, kinds=SOME_KINDS))

    assert (quiet.faults, quiet.mean_hours_between_faults) == (0, None)
    assert Cause.FAULTY_GPU not in quiet.rows[0].causes
