"""What an event is called."""

import pytest

from clusterwatch.model import event_id

HERE = {"node": "node001", "boot_id": "b1", "source": "job_log", "position": "train.log:7", "kind": "gpu.xid"}


def test_event_has_the_same_id_however_often_it_is_read():
    assert event_id(**HERE) == event_id(**HERE)
    assert len(event_id(**HERE)) == 32
    assert int(event_id(**HERE), 16)


@pytest.mark.parametrize(
    "other",
    [{"node": "node002"}, {"boot_id": "b2"}, {"source": "kernel_log"}, {"position": "train.log:8"}, {"kind": "gpu"}],
)
def test_what_differs_at_all_has_another_end_of_its_id(other):
    assert event_id(**HERE)[-12:] != event_id(**{**HERE, **other})[-12:]


def test_what_a_source_tells_later_stands_behind_what_it_told_before():
    ids = [event_id(**{**HERE, "position": f"train.log:{line}"}) for line in (7, 8, 99, 100, 12_345)]

    assert ids == sorted(ids)


@pytest.mark.parametrize("position", ["", "start", "train.log:", "file:²", "window:1f", f"train.log:{10**20}"])
def test_position_may_be_any_text(position):
    assert len(event_id(**{**HERE, "position": position})) == 32
