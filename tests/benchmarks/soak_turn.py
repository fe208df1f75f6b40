"""A turn is as quick with ten million events kept as with ten thousand: what is past is never read again.

`CLUSTERWATCH_EVENTS_KEPT` says how many, for a shorter run.
"""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median

from clusterwatch.store import Store
from turns import HEADING, KINDS, TARGET_P99_MS, keep, measured

FEW, REPEATS = 10_000, 200
MANY = int(os.environ.get("CLUSTERWATCH_EVENTS_KEPT", "10_000_000"))


def test_turn_does_not_grow_with_what_is_kept(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'soak.db'}"
    store = Store.open(url, create=True)
    lease = store.acquire("soak", 24 * 3600)
    assert lease is not None
    medians = {}

    for kept in (FEW, MANY):
        keep(store, lease, url, kept)
        print(f"\nsqlite, {kept:,} events kept\n{HEADING}")
        for size in TARGET_P99_MS:
            times = measured(store, lease, f"job-{kept}-{size}", KINDS["symptoms"], size, REPEATS)
            medians[kept, size] = median(times.one_more)
            print(times.row(size))

    store.close()
    assert all(medians[MANY, size] < 2 * medians[FEW, size] for size in TARGET_P99_MS)
