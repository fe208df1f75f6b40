"""Lines that may say anything are selected, whatever carries them; others are not."""

import json
import re

import pytest

from clusterwatch.detect import Rule, Selector

RULES = [
    Rule("xid", "gpu.xid", ("NVRM: Xid (",), re.compile("Xid")),
    Rule("quoted", "some.kind", ('said "no" to a/b <x>',), re.compile("said")),
]
SAID = 'someone said "no" to a/b <x> today'


def selected(*lines: str, engine: str = "auto") -> list[str]:
    text = bytearray("\n".join(lines).encode())
    found = Selector(RULES, engine).lines(text, len(text))
    return [bytes(text[line.start : line.end]).decode() for line in found]


@pytest.mark.parametrize("engine", ["hyperscan", "ahocorasick", "python"])
def test_line_with_a_literal_is_selected_and_its_neighbours_are_not(engine: str):
    assert selected("step 1", "NVRM: Xid (PCI:0000:3b:00): 79", "step 2", engine=engine) == [
        "NVRM: Xid (PCI:0000:3b:00): 79"
    ]


@pytest.mark.parametrize(
    "line",
    [
        SAID,
        json.dumps({"msg": SAID}),
        json.dumps({"msg": SAID}).replace("<", "\\u003c").replace(">", "\\u003e"),
        json.dumps({"msg": SAID}).replace("/", "\\/"),
        SAID.replace("said", "\x1b[1msa\x1b[0mid"),
        SAID.replace("said", "sa\x00id"),
        SAID.replace("said", "sa\u202eid"),
        '{"SYSLOG_IDENTIFIER":"NVRM","MESSAGE":"Xid (PCI:0000:3b:00): 79"}',
        '{"MESSAGE":"Xid (PCI:0000:3b:00): 79", "SYSLOG_IDENTIFIER": "NVRM"}',
        '{"MESSAGE" : "Xid (PCI:0000:3b:00): 79", "SYSLOG_IDENTIFIER" : "NVRM" }',
        '{"MESSAGE":[78,86,82,77]}',
        "Traceback (most recent call last):",
        '  File "train.py", line 7, in main',
    ],
)
@pytest.mark.parametrize("engine", ["hyperscan", "python"])
def test_line_is_selected_however_it_is_written(line: str, engine: str):
    assert selected("before", line, "after", engine=engine) == [line]


def test_name_of_a_field_is_no_program():
    assert selected('{"NVRM":"0.1","level":"info"}') == []


def test_line_that_only_places_a_rank_is_told_apart():
    text = bytearray(b"x rank 5 nranks 8 y\nNVRM: Xid ( nranks \n")

    assert [line.is_placement for line in Selector(RULES).lines(text, len(text))] == [True, False]
