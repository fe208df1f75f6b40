"""Names of nodes as schedulers read them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading.nodelists import line_list, pbs_list, slurm_list


def test_runs_of_numbers_are_folded_for_slurm():
    assert slurm_list(["node001", "node003", "node002", "node007"]) == "node[001-003,007]"


def test_numbers_of_other_widths_and_other_names_stay_apart():
    assert slurm_list(["gpu9", "gpu10", "login", "node2-ib", "node3-ib"]) == "gpu10,gpu9,login,node[2-3]-ib"


def test_no_node_is_an_empty_list():
    assert (slurm_list([]), pbs_list([]), line_list([])) == ("", "", "")


def test_pbs_joins_hosts_with_a_plus():
    assert pbs_list(["node002", "node001", "node001"]) == "node001+node002"


@given(st.lists(st.from_regex(r"(node|gpu-)\d{1,3}", fullmatch=True), max_size=30))
def test_every_node_of_a_folded_list_was_asked_for(names: list[str]):
    assert unfolded(slurm_list(names)) == set(names)


def unfolded(text: str) -> set[str]:
    """As Slurm reads it."""
    found: set[str] = set()
    for part in re.findall(r"[^,\[]+(?:\[[^\]]*\])?[^,]*", text):
        bracket = re.fullmatch(r"([^\[]+)\[([^\]]*)\](.*)", part)
        if bracket is None:
            found.add(part)
            continue
        for span in bracket[2].split(","):
            first, _, last = span.partition("-")
            for number in range(int(first), int(last or first) + 1):
                found.add(f"{bracket[1]}{number:0{len(first)}}{bracket[3]}")
    return found
