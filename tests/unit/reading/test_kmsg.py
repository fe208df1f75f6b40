from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading.kmsg import KernelRecord, kernel_record, stamped_at


def test_record_of_the_driver_is_taken_apart():
    raw = b"4,1234,98765432,-;NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\n"

    assert kernel_record(raw) == KernelRecord(
        facility=0,
        level=4,
        seq=1234,
        since_boot=timedelta(microseconds=98765432),
        text="NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
    )


def test_record_that_a_program_wrote_has_the_facility_of_users():
    record = kernel_record(b"12,689,1000,-;hello\n")

    assert record is not None
    assert (record.facility, record.level) == (1, 4)


def test_continuation_lines_become_tags():
    record = kernel_record(b"6,5,1,-;pcieport: AER\n SUBSYSTEM=pci\n DEVICE=+pci:0000:3b:00.0\n")

    assert record is not None
    assert record.text == "pcieport: AER"
    assert record.tags == {"SUBSYSTEM": "pci", "DEVICE": "+pci:0000:3b:00.0"}


def test_escaped_bytes_are_undone_and_colours_taken_out():
    record = kernel_record(rb"6,5,1,-;caf\xc3\xa9 \x1b[31mred\x1b[0m back\x5cslash one\x0atwo")

    assert record is not None
    assert record.text == "café red back\\slash one two"


def test_fields_that_later_kernels_add_are_passed_over():
    record = kernel_record(b"6,5,1,c,caller=T1234;part of a line")

    assert record is not None
    assert record.text == "part of a line"


def test_a_line_of_another_format_is_no_record():
    assert kernel_record(b"[  123.456] NVRM: Xid (PCI:0000:3b:00): 79") is None


def test_stamp_with_a_zone_gives_utc():
    assert stamped_at("2026-03-01T13:00:00.5+01:00 node001 kernel: x") == datetime(2026, 3, 1, 12, 0, 0, 500000, UTC)


def test_stamp_without_a_zone_is_not_guessed():
    assert stamped_at("2026-03-01T13:00:00 kernel: x") is None
    assert stamped_at("Mar  1 13:00:00 node001 kernel: x") is None


@given(st.binary())
def test_any_bytes_are_read_without_an_error(raw: bytes):
    kernel_record(raw)
    stamped_at(raw.decode("utf-8", "replace"))


@given(st.binary(), st.integers(0, 10**10), st.integers(0, 10**20), st.integers(0, 10**20))
def test_any_text_behind_a_header_is_printable(text: bytes, prefix: int, seq: int, microseconds: int):
    record = kernel_record(b"%d,%d,%d,-;" % (prefix, seq, microseconds) + text)

    assert record is None or (len(record.text) <= 4096 and "\x1b" not in record.text and "\n" not in record.text)
