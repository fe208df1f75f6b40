from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading.lines import decode, leading_stamp, rank_prefix, ranked_line, timestamp, unprefixed

NEAR = datetime(2025, 3, 1, tzinfo=UTC)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"loss 2.1\r\n", "loss 2.1"),
        (b" 5%|#| 1/20\r 10%|##| 2/20\n", " 10%|##| 2/20"),
        (b"caf\xe9", "caf\ufffd"),
        ("\ufeffstep 1".encode(), "step 1"),
        (b"", ""),
    ],
)
def test_bytes_of_a_line_become_its_text(raw, text):
    assert decode(raw) == text


@pytest.mark.parametrize(
    ("line", "rank", "rest"),
    [
        ("[rank3]: Traceback (most recent call last):", 3, "Traceback (most recent call last):"),
        ("[rank0]:[E1206 16:33:12.7 x.cpp:6] boom", 0, "[E1206 16:33:12.7 x.cpp:6] boom"),
        ("[default3]:terminate called", 3, "terminate called"),
        ("[trainer1]:  what(): x", 1, " what(): x"),
        ("3: iteration 5", 3, "iteration 5"),
        ("   12: iteration 5", 12, "iteration 5"),
        ("3: ", 3, ""),
        ("[3]: hello", 3, "hello"),
        ("[1,7]<stderr>:boom", 7, "boom"),
        ("[rank: 2] Seed set to 1", 2, "Seed set to 1"),
        ("1: [default5]:[rank13]: Traceback", 13, "Traceback"),
    ],
)
def test_prefix_of_a_launcher_names_the_rank(line, rank, rest):
    assert rank_prefix(line) == (rank, rest)


@pytest.mark.parametrize(
    "line",
    [
        "12:30:45 started",
        "[3] transport/net_ib.cc:2244 NCCL WARN",
        "[Rank 0] Watchdog caught collective operation timeout",
        "node1:353236:353423 [6] NCCL INFO",
        "GPU 0: NVIDIA H100",
        "x = [3]: y",
        "[292794.599396] nvidia-nvswitch0: SXid",
        "17:foo.py",
        "1234567: too large for a rank",
        "[INFO]: hello",
        "",
    ],
)
def test_text_that_only_looks_like_a_prefix_stays(line):
    assert rank_prefix(line) == (None, line)


def test_rank_is_found_behind_a_timestamp_and_the_timestamp_stays():
    line = "2023-04-07T19:54:27.419Z [rank144]:[E ProcessGroupNCCL.cpp:1316] timed out"

    assert ranked_line(line, NEAR) == (144, "2023-04-07T19:54:27.419Z [E ProcessGroupNCCL.cpp:1316] timed out")


@pytest.mark.parametrize(
    ("line", "at", "rest"),
    [
        ("2024-05-17T20:45:05Z boom", utc(2024, 5, 17, 20, 45, 5), "boom"),
        ("2024-05-17T20:45:05+02:00 boom", utc(2024, 5, 17, 18, 45, 5), "boom"),
        ("2025-08-23 07:15:39 +0530 boom", utc(2025, 8, 23, 1, 45, 39), "boom"),
        ("2024-05-17 20:45:05,123 - INFO", utc(2024, 5, 17, 20, 45, 5, 123000), "- INFO"),
        ("[2023-07-19 01:58:28,225] [INFO] x", utc(2023, 7, 19, 1, 58, 28, 225000), "[INFO] x"),
        ("2025-09-22 02:10:00.624284: I tf", utc(2025, 9, 22, 2, 10, 0, 624284), "I tf"),
        ("2025-05-17T20:45:05.497337350Z stderr F it", utc(2025, 5, 17, 20, 45, 5, 497337), "it"),
        ("Jan 16 11:42:38 node1 kernel: x", utc(2025, 1, 16, 11, 42, 38), "node1 kernel: x"),
        ("Dec  6 11:42:38 node1 kernel: x", utc(2024, 12, 6, 11, 42, 38), "node1 kernel: x"),
        ("[Fri May 17 20:45:05 2024] NVRM: Xid", utc(2024, 5, 17, 20, 45, 5), "NVRM: Xid"),
        ("[Wed Jun  3 06:22:19 2025] kernel: x", utc(2025, 6, 3, 6, 22, 19), "kernel: x"),
        ("[Jul 22 2025 05:50:45] [INFO] x", utc(2025, 7, 22, 5, 50, 45), "[INFO] x"),
        ("I1025 23:41:08.002792       1 health.go:151] x", utc(2024, 10, 25, 23, 41, 8, 2792), "I 1 health.go:151] x"),
        ("[W517 20:45:05.123 a.cpp:6] x", utc(2025, 5, 17, 20, 45, 5, 123000), "[W a.cpp:6] x"),
        ("[E1206 16:33:12.715298746 a.cpp:6] x", utc(2024, 12, 6, 16, 33, 12, 715298), "[E a.cpp:6] x"),
        ("1715978705.5 boom", utc(2024, 5, 17, 20, 45, 5, 500000), "boom"),
    ],
)
def test_time_at_the_beginning_of_a_line_is_read_in_utc(line, at, rest):
    assert timestamp(line, NEAR) == (at, rest)


