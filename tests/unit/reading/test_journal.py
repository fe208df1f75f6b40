from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading.journal import JournalRecord, journal_record

# The shape of `journalctl -o json` of systemd 252 on Debian 12.
ENTRY = {
    "__CURSOR": "s=8f;i=1a2;b=0123",
    "__REALTIME_TIMESTAMP": "1772366400000000",
    "_BOOT_ID": "0123456789abcdef0123456789abcdef",
    "_TRANSPORT": "kernel",
    "SYSLOG_FACILITY": "0",
    "PRIORITY": "4",
    "SYSLOG_IDENTIFIER": "NVRM",
    "MESSAGE": "Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
}


def test_prefix_that_the_journal_moved_away_is_put_back():
    assert journal_record(json.dumps(ENTRY).encode()) == JournalRecord(
        cursor="s=8f;i=1a2;b=0123",
        boot_id="01234567-89ab-cdef-0123-456789abcdef",
        happened_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        facility=0,
        level=4,
        text="NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
    )


def test_plain_kernel_line_gets_no_prefix():
    record = journal_record(json.dumps(ENTRY | {"SYSLOG_IDENTIFIER": "kernel", "MESSAGE": "eth0: link down"}).encode())

    assert record is not None
    assert record.text == "eth0: link down"


def test_message_given_as_bytes_is_decoded():
    record = journal_record(json.dumps(ENTRY | {"MESSAGE": [88, 105, 100, 255]}).encode())

    assert record is not None
    assert record.text == "NVRM: Xid\ufffd"


def test_an_error_message_of_journalctl_is_no_record():
    assert journal_record(b"No journal files were found.\n") is None


@given(st.binary() | st.dictionaries(st.sampled_from(list(ENTRY)), st.none() | st.text() | st.lists(st.integers())))
def test_anything_is_read_without_an_error(line: bytes | dict[str, object]):
    journal_record(line if isinstance(line, bytes) else json.dumps(ENTRY | line).encode())
