"""Where ranks run, by what several lines say."""

from clusterwatch.app.placing import Places
from clusterwatch.reading.sources import RankSeen


def test_largest_communicator_numbers_the_ranks():
    places = Places()

    for seen in (RankSeen("node1", 0, 8, "0"), RankSeen("node2", 9, 16, "1"), RankSeen("node3", 1, 8, "1")):
        places.note(seen, "")

    assert [(each.rank, each.node, each.gpu) for each in places.placements("job")] == [(9, "node2", "1")]


def test_line_without_a_node_places_its_rank_where_its_file_belongs():
    places = Places()

    places.note(RankSeen("", 5, 16, "1"), "node7")

    assert places.node_of("5") == "node7"


def test_line_that_names_the_node_is_believed_over_the_file():
    places = Places()

    places.note(RankSeen("", 5, 16, "1"), "login1")
    places.note(RankSeen("node3", 5, 16, "1"), "login1")

    assert places.node_of("5") == "node3"


def test_task_that_srun_names_gives_way_to_the_jobs_own_numbers():
    places = Places()

    places.note(RankSeen("node1", 3, 0, ""), "")
    places.note(RankSeen("node2", 3, 8, "3"), "")

    assert (places.node_of("3"), places.node_of("4"), places.node_of("none")) == ("node2", "", "")
