import pytest

from clusterwatch.model import (
    Component,
    ComponentKind,
    Finding,
    findings_printed,
    findings_told,
    in_words,
    node_component,
)

GPU = Finding("scan.wrong_answer", Component(ComponentKind.GPU, "0000:2a:00", "node001"))
PROCESSOR = Finding("scan.processor_stuck", node_component("node002"))


def test_what_a_check_prints_is_what_it_found():
    printed = f"SCAN CRITICAL - GPU 1 | failed=1\n{GPU.line}\n  found: scan.processor_stuck\nbye"

    assert findings_printed("node001", printed) == (GPU, Finding("scan.processor_stuck", node_component("node001")))


@pytest.mark.parametrize(
    "line",
    [
        "found: job.ended",
        "found: action.step",
        "found: nothing",
        "found: scan.x; rm",
        "we found: scan.wrong_answer",
        "found: scan.wrong_answer gpu",
    ],
)
def test_a_check_cannot_say_what_is_no_fault_of_hardware(line: str):
    assert findings_printed("node001", line) == ()


def test_part_of_an_unknown_sort_is_the_nodes():
    assert findings_printed("node001", "found: gpu.lost flux 7") == (Finding("gpu.lost", node_component("node001")),)


def test_findings_of_many_nodes_go_through_one_text():
    odd = Finding("bmc.psu.failed", Component(ComponentKind.PSU, "PSU 1;left", "node003"))

    told = tuple(findings_told(in_words((GPU, PROCESSOR, odd))))

    assert told[:2] == (GPU, PROCESSOR)
    assert told[2].component == Component(ComponentKind.PSU, "PSU_1_left", "node003")
    assert tuple(findings_told("")) == ()
