"""Standard streams and signals that go away."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from clusterwatch.app.terminal import unbuffered, without_terminal


def test_stream_without_a_file_is_not_echoed_to():
    assert unbuffered(io.StringIO()) is None
    assert unbuffered(None) is None


@contextmanager
def hangup(disposition: signal.Handlers) -> Iterator[None]:
    """Whoever runs the tests may have started them with nohup, which is inherited."""
    before = signal.signal(signal.SIGHUP, disposition)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def ignored_by_a_command_started_now() -> str:
    asks = "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    return subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True).stdout.strip()


def test_hangup_is_survived_and_a_command_started_meanwhile_does_not_ignore_it():
    with hangup(signal.SIG_DFL):
        with without_terminal():
            os.kill(os.getpid(), signal.SIGHUP)
            ignored = ignored_by_a_command_started_now()

        assert ignored == "False"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_a_command_started_under_nohup_ignores_a_hangup_too():
    with hangup(signal.SIG_IGN), without_terminal():
        assert ignored_by_a_command_started_now() == "True"
