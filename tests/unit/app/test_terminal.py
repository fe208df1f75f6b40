"""Standard streams and signals that go away."""

import io
import os
import signal
import subprocess
import sys

from clusterwatch.app.terminal import unbuffered, without_terminal


def test_stream_without_a_file_is_not_echoed_to():
    assert unbuffered(io.StringIO()) is None
    assert unbuffered(None) is None


def test_hangup_is_survived_and_a_command_started_meanwhile_does_not_ignore_it():
    asks = "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"

    with without_terminal():
        os.kill(os.getpid(), signal.SIGHUP)
        answer = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)

    assert answer.stdout == "False\n"
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
