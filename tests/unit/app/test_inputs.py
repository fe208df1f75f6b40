"""Paths to lines: what is read, through what, and what is said of the rest."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from clusterwatch.app.inputs import FileRead, InputBlock, InputLine, Problem, blocks_in, lines_in, size_of

TEXT = b"first\r\nsecond\nlast without an end"


def read(*paths: Path | str) -> tuple[list[tuple[str, int, bytes]], list[str]]:
    found = list(lines_in([str(path) for path in paths]))
    lines = [(each.path, each.number, each.raw) for each in found if isinstance(each, InputLine)]
    return lines, [each.words for each in found if isinstance(each, Problem)]


def texts(*paths: Path) -> list[bytes]:
    return [raw for _, _, raw in read(*paths)[0]]


def tar_of(files: dict[str, bytes], mode: str = "w") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_lines_are_numbered_from_one(tmp_path: Path):
    (tmp_path / "a.log").write_bytes(TEXT)

    lines, problems = read(tmp_path / "a.log")

    path = str(tmp_path / "a.log")
    assert lines == [(path, 1, b"first\r"), (path, 2, b"second"), (path, 3, b"last without an end")]
    assert problems == []


@pytest.mark.parametrize(
    "pack", [gzip.compress, zstandard.compress, lzma.compress, bz2.compress], ids=["gzip", "zstd", "xz", "bzip2"]
)
def test_compressed_file_is_read_whatever_its_name(tmp_path: Path, pack: Callable[[bytes], bytes]):
    (tmp_path / "a.log").write_bytes(pack(TEXT))

    assert texts(tmp_path / "a.log") == [b"first\r", b"second", b"last without an end"]


def test_zstandard_file_of_several_frames_is_read_to_its_end(tmp_path: Path):
    (tmp_path / "a.log.zst").write_bytes(zstandard.compress(b"first\n") + zstandard.compress(b"second\n"))

    assert texts(tmp_path / "a.log.zst") == [b"first", b"second"]


def test_members_of_a_compressed_archive_are_read_and_named(tmp_path: Path):
    content = {"node1/dmesg": b"oops\n", "node2/dmesg.gz": gzip.compress(b"again\n")}
    (tmp_path / "logs.tgz").write_bytes(gzip.compress(tar_of(content)))

    lines, problems = read(tmp_path / "logs.tgz")

    assert [(path.partition(".tgz:")[2], raw) for path, _, raw in lines] == [
        ("node1/dmesg", b"oops"),
        ("node2/dmesg.gz", b"again"),
    ]
    assert problems == []


def test_folder_is_read_with_all_below_it_in_the_order_of_names(tmp_path: Path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "b" / "deep" / "x.log").write_bytes(b"two\n")
    (tmp_path / "a.log").write_bytes(b"one\n")

    assert texts(tmp_path) == [b"one", b"two"]


def test_link_to_a_file_is_followed_and_the_file_read_once(tmp_path: Path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "elsewhere.log").write_bytes(b"one\n")
    for name in ("0.log", "latest.log"):
        (tmp_path / "logs" / name).symlink_to(tmp_path / "elsewhere.log")
    (tmp_path / "logs" / "loop").symlink_to(tmp_path / "logs")

    assert texts(tmp_path / "logs") == [b"one"]


def test_missing_file_is_named_and_the_others_are_read(tmp_path: Path):
    (tmp_path / "a.log").write_bytes(b"one\n")

    lines, problems = read(tmp_path / "missing.log", tmp_path / "a.log")

    assert [raw for _, _, raw in lines] == [b"one"]
    assert problems == [f"{tmp_path}/missing.log: no such file or folder"]


def test_binary_garbage_is_named_and_not_read(tmp_path: Path):
    (tmp_path / "core").write_bytes(random.Random(1).randbytes(100_000))

    assert read(tmp_path / "core") == ([], [f"{tmp_path}/core: binary data, not a log"])


def test_known_formats_that_are_no_log_are_told_by_name(tmp_path: Path):
    (tmp_path / "system.journal").write_bytes(b"LPKSHHRH" + bytes(1000))

    assert "journalctl --file" in read(tmp_path / "system.journal")[1][0]


def test_zeros_before_the_text_do_not_make_a_log_binary(tmp_path: Path):
    (tmp_path / "a.log").write_bytes(bytes(500) + b"text\n" * 100)

    assert texts(tmp_path / "a.log")[1:3] == [b"text", b"text"]


def test_text_with_colours_and_other_alphabets_is_a_log(tmp_path: Path):
    (tmp_path / "a.log").write_text("\x1b[31mFehler: Größe überschritten\x1b[0m 错误\n" * 400)

    assert len(texts(tmp_path / "a.log")) == 400


def test_file_that_ends_in_the_middle_of_compression_gives_what_it_holds(tmp_path: Path):
    whole = gzip.compress(b"".join(b"line %d %d\n" % (n, n * n * 7919) for n in range(200_000)))
    (tmp_path / "a.log.gz").write_bytes(whole[: len(whole) // 2])

    lines, problems = read(tmp_path / "a.log.gz")

    assert len(lines) > 1000
    assert len(problems) == 1
    assert "the lines before the damage were read" in problems[0]


def test_folder_without_a_file_is_told(tmp_path: Path):
    assert read(tmp_path) == ([], [f"{tmp_path}: holds no file"])


def test_empty_file_counts_as_read(tmp_path: Path):
    (tmp_path / "a.log").touch()

    assert list(lines_in([str(tmp_path / "a.log")])) == [FileRead(str(tmp_path / "a.log"))]


def test_bytes_told_while_reading_add_up_to_the_size(tmp_path: Path):
    (tmp_path / "a.log").write_bytes(TEXT * 50_000)
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(TEXT))
    told: list[int] = []

    list(lines_in([str(tmp_path)], told.append))

    assert sum(told) == size_of([str(tmp_path)])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_text_of_utf_16_is_read_by_its_byte_order_mark(tmp_path: Path, encoding: str):
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (tmp_path / "a.log").write_bytes(mark + "größer\nzweite\n".encode(encoding))

    assert [line.decode() for line in texts(tmp_path / "a.log")] == ["größer", "zweite"]


def test_export_of_the_journal_is_read_as_its_json(tmp_path: Path):
    binary = b"two\nlines"
    (tmp_path / "journal.export").write_bytes(
        b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1768563758000001\n_HOSTNAME=node9\n_TRANSPORT=kernel\nMESSAGE=oops\n\n"
        b"__CURSOR=s=2\n_UID=0\nMESSAGE\n" + len(binary).to_bytes(8, "little") + binary + b"\n\n"
    )

    first, second = (json.loads(line) for line in texts(tmp_path / "journal.export"))

    assert (first["MESSAGE"], first["_HOSTNAME"], first["_TRANSPORT"]) == ("oops", "node9", "kernel")
    assert second == {"__CURSOR": "s=2", "MESSAGE": "two\nlines"}


def test_blocks_hold_the_lines_of_every_file(tmp_path: Path):
    (tmp_path / "a.log").write_bytes(b"one\n" * 200_000)
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(b"two\n"))

    found = [
        (each.path, bytes(each.block.buffer[: each.block.end])) if isinstance(each, InputBlock) else each
        for each in blocks_in([str(tmp_path)])
    ]

    a, b = str(tmp_path / "a.log"), str(tmp_path / "b.log.gz")
    assert b"".join(part[1] for part in found if isinstance(part, tuple) and part[0] == a) == b"one\n" * 200_000
    assert found[-3:] == [FileRead(a), (b, b"two\n"), FileRead(b)]
