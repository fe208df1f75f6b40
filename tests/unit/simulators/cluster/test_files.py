"""Clusters from TOML, and what is said of bad ones."""

from pathlib import Path

import pytest

from clusterwatch.errors import ConfigError
from simulators.cluster import builtin_cluster, cluster_from, read_cluster


def test_cluster_is_read_from_a_file(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\ntraining_nodes_total = 4\n[storage]\nsustained_bytes_per_second = 100\n')

    spec = read_cluster(path)

    assert (spec.name, spec.nodes, spec.storage.sustained_bytes_per_second) == (
        "mine",
        ("node0001", "node0002", "node0003", "node0004"),
        100.0,
    )


def test_all_mistakes_are_told_at_once():
    table = {
        "name": 7,
        "spares_total": -1,
        "gpus_per_node": 9,
        "nodes_per_rack": 2.5,
        "pod_switches_fail": 1,
        "oversubscription": float("nan"),
        "racks": 3,
        "power": 4,
        "storage": {"burst_seconds": "long"},
        "racks_per_pod": True,
    }

    with pytest.raises(ConfigError) as caught:
        cluster_from(table, "mine.toml")

    assert {mistake.key: mistake.problem.split(":")[0] for mistake in caught.value.mistakes} == {
        "racks": "no such key",
        "training_nodes_total": "is missing",
        "name": "must be text, not '7'",
        "spares_total": "must be at least 0",
        "gpus_per_node": "must be at most 8",
        "nodes_per_rack": "must be a whole number, not '2.5'",
        "racks_per_pod": "must be a whole number, not 'True'",
        "pod_switches_fail": "must be true or false, not '1'",
        "oversubscription": "must be finite",
        "power": "must be a table",
        "storage.burst_seconds": "must be a number, not 'long'",
    }


@pytest.mark.parametrize("text", ["name = ", b"\xff\xfe"])
def test_file_that_is_no_toml_is_named(tmp_path: Path, text: str | bytes):
    path = tmp_path / "broken.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(ConfigError, match=r"broken\.toml: 1 mistake\n  file: cannot be read"):
        read_cluster(path)


def test_cluster_that_is_not_shipped_names_those_that_are():
    with pytest.raises(ConfigError, match="choose one of llama3"):
        builtin_cluster("llama9")
