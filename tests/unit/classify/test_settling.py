"""How long to wait for evidence that is still under way."""

from dataclasses import replace
from datetime import datetime

from clusterwatch.classify.settling import SettleLimits, settling
from clusterwatch.model import Alternative, Cause, Diagnosis, Incident, IncidentState
from clusterwatch.testing import NOON, seconds
from shipped import shipped_catalog

KNOWLEDGE = shipped_catalog().knowledge
LAST_STEP_AT = NOON - seconds(35)
INCIDENT = Incident("inc-1", IncidentState.SETTLING, NOON, NOON, NOON, ())
UNKNOWN = Diagnosis("inc-1", 1, Cause.UNKNOWN, 0.6, (Alternative(Cause.SOFTWARE_BUG, 0.2),), (), (), (), "", "", NOON)
CLEAR = replace(UNKNOWN, cause=Cause.GPU_GSP)


def is_over(diagnosis: Diagnosis, after: float, hung_since: datetime | None = LAST_STEP_AT) -> bool:
    """Whether nothing more is waited for, so long after the hang was noticed."""
    settled = settling(
        INCIDENT,
        diagnosis,
        KNOWLEDGE,
        alternatives_agree=True,
        hung_since=hung_since,
        limits=SettleLimits(),
        now=NOON + seconds(after),
    )
    return settled.is_over


def test_hang_that_nothing_explains_waits_for_the_drivers_to_give_up():
    assert not is_over(UNKNOWN, 34.0)
    assert is_over(UNKNOWN, 35.0)


def test_hang_that_is_explained_and_what_did_not_hang_wait_no_longer_than_else():
    assert is_over(CLEAR, 3.0)
    assert is_over(UNKNOWN, 3.0, hung_since=None)
