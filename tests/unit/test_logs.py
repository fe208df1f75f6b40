import io
import json
import logging
from datetime import datetime, timedelta

import pytest
import structlog

from clusterwatch.logs import configure


@pytest.fixture(autouse=True)
def logging_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


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
