"""How long a turn of the responder takes: read the inbox, respond, commit; on a real database.

For incidents of 1, 100 and 16,384 symptoms: all turns in which they came (a turn takes at most 5,000 events), and then
turns with a single further event. Symptoms fold across the ranks of a job; what may be a cause itself, such as an
exception, is kept by rank up to a limit, which is the worst case.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterwatch.store import Store
from turns import HEADING, KINDS, TARGET_P99_MS, keep, measured

REPEATS = 200
EVENTS_KEPT = 10_000


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database."""
    postgres = request.param == "postgresql"
    return request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'bench.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A fresh store."""
    store = Store.open(url, create=True)
    yield store
    store.close()


@pytest.mark.parametrize("what", KINDS)
def test_turn_costs_the_same_per_symptom_however_many_there_are(
    store: Store, url: str, what: str, request: pytest.FixtureRequest
):
    lease = store.acquire("bench", 3600)
    assert lease is not None
    keep(store, lease, url, EVENTS_KEPT)
    print(f"\n{request.node.callspec.id}, {EVENTS_KEPT:,} events kept\n{HEADING}")

    found = {size: measured(store, lease, f"job-{size}", KINDS[what], size, REPEATS) for size in TARGET_P99_MS}

    for size, times in found.items():
        print(times.row(size))
    per_symptom = {size: sum(times.growing) / size for size, times in found.items()}
    # A floor, not a mark: scanning all evidence for each event would make this more than a hundred.
    assert per_symptom[16_384] < 5 * per_symptom[100]
