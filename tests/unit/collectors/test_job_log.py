import gzip
import json
import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwatch.model import Trust
from clusterwatch.reading.lines import decode
from clusterwatch.seams import Site, WatchedJob
from collectors.job_log import FAR_BYTES, LINES_PER_BATCH, NEAR_BYTES, JobLogCollector

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


class Follower:
    """A collector and the position it goes on from, saved as the agent saves it."""

    def __init__(self, *paths: Path | str, **table: object) -> None:
        self.collector = JobLogCollector()
        self.position: dict[str, object] = {}
        self.now = NOON
        self.site = Site("node001", "boot", table, (WatchedJob("job1", 2, log_paths=tuple(map(str, paths))),))
        self.condition = ""

    def readings(self):
        readings = []
        while True:
            collected = self.collector.collect(self.site, self.position, self.now)
            self.position = json.loads(json.dumps(dict(collected.position)))
            self.condition = collected.condition
            readings += collected.readings
            if not collected.more:
                return readings

    def lines(self, after_seconds: float = 1.0):
        self.now += timedelta(seconds=after_seconds)
        return [reading.text for reading in self.readings()]

    def restarts(self) -> None:
        self.collector.close()
        self.collector = JobLogCollector()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "train.log"


def append(path: Path, text: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


def test_line_tells_whose_it_is_and_where_it_stands(log):
    append(log, "first\n[rank3]: 2024-05-17T20:45:05+02:00 boom\n")

    _, reading = Follower(log).readings()

    assert (reading.source, reading.node, reading.boot_id, reading.trust) == ("job_log", "node001", "boot", Trust.USER)
    assert (reading.job, reading.attempt, reading.rank) == ("job1", 2, 3)
    assert reading.text == "2024-05-17T20:45:05+02:00 boom"
    assert reading.happened_at == datetime(2024, 5, 17, 18, 45, 5, tzinfo=UTC)
    assert reading.position == f"{log.stat().st_ino}:6"
    assert reading.fields == {"origin": f"{log}:2", "stream": str(log)}


def test_time_without_a_zone_says_nothing_about_when_it_happened(log):
    append(log, "2024-05-17 20:45:05,123 INFO step 1\n")

    assert Follower(log).readings()[0].happened_at is None


@pytest.mark.parametrize("name", ["rank_3.log", "logs/rank3.out", "run_ab/attempt_0/3/stderr.log"])
def test_name_of_the_file_gives_the_rank_where_the_line_does_not(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    append(path, "plain\n[rank5]: said\n")

    assert [reading.rank for reading in Follower(path).readings()] == [3, 5]


def test_only_new_lines_are_given(log):
    append(log, "one\n")
    follower = Follower(log)

    assert follower.lines() == ["one"]
    append(log, "two\n")
    assert follower.lines() == ["two"]
    assert follower.lines() == []


def test_file_that_is_not_there_yet_is_no_problem(log):
    follower = Follower(log, log.parent / "missing-folder" / "x.log")

    assert (follower.lines(), follower.condition) == ([], "")
    append(log, "one\n")
    assert (follower.lines(), follower.condition) == (["one"], "")


def test_pattern_follows_files_that_appear_later(tmp_path):
    follower = Follower(tmp_path / "**" / "*.log")
    append(tmp_path / "a.log", "a\n")
    follower.lines()

    (tmp_path / "deep").mkdir()
    append(tmp_path / "deep" / "b.log", "b\n")

    assert follower.lines() == ["b"]


def test_configured_files_are_followed_without_a_job(log):
    append(log, "one\n")
    follower = Follower(paths=[str(log)])

    assert [(reading.text, reading.job, reading.attempt) for reading in follower.readings()] == [("one", None, None)]


@pytest.mark.parametrize("restarts", [False, True])
def test_renamed_file_is_finished_before_the_new_one(log, restarts):
    append(log, "one\n")
    follower = Follower(log)
    follower.lines()

    append(log, "two\nthr")
    log.rename(log.with_name("train.log.1"))
    append(log, "four\n")
    if restarts:
        follower.restarts()

    assert follower.lines() == ["two", "four"]
    append(log.with_name("train.log.1"), "ee\n")
    append(log, "five\n")
    (late, *_) = follower.readings()
    assert (late.text, late.fields) == ("three", {"origin": f"{log}.1:3", "stream": str(log)})


def test_pattern_that_also_matches_renamed_files_repeats_nothing(log):
    follower = Follower(f"{log}*")
    append(log, "one\n")
    assert follower.lines() == ["one"]

    log.rename(log.with_name("train.log.1"))
    append(log, "two\n")
    assert follower.lines() == ["two"]

    log.with_name("train.log.1").rename(log.with_name("train.log.2"))
    log.rename(log.with_name("train.log.1"))
    append(log, "three\n")
    assert follower.lines() == ["three"]


def test_reading_goes_on_in_the_compressed_copy_of_a_renamed_file(log):
    follower = Follower(log)
    append(log, "one\n")
    follower.lines()
    append(log, "two\n")

    (log.parent / "train.log.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    append(log, "three\n")
    follower.restarts()

    assert follower.lines() == ["two", "three"]
    assert follower.lines() == []


def test_file_that_was_removed_is_finished_while_it_is_open(log):
    follower = Follower(log)
    append(log, "one\n")
    follower.lines()

    append(log, "two\n")
    log.unlink()

    assert follower.lines() == ["two"]
    assert follower.lines() == []
    assert follower.position == {"files": {}}


def test_file_cut_short_is_read_from_its_beginning_under_new_positions(log):
    follower = Follower(log)
    append(log, "one\ntwo\n")
    before = follower.readings()

    os.truncate(log, 0)
    append(log, "new\n")
    after = follower.readings()

    assert [(reading.text, reading.fields["origin"]) for reading in after] == [("new", f"{log}:1")]
    assert not {reading.position for reading in before} & {reading.position for reading in after}


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".zst", zstandard.ZstdCompressor().compress)]
)
@pytest.mark.parametrize("restarts", [False, True])
def test_compressed_file_is_read_whole_and_once(tmp_path, suffix, compress, restarts):
    path = tmp_path / f"old.log{suffix}"
    lines = [f"line {number}" for number in range(LINES_PER_BATCH + 7000)]
    path.write_bytes(compress("\n".join([*lines, ""]).encode()))
    follower = Follower(path)

    first = follower.collector.collect(follower.site, {}, NOON)
    follower.position = dict(first.position)
    if restarts:
        follower.restarts()
    rest = follower.readings()

    assert first.more and len(first.readings) == LINES_PER_BATCH
    assert [reading.text for reading in (*first.readings, *rest)] == lines
    assert rest[-1].fields["origin"] == f"{path}:{len(lines)}"
    assert follower.lines() == []


