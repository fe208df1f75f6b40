import io
import json
import logging
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog

from clusterwatch.logs import LastingStream, configure


def logged(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_json_object_per_line_with_a_constant_message_and_facts_as_fields():
    stream = io.StringIO()
    configure("info", "json", stream)

    structlog.get_logger().info("decision recorded", incident="inc-1", step=3)

    (line,) = logged(stream)
    assert (line["event"], line["level"], line["incident"], line["step"]) == ("decision recorded", "info", "inc-1", 3)
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)


def test_secrets_and_passwords_in_urls_are_masked():
    stream = io.StringIO()
    configure("info", "json", stream)

    structlog.get_logger().info(
        "database opened", url="postgresql://cw:hush@db/cw", token="hush", headers={"Authorization": "hush"}
    )

    assert "hush" not in stream.getvalue()
    assert logged(stream)[0]["url"] == "postgresql://cw:***@db/cw"


@pytest.mark.parametrize("output", ["json", "console"])
def test_password_in_an_exception_is_masked(output):
    stream = io.StringIO()
    configure("info", output, stream)

    try:
        raise ValueError("cannot reach postgresql://cw:hush@db/cw")
    except ValueError:
        structlog.get_logger().exception("turn failed")

    assert "ValueError" in stream.getvalue()
    assert "cw:***@db/cw" in stream.getvalue()
    # The source line of the traceback holds the literal; what the exception says does not.
    assert "ValueError: cannot reach postgresql://cw:hush" not in stream.getvalue()


def test_exception_is_a_field_without_local_variables():
    stream = io.StringIO()
    configure("info", "json", stream)
    api_key = "x" * 40

    try:
        raise KeyError("step")
    except KeyError:
        structlog.get_logger().exception("turn failed", length=len(api_key))

    (line,) = logged(stream)
    assert line["exception"][0]["exc_type"] == "KeyError"
    assert api_key not in stream.getvalue()


def test_what_is_below_the_level_is_not_written():
    stream = io.StringIO()
    configure("warning", "json", stream)

    structlog.get_logger().info("collected")

    assert stream.getvalue() == ""


def test_auto_writes_json_where_there_is_no_terminal():
    stream = io.StringIO()
    configure("info", "auto", stream)

    structlog.get_logger().info("started")

    assert logged(stream)[0]["event"] == "started"


def test_console_writes_words():
    stream = io.StringIO()
    configure("info", "console", stream)

    structlog.get_logger().info("started", port=8642)

    assert "started" in stream.getvalue()
    assert "port=8642" in stream.getvalue()


def test_libraries_log_the_same_way():
    stream = io.StringIO()
    configure("info", "json", stream)

    logging.getLogger("apscheduler").warning("run of %s was missed", "nvml")
    logging.getLogger("apscheduler").info("looking for jobs")

    (line,) = logged(stream)
    assert (line["event"], line["logger"], line["level"]) == ("run of nvml was missed", "apscheduler", "warning")


def test_lost_reader_of_standard_error_fails_no_write_and_no_exit():
    program = (
        "import sys; from clusterwatch.logs import LastingStream; stream = LastingStream(sys.stderr);"
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


def test_closed_stream_fails_no_log_call():
    stream = io.StringIO()
    configure("info", "json", stream)
    stream.close()

    structlog.get_logger().info("turn failed")


def test_full_disk_fails_no_write_and_later_lines_are_written(tmp_path):
    with (tmp_path / "log").open("w") as stream, Path("/dev/full").open("w") as full:
        lasting = LastingStream(full)
        lasting.write("lost\n")
        lasting.flush()
        os.dup2(stream.fileno(), full.fileno())
        lasting.write("room again\n")
        lasting.flush()

    assert "room again\n" in (tmp_path / "log").read_text()
