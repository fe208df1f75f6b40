"""Columns give back what was put in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.store.columns import UTCDateTime, storable
from clusterwatch.store.jsontext import dumps, loads

IN_TOKYO = datetime(2026, 3, 4, 21, 0, tzinfo=timezone(timedelta(hours=9)))


def test_time_of_any_zone_comes_back_in_utc():
    table = sa.Table("times", sa.MetaData(), sa.Column("at", UTCDateTime))
    engine = sa.create_engine("sqlite://")

    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), {"at": IN_TOKYO})
        stored = connection.scalar(sa.select(table.c.at))

    assert stored == IN_TOKYO
    assert stored.tzinfo is UTC


def test_time_without_a_zone_is_a_programming_mistake():
    with pytest.raises(ValueError, match="without a zone"):
        UTCDateTime().process_bind_param(IN_TOKYO.replace(tzinfo=None), sa.create_engine("sqlite://").dialect)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Z", "Cc", "Cs"])))
def test_any_text_becomes_storable_and_then_stays(text: str):
    once = storable(text)

    assert "\0" not in once
    assert once.encode().decode() == once
    assert storable(once) == once


@pytest.mark.parametrize("loss", [float("inf"), float("-inf")])
def test_number_that_json_has_no_word_for_survives(loss: float):
    assert loads(dumps({"loss": loss, "deep": [{"loss": loss}]})) == {"loss": loss, "deep": [{"loss": loss}]}


def test_not_a_number_survives_as_not_a_number():
    value = loads(dumps({"loss": float("nan")}))["loss"]

    assert value != value
    assert "NaN" not in dumps({"loss": float("nan")})