def test_compressed_file_cut_short_gives_what_is_whole_and_says_so(tmp_path):
    path = tmp_path / "old.log.gz"
    whole = gzip.compress(b"".join(b"%d %s\n" % (number, os.urandom(50).hex().encode()) for number in range(5000)))
    path.write_bytes(whole[: len(whole) // 2])
    follower = Follower(path)

    lines = follower.lines()

    assert 1000 < len(lines) < 5000
    assert f"{path}: damaged, or still being compressed" in follower.condition
    path.write_bytes(whole)
    assert len(lines) + len(follower.lines()) == 5000


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"caf\xe9 \xff\n", "caf\ufffd \ufffd"),
        (b"\x1b[31mError\x1b[0m: \x00boom\n", "Error: boom"),
        (b"10%\r20%\r30%\r\n", "30%"),
    ],
)
def test_line_of_any_bytes_becomes_printable_text(log, raw, text):
    append(log, raw)

    assert Follower(log).lines() == [text]


def test_line_of_a_megabyte_is_one_line_cut_short(log):
    append(log, b"before\n" + b"x" * 1_000_000 + b"\nafter\n")

    _, long, after = Follower(log).readings()

    assert (len(long.text), long.fields["origin"]) == (4096, f"{log}:2")
    assert (after.text, after.fields["origin"]) == ("after", f"{log}:3")


def test_line_that_never_ends_is_given_once_and_does_not_stop_the_reading(log):
    append(log, b"x" * 6_000_000)
    follower = Follower(log)

    first = follower.lines()
    append(log, b"x" * 6_000_000)
    second = follower.lines()
    append(log, b"x\nnext\n")

    assert ([len(text) for text in first], second) == ([4096], [])
    assert [(reading.text, reading.fields["origin"]) for reading in follower.readings()] == [("next", f"{log}:2")]


