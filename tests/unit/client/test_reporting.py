import ast
import json
import re
import sys
from pathlib import Path

import pytest

import clusterwatch.client
from clusterwatch.client import Reporter


class Kept:
    def __init__(self):
        self.lines = []

    def write(self, line):
        self.lines.append(re.sub(r" (at|seconds|stall)=[\d.e-]+", r" \1", line))
        return True

    def close(self):
        pass


@pytest.fixture
def kept():
    return Kept()


def test_step_is_one_line_with_its_time_and_rank(kept):
    Reporter(kept, "3").step(120, loss=1.83, tokens=1.2e9)

    assert kept.lines == ["clusterwatch: step=120 loss=1.83 tokens=1200000000 at rank=3"]


def test_checkpoint_is_begun_and_ended_and_tells_how_long_training_stood_still(kept):
    with Reporter(kept).checkpoint(120, "/ckpt/step_120"):
        pass

    assert kept.lines == [
        "clusterwatch: checkpoint=begin step=120 path=/ckpt/step_120 at",
        "clusterwatch: checkpoint=end step=120 path=/ckpt/step_120 seconds stall at",
    ]


def test_checkpoint_in_the_background_tells_when_training_went_on(kept):
    saving = Reporter(kept).checkpoint(120)
    saving.training_goes_on()
    saving.training_goes_on()
    saving.end(size_bytes=100)
    saving.end()

    assert kept.lines[1:] == [
        "clusterwatch: checkpoint=background step=120 stall at",
        "clusterwatch: checkpoint=end step=120 seconds stall bytes=100 at",
    ]


def test_checkpoint_that_raises_is_told_to_have_failed_and_the_exception_passes(kept):
    with pytest.raises(OSError, match="no space"), Reporter(kept).checkpoint(120):
        raise OSError("no space")

    assert kept.lines[1] == "clusterwatch: checkpoint=failed step=120 seconds stall at"


def test_section_ends_though_its_body_raises(kept):
    with pytest.raises(KeyError), Reporter(kept).section("evaluate"):
        raise KeyError

    assert kept.lines == [
        "clusterwatch: section=evaluate state=begin at",
        "clusterwatch: section=evaluate state=end seconds at",
    ]


class Broken:
    def write(self, line):
        raise RuntimeError("a sink of somebody else")

    def close(self):
        pass


class Unprintable:
    def __str__(self):
        raise RuntimeError("no text")

    def __float__(self):
        raise RuntimeError("no number")


def test_nothing_raises_into_the_loop(kept):
    for reporter in (Reporter(Broken()), Reporter(kept)):
        reporter.step(Unprintable(), loss=Unprintable())
        reporter.step(None)
        reporter.loaded(Unprintable(), Unprintable(), Unprintable())
        reporter.saved(Unprintable(), Unprintable(), Unprintable(), Unprintable(), Unprintable())
        with reporter.checkpoint(Unprintable(), Unprintable(), manifest=True), reporter.section(Unprintable()):
            pass


def test_manifest_names_every_file_with_its_size_and_is_told_of_last(kept, tmp_path):
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "0.bin").write_bytes(b"abc")

    with Reporter(kept).checkpoint(7, str(tmp_path), manifest=True):
        (tmp_path / "model.bin").write_bytes(b"12345")

    assert json.loads((tmp_path / "clusterwatch-manifest.json").read_text()) == {
        "version": 1,
        "step": 7,
        "files": {"layers/0.bin": {"size": 3}, "model.bin": {"size": 5}},
    }


def test_functions_of_the_package_report_to_the_file_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CLUSTERWATCH_REPORT", str(tmp_path / "job.report"))
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setattr(clusterwatch.client, "_reporter", None)

    clusterwatch.client.step(1)
    with clusterwatch.client.checkpoint(1), clusterwatch.client.section("evaluate"):
        pass
    clusterwatch.client.loaded(1)

    assert len((tmp_path / "job.rank2.report").read_text().splitlines()) == 6


def test_client_is_written_for_python_3_8_and_needs_nothing_else():
    for path in Path(clusterwatch.client.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        absolute = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
        named = {node.module.partition(".")[0] for node in absolute}
        named |= {each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names}
        allowed = {"lightning", "pytorch_lightning"} if path.stem == "lightning" else set()
        allowed |= {"transformers"} if path.stem == "huggingface" else set()
        assert named <= sys.stdlib_module_names | allowed, path.name
