"""Trace files on disk."""

import hashlib
from pathlib import Path

import pytest
import zstandard

from clusterwatch.errors import ConfigError, SourceError
from simulators.trace import files
from simulators.trace.files import read_file, write_file
from simulators.trace.generating import generate
from simulators.trace.schedule import lines
from simulators.trace.specs import builtin_spec
from some_kinds import SOME_KINDS

TINY = generate(builtin_spec("tiny"), 3, kinds=SOME_KINDS)
TEXT = "".join(f"{line}\n" for line in lines(TINY)).encode()


@pytest.mark.parametrize("name", ["tiny.jsonl", "tiny.jsonl.zst"])
def test_file_gives_back_what_was_written(tmp_path: Path, name: str):
    digest = write_file(TINY, tmp_path / name)

    assert read_file(tmp_path / name) == TINY
    assert digest == hashlib.sha256(TEXT).hexdigest()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_named_so_is_compressed(tmp_path: Path):
    write_file(TINY, tmp_path / "plain.jsonl")
    write_file(TINY, tmp_path / "small.jsonl.zst")

    assert (tmp_path / "plain.jsonl").read_bytes() == TEXT
    assert zstandard.ZstdDecompressor().stream_reader((tmp_path / "small.jsonl.zst").read_bytes()).read() == TEXT


def test_compression_is_seen_from_the_content_and_several_frames_are_one_file(tmp_path: Path):
    half = len(TEXT) // 2
    path = tmp_path / "tiny.trace"
    path.write_bytes(zstandard.compress(TEXT[:half]) + zstandard.compress(TEXT[half:]))

    assert read_file(path) == TINY


def test_lines_may_end_as_they_do_on_windows_or_not_at_all(tmp_path: Path):
    path = tmp_path / "tiny.jsonl"
    path.write_bytes(TEXT.replace(b"\n", b"\r\n").rstrip())

    assert read_file(path) == TINY


def test_reader_tells_how_far_it_is(tmp_path: Path):
    write_file(TINY, tmp_path / "tiny.jsonl")
    told: list[int] = []

    read_file(tmp_path / "tiny.jsonl", on_bytes=told.append)

    assert sum(told) == len(TEXT)


def test_damaged_file_is_a_mistake(tmp_path: Path):
    path = tmp_path / "tiny.jsonl.zst"
    path.write_bytes(zstandard.compress(TEXT)[:-20] + b"x" * 20)

    with pytest.raises(ConfigError, match=r"tiny\.jsonl\.zst"):
        read_file(path)


def test_small_file_that_unpacks_to_a_huge_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "bomb.zst"
    path.write_bytes(zstandard.compress(TEXT + b"\n" * (4 << 20)))
    monkeypatch.setattr(files, "LARGEST_BYTES", 1 << 20)

    with pytest.raises(ConfigError, match="file: is larger than 1,048,576 bytes uncompressed: split the trace"):
        read_file(path)


def test_line_without_end_is_not_kept_in_memory(tmp_path: Path):
    path = tmp_path / "endless.zst"
    path.write_bytes(zstandard.compress(TEXT + b"x" * (64 << 20)))

    with pytest.raises(ConfigError, match="is longer than 4,194,304 characters"):
        read_file(path)


@pytest.mark.parametrize("name", ["nosuch.jsonl", "."])
def test_file_that_cannot_be_read_is_named(tmp_path: Path, name: str):
    with pytest.raises(SourceError, match="cannot be read"):
        read_file(tmp_path / name)


def test_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(SourceError, match="cannot be written"):
        write_file(TINY, tmp_path / "nosuch" / "tiny.jsonl")

    assert list(tmp_path.iterdir()) == []