def test_bar_that_moves_gives_one_reading_per_collection(log):
    follower = Follower(log)
    append(log, "start\n\r  0/9")

    assert follower.lines() == ["start"]
    append(log, "\r  1/9\r  2/9\r  3/9")
    assert follower.lines() == ["  2/9"]
    follower.restarts()
    append(log, "\r  4/9\r  5/9")
    assert follower.lines() == ["  4/9"]
    assert follower.lines() == []
    append(log, "\r  9/9\nend\n")

    bar, end = follower.readings()
    assert (bar.text, bar.fields["origin"], end.text, end.fields["origin"]) == ("  9/9", f"{log}:2", "end", f"{log}:3")
    assert bar.position == f"{log.stat().st_ino}:{len('start~~  0/9~  1/9~  2/9~  3/9~  4/9~')}"


def test_bar_that_stands_still_is_given_as_it_stands_and_goes_on(log):
    follower = Follower(log)
    append(log, "\r  1/9")
    follower.lines()

    assert follower.lines(after_seconds=6) == ["  1/9"]
    append(log, "\r  2/9\r  3/9")
    assert follower.lines() == ["  2/9"]


def grow(path: Path, size: int, end: bytes) -> None:
    """Make the file *size* bytes larger without writing them, then append *end*."""
    os.truncate(path, path.stat().st_size + size)
    append(path, end)


