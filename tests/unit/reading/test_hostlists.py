import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading.hostlists import slurm_nodes
from clusterwatch.reading.nodelists import slurm_list

NAMES = st.from_regex(r"[a-z]{1,6}[0-9]{0,4}(-[a-z]{1,3})?", fullmatch=True)


@pytest.mark.parametrize(
    ("folded", "names"),
    [
        ("node1", ["node1"]),
        ("node[001-003,007],gpu7", ["node001", "node002", "node003", "node007", "gpu7"]),
        ("r[1-2]n[01-02]", ["r1n01", "r1n02", "r2n01", "r2n02"]),
        ("rack[1]-ib", ["rack1-ib"]),
        ("", []),
        ("(null)", []),
    ],
)
def test_list_is_the_names_in_its_order(folded: str, names: list[str]):
    assert list(slurm_nodes(folded)) == names


@pytest.mark.parametrize(
    "damaged", ["node[1-", "node[1-3", "node[a-b]", "node[]", ",", "a,,b", "node[1-99999999]", "n]"]
)
def test_what_is_no_list_is_refused(damaged: str):
    with pytest.raises(ValueError, match=r"not a|more than"):
        slurm_nodes(damaged)


@given(st.lists(NAMES, unique=True, max_size=30))
def test_what_we_fold_unfolds_to_the_same_nodes(names: list[str]):
    assert sorted(slurm_nodes(slurm_list(names))) == sorted(names)