@pytest.mark.parametrize(
    "line",
    [
        "2024-02-31 00:00:00 no such day",
        "2024-05-17 without a time",
        "0001-01-01T00:00:00+14:00 before all time",
        "2024-05-17T20:45:05+99:00 no such zone",
        "[292794.599396] seconds since boot",
        "Jan 32 11:42:38 x",
        "12345 tokens",
        "2147483648234 bytes",
        "Everything is fine",
    ],
)
def test_line_without_a_true_time_is_left_alone(line):
    assert timestamp(line, NEAR) == (None, line)


@pytest.mark.parametrize(
    ("line", "has_zone"), [("2024-05-17T20:45:05Z x", True), ("2024-05-17 20:45:05 x", False), ("1715978705 x", False)]
)
def test_stamp_tells_whether_it_names_its_zone(line, has_zone):
    stamp = leading_stamp(line, NEAR)

    assert stamp is not None and stamp.has_zone is has_zone


STAMP_LIKE = st.from_regex(r"\A\[?[IWE]?\d{3,10}[-/. ]?\d{0,2}[-/. ]?\d{0,2}[T ]?\d\d:\d\d:\d\d([+-]\d\d:?\d\d)?.*")


@given(st.one_of(st.text(), STAMP_LIKE), st.datetimes(timezones=st.just(UTC)))
def test_no_text_raises_and_what_is_returned_ends_the_line(text, near):
    rank, rest = rank_prefix(text)
    at, _ = timestamp(text, near)

    assert text.endswith(rest) and (rank is None) == (rest == text)
    assert at is None or at.tzinfo is UTC
    ranked_line(text, near)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"10%\r20%\r30%\r\n", "30%"),
        (b"\r 10%\r 20%\r", " 20%"),
        (b"100%\r        \r", "100%"),
        (b"  \r  ", "  "),
    ],
)
def test_of_a_progress_bar_the_last_part_that_holds_anything_is_read(raw, text):
    assert decode(raw) == text


@given(st.binary())
def test_no_bytes_raise(raw):
    assert not decode(raw).endswith(("\r", "\n"))


@pytest.mark.parametrize(
    "carried",
    [
        "2026-01-20T11:58:04.123Z ",
        "2026-01-20 11:58:04,123 ",
        "[2026-01-20 11:58:04] ",
        "Jan 20 11:58:04 node001 app[4711]: ",
        "[Tue Jan 20 11:58:04 2026] ",
        "[  812.123456] ",
        "2026-01-20T11:58:04.123456789Z stderr F ",
        "[pod/train-0/pytorch] 2026-01-20T11:58:04Z [rank3]: ",
        "",
    ],
)
def test_what_carried_a_line_is_told_from_the_line(carried):
    assert unprefixed(f"{carried}Killed") == "Killed"


@pytest.mark.parametrize("line", ["Killed by 12:30", "12 ranks failed", "node001 is down", "error 5: no", "3 [2] 1"])
def test_line_that_nothing_carried_stays_whole(line):
    assert unprefixed(line) == line
