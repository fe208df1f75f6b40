"""Who holds which slot of the job."""

from simulators.world.pool import Pool


def pool(standby=("spare1", "spare2")):
    return Pool(["a", "b", "c"], standby)


def test_node_that_is_out_gives_its_slot_to_one_that_stood_by():
    nodes = pool()
    nodes.take_out("b")

    replaced = nodes.replace_missing()

    assert replaced == (1, 0)
    assert nodes.job == ["a", "spare1", "c"]
    assert nodes.in_slot_of("b") == "spare1"
    assert nodes.slots == {"a": 0, "spare1": 1, "c": 2}


def test_cold_node_comes_when_none_stands_by():
    nodes = pool(standby=())
    nodes.take_out("a")

    assert nodes.replace_missing() == (0, 1)
    assert nodes.job == ["cold0001", "b", "c"]


def test_node_that_comes_back_stands_by_last():
    nodes = pool(standby=("spare1",))
    nodes.take_out("b")
    nodes.replace_missing()

    nodes.put_back("b")
    nodes.take_out("c")
    nodes.replace_missing()

    assert nodes.job == ["a", "spare1", "b"]


def test_node_that_is_let_back_before_a_restart_keeps_its_slot():
    nodes = pool()
    nodes.take_out("b")
    nodes.put_back("b")

    assert nodes.replace_missing() == (0, 0)
    assert nodes.job == ["a", "b", "c"]
    assert nodes.standby_total == 2


def test_spare_that_is_taken_out_stands_by_no_longer():
    nodes = pool()

    nodes.take_out("spare1")

    assert nodes.standby_total == 1
