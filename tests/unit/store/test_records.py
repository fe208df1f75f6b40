"""Every word of the model has its place in the tables."""

from __future__ import annotations

import pytest

from clusterwatch.store import records
from clusterwatch.store.records import RecordType

ALL = [kind for kind in vars(records).values() if isinstance(kind, RecordType)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.type.__name__)
def test_every_column_is_filled_from_a_field_or_by_the_store(kind: RecordType):
    filled = {*kind.overwritten, *(column.name for column in kind.table.primary_key)}
    by_the_store = {"happened_at", "observed_at", "received_at", "seq", "xact", "position"}

    assert {column.name for column in kind.table.columns} - filled <= by_the_store
