import builtins
import contextlib
import os
import pickle
import subprocess
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.errors import SourceError
from clusterwatch.reading.pickles import UnsafePickleError
from clusterwatch.reading.plain_pickles import plain_value

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**55), 2**55) | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=30,
)


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@given(value=PLAIN, protocol=st.integers(2, 5))
def test_plain_values_are_read_as_python_reads_them(value, protocol):
    assert plain_value(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, builtins.eval, subprocess.check_call])
def test_pickle_that_would_run_something_is_refused(tmp_path, function, protocol):
    target = tmp_path / "attacked"
    argument = {os.system: f"touch {target}", builtins.eval: f"open({str(target)!r}, 'w')"}.get(
        function, ["touch", str(target)]
    )

    with pytest.raises(SourceError):
        plain_value(pickle.dumps({"entries": [Calls(function, argument)]}, protocol))

    assert not target.exists()


def test_refusal_says_where_and_that_it_is_no_plain_value():
    with pytest.raises(UnsafePickleError, match=r"opcode 0x93 at byte \d+ makes more than plain values"):
        plain_value(pickle.dumps({"a": [Calls(os.system, "true")] + [0] * 99}, 4))


@given(value=PLAIN, cut=st.integers(1, 40))
def test_pickle_that_is_cut_short_is_told(value, cut):
    raw = pickle.dumps(value, 2)

    with pytest.raises(SourceError):
        plain_value(raw[: max(0, len(raw) - cut)])


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_source_error(raw):
    with contextlib.suppress(SourceError):
        plain_value(raw)


@pytest.mark.parametrize(
    "crafted",
    [
        b"\x80\x02Nr\xff\xff\xff\x7f.",
        b"\x80\x02X\xff\xff\xff\x7fabc.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\x00\x00\x00abc.",
    ],
    ids=["far place of the memo", "string of 2 GB", "string of 1 TB"],
)
def test_few_bytes_cannot_ask_for_much_memory(crafted):
    tracemalloc.start()

    with pytest.raises(SourceError):
        plain_value(crafted)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
