"""Standard streams and signals that go away."""

import io
import os
import signal
import subprocess
import sys

from clusterwatch.app.terminal import LastingStream, unbuffered, without_terminal


def test_lost_reader_of_standard_error_fails_no_write_and_no_exit():
    program = (
        "import sys; from clusterwatch.app.terminal import LastingStream; stream = LastingStream(sys.stderr);"
        "input(); [(stream.write('lost\\n'), stream.flush()) for _ in range(3)]; print('done')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stderr.close()

    process.stdin.write(b"\n")
    process.stdin.close()
    said = process.stdout.read()
    process.stdout.close()

    assert (said, process.wait(30)) == (b"done\n", 0)


def test_stream_that_is_read_gets_everything():
    stream = io.StringIO()

    lasting = LastingStream(stream)
    lasting.write("step 1\n")
    lasting.flush()

    assert stream.getvalue() == "step 1\n"
    assert not lasting.isatty()


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
