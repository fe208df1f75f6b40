import os
import shutil
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import FileSystemWriter

from clusterwatch.reading.pickles import stored_pieces
from clusterwatch.seams import Site, WatchedJob
from collectors.checkpoints import CheckpointCollector

pytestmark = pytest.mark.integration

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def state(step: int) -> dict[str, object]:
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 8).to(torch.bfloat16))
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "channels_last": torch.ones(1, 2, 3, 4).to(memory_format=torch.channels_last),
        "step": step,
        "note": {"lr": 0.1, "names": ["a", "b"]},
    }


def saved(folder: Path, step: int, **options: object) -> Path:
    path = folder / f"step_{step}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that there is no process group
        dcp.save(state(step), storage_writer=FileSystemWriter(path, **options))
    return path


def told(folder: Path):
    """What a collector tells of the checkpoints of a job that is down."""
    site = Site("node001", jobs=(WatchedJob("job1", 1, checkpoint_dir=str(folder), is_down=True),))
    return CheckpointCollector().collect(site, {}, NOON).readings


def problem(folder: Path) -> str:
    (reading,) = told(folder)
    assert (reading.subject, reading.fields["format"]) == ("checkpoint.torn", "dcp")
    return str(reading.fields["problem"])


@pytest.mark.parametrize(
    "options", [{}, {"single_file_per_rank": False}, {"thread_count": 3}], ids=["default", "file per item", "threads"]
)
def test_checkpoint_that_torch_wrote_is_complete(tmp_path, options):
    path = saved(tmp_path, 10, **options)

    (reading,) = told(tmp_path)

    assert (reading.subject, reading.fields["step"], reading.fields["verified"]) == ("checkpoint.saved", 10, True)
    assert reading.fields["size_bytes"] == sum(file.stat().st_size for file in path.iterdir())


def test_places_of_the_pieces_are_those_that_torch_reads(tmp_path):
    path = saved(tmp_path, 10)

    pieces = stored_pieces((path / ".metadata").read_bytes())

    theirs = dcp.FileSystemReader(path).read_metadata().storage_data.values()
    assert {(piece.relative_path, piece.offset, piece.length) for piece in pieces} == {
        (info.relative_path, info.offset, info.length) for info in theirs
    }


@pytest.mark.parametrize("missing_bytes", [1, 1000])
def test_checkpoint_with_a_shard_cut_short_is_torn(tmp_path, missing_bytes):
    shard = saved(tmp_path, 10) / "__0_0.distcp"
    size = shard.stat().st_size

    os.truncate(shard, size - missing_bytes)

    assert problem(tmp_path) == f"__0_0.distcp is cut short: {size - missing_bytes} of {size} bytes"


def test_checkpoint_without_its_shard_is_torn(tmp_path):
    (saved(tmp_path, 10) / "__0_0.distcp").unlink()

    assert problem(tmp_path) == "__0_0.distcp is missing"


def test_checkpoint_whose_metadata_was_not_renamed_yet_is_torn(tmp_path):
    metadata = saved(tmp_path, 10) / ".metadata"
    metadata.rename(metadata.with_name(".metadata.tmp"))

    assert problem(tmp_path) == "no .metadata: the save did not finish"


def test_checkpoint_with_half_its_metadata_is_torn(tmp_path):
    metadata = saved(tmp_path, 10) / ".metadata"
    os.truncate(metadata, metadata.stat().st_size // 2)

    assert problem(tmp_path).startswith(".metadata cannot be used: not a readable pickle")


def test_newest_complete_checkpoint_stands_out_among_torn_ones(tmp_path):
    for step in (10, 20, 30):
        saved(tmp_path, step)
    os.truncate(tmp_path / "step_30" / "__0_0.distcp", 7)
    shutil.copytree(tmp_path / "step_20", tmp_path / "step_40.tmp")

    assert [(reading.fields["step"], reading.subject) for reading in told(tmp_path)] == [
        (10, "checkpoint.saved"),
        (20, "checkpoint.saved"),
        (30, "checkpoint.torn"),
    ]


def test_file_that_torch_saved_is_whole_and_any_part_of_it_is_not(tmp_path):
    whole = tmp_path / "step_5.pt"
    torch.save(state(5), whole)
    for number, part in enumerate((0.01, 0.5, 0.99), 6):
        (tmp_path / f"step_{number}.pt").write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
    torch.save(state(9), tmp_path / "step_9.pt", _use_new_zipfile_serialization=False)

    found = [(one.fields["step"], one.subject, one.fields.get("verified")) for one in told(tmp_path)]

    assert found == [
        (5, "checkpoint.saved", True),
        (6, "checkpoint.torn", None),
        (7, "checkpoint.torn", None),
        (8, "checkpoint.torn", None),
        (9, "checkpoint.saved", False),
    ]