def test_log_that_is_written_faster_than_it_can_be_read_is_followed_near_its_end(log):
    append(log, "one\n")
    follower = Follower(log)
    follower.lines()

    line = b"x" * 1022 + b"\n"
    grow(log, FAR_BYTES, b"\n" + line * (NEAR_BYTES // len(line) + 50))
    size = log.stat().st_size
    skipped, *lines = follower.readings()

    begin = size - NEAR_BYTES // len(line) * len(line)
    assert (skipped.subject, skipped.fields) == ("job_log.skipped", {"path": str(log), "bytes": begin - 4})
    assert (skipped.job, skipped.attempt, skipped.trust) == ("job1", 2, Trust.USER)
    assert skipped.position == f"{log.stat().st_ino}:4-{begin}"
    assert [reading.text for reading in lines] == ["x" * 1022] * (NEAR_BYTES // len(line))
    # How many lines were passed over is not known: the place is told in bytes.
    assert lines[-1].fields["origin"] == f"{log}:@{size - len(line)}"
    assert follower.lines() == []


def test_line_at_the_very_border_of_what_is_passed_over_is_read(log):
    append(log, "one\n")
    follower = Follower(log)
    follower.lines()

    grow(log, FAR_BYTES, b"\n" + b"y" * (NEAR_BYTES - 1) + b"\n")

    _, line = follower.readings()
    assert line.text.startswith("yyy")


def test_log_that_was_long_before_it_was_watched_is_followed_near_its_end(log):
    append(log, "one\n")
    grow(log, FAR_BYTES + NEAR_BYTES, b"\nlast\n")

    skipped, last = Follower(log).readings()

    assert (skipped.subject, last.text) == ("job_log.skipped", "last")


def test_what_ends_less_far_ahead_is_read_whole(log):
    append(log, "one\n")
    follower = Follower(log)
    follower.lines()

    grow(log, FAR_BYTES - 6, b"\nlast\n")

    assert [reading.subject for reading in follower.readings()] == ["line"] * 2


def test_log_of_a_job_that_has_ended_is_read_whole(log):
    append(log, "one\n")
    grow(log, FAR_BYTES, b"\nlast\n")

    texts = Follower(log, final=True).lines()

    assert (texts[0], texts[-1]) == ("one", "last")


def test_compressed_log_is_read_whole(tmp_path):
    path = tmp_path / "old.log.gz"
    path.write_bytes(gzip.compress(b"one\n" + bytes(FAR_BYTES) + b"\nlast\n", compresslevel=1))

    texts = Follower(path).lines()

    assert (texts[0], texts[-1]) == ("one", "last")


def test_unfinished_line_is_left_until_it_ends(log):
    follower = Follower(log)
    append(log, "one\nstep 12")

    assert follower.lines() == ["one"]
    append(log, "34\n")
    assert follower.lines() == ["step 1234"]


def test_unfinished_line_is_given_after_it_stayed_unchanged(log):
    follower = Follower(log)
    append(log, "Killed")

    assert follower.lines() == []
    assert follower.lines(after_seconds=4) == []
    assert follower.lines(after_seconds=2) == ["Killed"]
    assert follower.lines(after_seconds=9) == []
    append(log, " by signal 9\n")
    assert [(reading.text, reading.fields["origin"]) for reading in follower.readings()] == [
        (" by signal 9", f"{log}:1")
    ]


def test_line_that_was_given_before_its_end_says_so(log):
    append(log, "one\nstep=12 loss=0.")

    whole, cut = Follower(log, final=True).readings()

    assert ("is_cut" in whole.fields, cut.fields["is_cut"]) == (False, True)


def test_unfinished_line_is_given_at_once_when_the_job_has_ended(log):
    append(log, "one\nKilled")

    assert Follower(log, final=True).lines() == ["one", "Killed"]


@pytest.fixture
def nobody():
    """No more rights than any user's: root may read every file."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


def test_file_without_permission_is_named_with_what_to_do(log, request):
    append(log, "a\n")
    log.chmod(0)
    request.getfixturevalue("nobody")
    follower = Follower(log)

    assert follower.lines() == []
    assert follower.condition == (
        f"{log}: permission denied: run as a user who may read it, or give its group the right to"
    )


def test_file_that_cannot_be_read_does_not_stop_the_others(tmp_path):
    (tmp_path / "a.log").mkdir()
    os.mkfifo(tmp_path / "b.log")
    append(tmp_path / "c.log", "c\n")
    follower = Follower(tmp_path / "a.log", tmp_path / "b.log", tmp_path / "c.log")

    assert follower.lines() == ["c"]
    assert f"{tmp_path / 'a.log'}: is a folder: name the files in it" in follower.condition
    assert f"{tmp_path / 'b.log'}: not a file that can be followed" in follower.condition


def test_second_name_of_a_file_is_not_read_again(tmp_path):
    append(tmp_path / "run1.log", "one\n")
    (tmp_path / "latest.log").symlink_to(tmp_path / "run1.log")

    assert Follower(tmp_path / "*.log").lines() == ["one"]


def test_position_forgets_files_of_jobs_that_are_no_longer_here(log):
    append(log, "one\n")
    follower = Follower(log)
    follower.lines()

    follower.site = Site("node001")
    follower.lines()

    assert follower.position == {"files": {}}


CHANGES = st.lists(
    st.one_of(st.sampled_from(["a", "line\n", "\n", "x\r", "more text\nand "]), st.just("ROTATE"), st.just("RESTART")),
    max_size=12,
)


@given(CHANGES)
@settings(max_examples=60, deadline=None)
def test_however_a_log_is_written_each_line_comes_once(tmp_path_factory, changes):
    log = tmp_path_factory.mktemp("any") / "train.log"
    follower, written, lines, rotations = Follower(log), [""], [], 0

    for change in changes:
        if change == "RESTART":
            follower.restarts()
        elif change == "ROTATE" and log.exists():
            rotations += 1
            log.rename(log.with_name(f"train.log.{rotations}"))
            written.append("")
        elif change != "ROTATE":
            append(log, change)
            written[-1] += change
        lines += [reading.text for reading in follower.readings()]
    follower.site = Site("node001", settings={"final": True}, jobs=follower.site.jobs)
    lines += [reading.text for reading in follower.readings()]

    written_lines = [line for text in written for line in text.replace("\r\n", "\n").split("\n")[:-1]]
    written_lines += [text.rpartition("\n")[2] for text in written if text.rpartition("\n")[2]]
    expected = Counter(decode(line.encode()) for line in written_lines)
    pieces = Counter(piece for line in written_lines for piece in line.split("\r"))
    # Of a line that overwrites itself a piece may be given while it is written; its last one is always given.
    assert not Counter(filter(None, lines)) - pieces
    assert not Counter({text: count for text, count in expected.items() if text}) - Counter(lines)


def test_log_that_several_nodes_write_is_of_no_single_one(log):
    append(log, "hello\n")
    follower = Follower(log)
    job = replace(follower.site.jobs[0], node="")
    elsewhere = replace(job, node="node007")

    several = replace(follower.site, jobs=(job,))
    one = replace(follower.site, jobs=(elsewhere,))

    assert [JobLogCollector().collect(site, {}, NOON).readings[0].node for site in (several, one, follower.site)] == [
        "",
        "node007",
        "node001",
    ]
