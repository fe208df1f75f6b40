"""Records made directly are the records that calling their type gives."""

from dataclasses import fields, replace

import pytest

from clusterwatch.model import Event, Node, NodeState, making
from clusterwatch.model.making import changer, maker
from clusterwatch.testing import NOON, event


def test_record_made_of_its_values_is_that_record():
    whole = event("gpu.xid.79", "node001", xid=79)

    made = maker(Event)([getattr(whole, each.name) for each in fields(Event)])

    assert made == whole
    assert hash(made.component) == hash(whole.component)


@pytest.mark.parametrize("too_many", [-1, 1])
def test_too_few_or_too_many_values_are_refused(too_many: int):
    with pytest.raises(TypeError, match="argument"):
        maker(Node)([""] * (len(fields(Node)) + too_many))


def test_changed_record_is_what_replacing_gives():
    whole = event("gpu.xid.79", "node001", xid=79)

    changed = changer(Event)(whole, {"count": 3, "until": NOON})

    assert changed == making.replace(whole, count=3, until=NOON) == replace(whole, count=3, until=NOON)
    assert whole.count == 1


def test_field_that_is_not_there_cannot_be_changed():
    with pytest.raises(KeyError):
        changer(Node)(Node("node001", NodeState.SILENT, NOON), {"colour": "red"})
