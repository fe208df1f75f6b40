import builtins
import collections
import os
import pickle
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.errors import SourceError
from clusterwatch.reading.pickles import Inert, UnsafePickleError, inert_value, stored_pieces


class Calls:
    """An object whose pickle calls *function* when it is loaded by Python's own unpickler."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "attack",
    [
        lambda target: Calls(os.system, f"touch {target}"),
        lambda target: Calls(builtins.eval, f"open({target!r}, 'w')"),
        lambda target: Calls(builtins.exec, f"open({target!r}, 'w')"),
        lambda target: Calls(builtins.open, target, "w"),
        lambda target: Calls(subprocess.check_call, ["touch", target]),
        lambda target: Calls(pickle.loads, pickle.dumps(Calls(os.system, f"touch {target}"))),
        lambda target: {"storage_data": [Calls(os.system, f"touch {target}")]},
    ],
    ids=["system", "eval", "exec", "open", "subprocess", "pickle in a pickle", "inside a value"],
)
@pytest.mark.parametrize("protocol", range(6))
def test_pickle_that_would_run_something_runs_nothing(tmp_path, attack, protocol):
    target = tmp_path / "attacked"
    raw = pickle.dumps(attack(str(target)), protocol)

    with pytest.raises(UnsafePickleError):
        inert_value(raw)

    assert not target.exists()
    pickle.loads(raw)  # and it would have
    assert target.exists()


def test_attribute_of_a_module_is_not_reached():
    with pytest.raises(UnsafePickleError, match=r"builtins\.getattr"):
        inert_value(pickle.dumps(Calls(builtins.getattr, "text", "format")))


def test_refusal_names_what_does_not_belong():
    with pytest.raises(UnsafePickleError, match=r"names posix\.system, which is no part"):
        inert_value(pickle.dumps(Calls(os.system, "true")))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch", "load"),
        ("torch.serialization", "_get_layout.__globals__"),
        ("torch.Size", "__class__"),
        ("collections", "OrderedDict.__init__"),
        ("pathlib", "PosixPath.unlink"),
        ("pathlib", "Path"),
    ],
)
def test_dotted_way_around_the_allowed_names_is_refused(module, name):
    raw = b"\x80\x04\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(name)]) + name.encode()

    with pytest.raises(UnsafePickleError):
        inert_value(raw + b"\x93.")


def test_allowed_path_is_held_and_never_made():
    value = inert_value(b"cpathlib\nPosixPath\n(V/etc/passwd\ntR.")

    assert isinstance(value, Inert) and not isinstance(value, os.PathLike)
    assert (value.name, value.arguments) == ("pathlib.PosixPath", ("/etc/passwd",))


def test_ordered_dictionary_is_read_over():
    assert isinstance(inert_value(pickle.dumps(collections.OrderedDict(a=1))), Inert)


def test_crafted_memo_index_takes_no_memory():
    with pytest.raises(SourceError):
        inert_value(b"\x80\x04Nr\xff\xff\xff\x7f")


@pytest.mark.parametrize("raw", [b"", b"\x80\x04", b"garbage", pickle.dumps({"a": 1})[:-3], b"\x80\x04R."])
def test_damaged_pickle_is_a_problem_of_the_source(raw):
    with pytest.raises(SourceError, match="not a readable pickle"):
        inert_value(raw)


def test_pickle_of_something_else_is_no_metadata():
    with pytest.raises(SourceError, match="does not say where"):
        stored_pieces(pickle.dumps({"storage_data": {}}))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw):
    with suppress(SourceError):
        inert_value(b"\x80\x04" + raw)
