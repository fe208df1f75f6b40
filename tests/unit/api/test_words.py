from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest

from clusterwatch.api import words
from clusterwatch.model import Cause, IncidentState, JobState, Mode, NodeState, StepKind, StepState

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("table", "members"),
    [
        (words.CAUSES, Cause),
        (words.INCIDENT_STATES, IncidentState),
        (words.JOB_STATES, JobState),
        (words.NODE_STATES, NodeState),
        (words.MODES, Mode),
        (words.STEPS, StepKind),
        (words.STEP_STATES, StepState),
    ],
)
def test_every_value_has_words_of_its_own(table: dict[StrEnum, str], members: type[StrEnum]):
    assert set(table) == set(members)
    assert len(set(table.values())) == len(table)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-3, "0 s ago"), (0, "0 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (7199, "1 h ago"), (200000, "2 d ago")],
)
def test_age_is_in_its_largest_unit(seconds: float, shown: str):
    assert words.ago(NOON - timedelta(seconds=seconds), NOON) == shown


def test_what_never_happened_is_a_dash():
    assert (words.ago(None, NOON), words.stamp(None), words.percent(None)) == ("-", "-", "-")


@pytest.mark.parametrize(
    ("share", "shown"),
    [(1.0, "100 %, nearly certain"), (0.999, "99 %, nearly certain"), (0.72, "72 %, likely"), (0.1, "10 %, unsure")],
)
def test_confidence_is_a_number_and_words_and_never_rounded_up_to_certainty(share: float, shown: str):
    assert words.confidence(share) == shown
