"""The echo of a command's output."""

import io
import os
import threading
from pathlib import Path

import pytest

from clusterwatch.supervise import Echo


class Paths:
    """Where the output of the latest attempt stands."""

    def __init__(self, path: Path | None = None):
        self.path = path

    def __call__(self):
        return self.path


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield io.FileIO(reading, "rb"), io.FileIO(writing, "wb")


def test_what_grows_is_copied_once(tmp_path):
    shown, log = io.BytesIO(), tmp_path / "attempt-1.log"
    echo = Echo(shown, Paths(log))

    for text in ("", "step 1\n", "step 2\n"):
        with log.open("a") as growing:
            growing.write(text)
        echo.pump()
        echo.pump()

    assert shown.getvalue() == b"step 1\nstep 2\n"


def test_rest_of_an_attempt_is_shown_before_the_next(tmp_path):
    shown, paths = io.BytesIO(), Paths(tmp_path / "attempt-1.log")
    echo = Echo(shown, paths)
    paths.path.write_text("first ")
    echo.pump()
    paths.path.write_text("first and last ")

    paths.path = tmp_path / "attempt-2.log"
    paths.path.write_text("second")
    echo.pump()

    assert shown.getvalue() == b"first and last second"


def test_reader_that_went_away_ends_the_echo_and_nothing_else(tmp_path, pipe):
    reading, writing = pipe
    log = tmp_path / "attempt-1.log"
    log.write_text("step 1\n")
    reading.close()
    echo = Echo(writing, Paths(log))

    echo.pump()
    echo.pump()
    writing.close()


def test_stream_that_was_closed_ends_the_echo_and_nothing_else(tmp_path):
    log = tmp_path / "attempt-1.log"
    log.write_text("step 1\n")
    closed = io.BytesIO()
    closed.close()

    Echo(closed, Paths(log)).pump()


def test_no_stream_and_no_output_are_fine(tmp_path):
    Echo(None, Paths(tmp_path / "attempt-1.log")).pump()
    Echo(io.BytesIO(), Paths(tmp_path / "not there yet")).pump()
    Echo(io.BytesIO(), Paths()).pump()


def test_reader_that_is_slow_keeps_nobody_waiting(tmp_path, pipe, monkeypatch):
    reading, writing = pipe
    log = tmp_path / "attempt-1.log"
    log.write_bytes(b"x" * 300_000)
    monkeypatch.setattr("clusterwatch.supervise.ECHOED_WITHIN_SECONDS", 0.1)
    echo = Echo(writing, Paths(log))
    echo.start()

    stopping = threading.Thread(target=echo.stop)
    stopping.start()
    stopping.join(60)

    assert not stopping.is_alive()
    reading.close()
