import io
import json
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading.archives import FileSeen, file_verdict, json_value

EMPTY_ZIP64 = b"PK\x06\x06" + b"\0" * 52 + b"PK\x06\x07" + b"\0" * 16


def seen(raw: bytes, head: int = 4, tail: int = 1024) -> FileSeen:
    return FileSeen(len(raw), 0.0, raw[:head], raw[-tail:])


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", b"x" * 3000)
        file.writestr("archive/version", b"3")
    return buffer.getvalue()


def safetensors(data_bytes: int = 16) -> bytes:
    tensors = {"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}
    header = json.dumps(tensors).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * data_bytes


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.ckpt", "a.bin", "a.npz"])
def test_archive_with_its_end_record_is_whole(name):
    verdict = file_verdict(name, seen(archive()))

    assert (verdict.problem, verdict.verified) == ("", True)


def test_archive_with_64_bit_records_is_whole():
    raw = archive()
    end = raw.rindex(b"PK\x05\x06")
    marked = raw[end : end + 12] + b"\xff" * 8 + raw[end + 20 :]

    assert file_verdict("a.pt", seen(raw[:end] + EMPTY_ZIP64 + marked)).problem == ""
    assert file_verdict("a.pt", seen(raw[:end] + marked)).problem == "a.pt has a damaged end record"


@given(st.integers(1, len(archive()) - 1))
def test_archive_cut_anywhere_is_torn(kept):
    assert "cut short" in file_verdict("a.pt", seen(archive()[:kept])).problem


def test_archive_with_a_hole_is_torn():
    raw = archive()

    assert "bytes missing" in file_verdict("a.pt", seen(raw[:100] + raw[200:])).problem


def test_empty_file_is_torn_whatever_its_name():
    assert file_verdict("model.h5", seen(b"")).problem == "model.h5 is empty"


@pytest.mark.parametrize("name", ["a.h5", "a.pkl", "a", "old.pt"])
def test_file_without_marks_is_taken_as_it_is_and_not_verified(name):
    verdict = file_verdict(name, seen(b"\x80\x02legacy"))

    assert (verdict.problem, verdict.verified) == ("", False)


def test_safetensors_of_the_announced_length_is_whole():
    verdict = file_verdict("m.safetensors", seen(safetensors(), head=1000))

    assert (verdict.problem, verdict.verified) == ("", True)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (safetensors()[:-1], "m.safetensors has"),
        (safetensors(17), "m.safetensors has"),
        (safetensors()[:20], "m.safetensors is cut short"),
        (b"\x05", "m.safetensors is cut short"),
        (struct.pack("<Q", 4) + b"{}{}", "m.safetensors has a damaged header"),
        (struct.pack("<Q", 9) + b'{"w": [] }'[:9], "m.safetensors has a damaged header"),
        (struct.pack("<Q", 9) + b'{"w": []}', "m.safetensors has a damaged header"),
    ],
)
def test_safetensors_of_another_length_is_torn(raw, problem):
    assert file_verdict("m.safetensors", seen(raw, head=1000)).problem.startswith(problem)


def test_safetensors_with_a_header_that_was_not_read_is_not_verified():
    verdict = file_verdict("m.safetensors", seen(safetensors(), head=8))

    assert (verdict.problem, verdict.verified) == ("", False)


def test_json_is_read_told_to_be_torn_or_left_unverified():
    whole, cut, unread = b'{"a": 1}', b'{"a":', FileSeen(10, 0.0)

    assert json_value("s.json", seen(whole, 100))[0] == {"a": 1}
    assert "no JSON" in json_value("s.json", seen(cut, 100))[1].problem
    assert json_value("s.json", unread)[1].verified is False


@given(st.binary(max_size=200), st.sampled_from(["a.pt", "a.safetensors", "a.npz"]))
def test_any_bytes_get_a_verdict(raw, name):
    file_verdict(name, seen(raw, head=200))
    json_value(name, seen(raw, head=200))
