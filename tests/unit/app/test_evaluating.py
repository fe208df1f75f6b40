"""Labelled cases through the diagnosis."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clusterwatch.app.evaluating import cases_in, cases_under, evaluate, evaluate_unseen, origin_of
from clusterwatch.detect import Catalog, compile_catalog
from clusterwatch.errors import SourceError
from clusterwatch.model import Cause
from shipped import shipped_log_catalog

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
FELL_OFF = "[512.000000] NVRM: Xid (PCI:0000:86:00): 79, pid=1234, name=python, GPU has fallen off the bus."
LEARNED = """
[[rule]]
name = "flux-capacitor"
kind = "flux"
literal = "flux capacitor"
pattern = "flux capacitor broke"
sources = ["https://github.com/acme/flux/issues/1"]
match = ["the flux capacitor broke"]

[[signal]]
kind = "flux"
meaning = "the flux capacitor broke"
severity = "error"
role = "fault"
weights = { power_supply = 4.0 }
sources = ["https://github.com/acme/flux/issues/1"]
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return shipped_log_catalog()


def written(folder: Path, *cases: dict) -> Path:
    file = folder / "cases.jsonl"
    file.write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    return file


def test_case_is_diagnosed_and_its_culprit_named(catalog, tmp_path):
    culprit = {"kind": "gpu", "id": "0000:86:00"}
    file = written(tmp_path, {"id": "1", "text": FELL_OFF, "cause": "faulty_gpu", "culprit": [culprit]})

    evaluation = evaluate(cases_in(file), catalog, NOW)

    assert (evaluation.scores.top1, evaluation.scores.culprit_accuracy, evaluation.misses) == (1.0, 1.0, ())


def test_text_in_which_nothing_is_found_is_benign(catalog, tmp_path):
    file = written(tmp_path, {"id": "1", "text": "iteration 5 done", "cause": "benign"})

    (answer,) = evaluate(cases_in(file), catalog, NOW).answers

    assert answer.prediction.cause is Cause.BENIGN
    assert answer.prediction.confidence < 1


@pytest.mark.parametrize(
    ("source", "cause"),
    [("https://github.com/acme/flux/issues/2", Cause.BENIGN), ("https://example.com/flux", Cause.POWER_SUPPLY)],
)
def test_rule_is_off_only_for_cases_of_its_only_source(tmp_path, source, cause):
    file = written(tmp_path, {"id": "1", "text": "the flux capacitor broke", "cause": "power_supply", "source": source})

    (answer,) = evaluate_unseen(cases_in(file), compile_catalog({"flux.toml": LEARNED}), NOW).answers

    assert answer.prediction.cause is cause


def test_repositories_of_one_owner_are_two_sources_and_pages_of_one_site_are_one():
    assert origin_of("https://github.com/NVIDIA/nccl/issues/7") == "github.com/nvidia/nccl"
    assert origin_of("https://github.com/NVIDIA/gpu-operator/pull/7") != origin_of("https://github.com/NVIDIA/nccl")
    assert origin_of("https://docs.nvidia.com/a/b.html") == origin_of("https://docs.nvidia.com/c")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not a case"),
        ('{"id": "1", "text": "x"}', "'cause' is missing"),
        ('{"id": "1", "text": "x", "cause": "gremlins"}', "causes are faulty_gpu"),
        ('{"id": "1", "text": 5, "cause": "nic"}', "text must be a text"),
        ('{"id": "1", "text": "x", "cause": "nic", "also_acceptable": "cpu"}', "must be a list of causes"),
        ("[]", "not a case"),
        ("", "holds no case"),
    ],
)
def test_broken_file_says_which_line_and_what_is_wrong(tmp_path, line, words):
    file = tmp_path / "cases.jsonl"
    file.write_text(line)

    with pytest.raises(SourceError, match=words):
        cases_in(file)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match="nowhere"):
        cases_in(tmp_path / "nowhere.jsonl")


def test_folder_is_all_its_files(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "a", "text": "x", "cause": "nic"}')
    (tmp_path / "b.jsonl").write_text('{"id": "b", "text": "x", "cause": "cpu"}')

    assert [case.id for case in cases_under([tmp_path])] == ["a", "b"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no"):
        cases_under([tmp_path / "empty"])
