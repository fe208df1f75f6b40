"""Records of JSON over several lines to one line each."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading.records import on_one_line

RECORD = '{\n  "message": "initiating delete",\n  "Node": {\n    "name": "gpu-7"\n  }\n}'


def joined(text: str) -> list[str]:
    held = bytearray(text, "utf-8")
    on_one_line(held, len(held))
    assert len(held) == len(text.encode())
    return held.decode().split("\n")


def test_record_stands_on_the_line_where_it_began_and_others_keep_their_numbers():
    lines = joined(f"before\n{RECORD}\nafter")

    assert json.loads(lines[1]) == json.loads(RECORD)
    assert (lines[0], lines[7]) == ("before", "after")


def test_record_in_a_list_is_a_record_of_its_own():
    inner = "\n".join(f"  {line}" for line in RECORD.split("\n"))

    lines = joined(f"[\n{inner},\n{inner}\n]")

    assert json.loads(lines[1]) == json.loads(RECORD)
    assert [json.loads(line) for line in lines if line.startswith('{"message"')] == 2 * [json.loads(RECORD)]


def test_object_without_a_message_stays_as_it_is():
    pod = '{\n  "kind": "Pod",\n  "spec": {\n    "nodeName": "gpu-7"\n  }\n}\n'

    assert joined(pod) == pod.split("\n")


def test_record_that_is_not_closed_stays_as_it_is():
    cut = RECORD[:-1]

    assert joined(cut) == cut.split("\n")


@given(st.text(alphabet='{}[]", \n\tmesag:', max_size=200))
def test_no_text_changes_its_length_or_its_number_of_lines(text: str):
    assert len(joined(text)) == len(text.split("\n"))
