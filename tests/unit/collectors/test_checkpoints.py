import hashlib
import io
import json
import os
import zipfile
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clusterwatch.model import Trust
from clusterwatch.seams import Site, WatchedJob
from collectors import checkpoints
from collectors.checkpoints import NEWEST_STEPS, CheckpointCollector

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
PID = 4711


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", b"x" * 3000)
    return buffer.getvalue()


WHOLE = archive()
TORN = WHOLE[:-5]


class Looker:
    """A collector and the position it goes on from, saved as the agent saves it."""

    def __init__(self, folder: Path, *, is_down: bool = False, pid: int | None = PID, **settings: object) -> None:
        self.collector = CheckpointCollector()
        job = WatchedJob("job1", 2, pid=pid, checkpoint_dir=str(folder), is_down=is_down)
        self.site = Site("node001", "boot", settings, (job,))
        self.position: dict[str, object] = {}
        self.condition = ""

    def look(self, now: datetime = NOON):
        collected = self.collector.collect(self.site, self.position, now)
        self.position = json.loads(json.dumps(dict(collected.position)))
        self.condition = collected.condition
        return list(collected.readings)

    def told(self):
        return [(reading.subject, reading.fields["step"]) for reading in self.look()]


def test_saved_checkpoint_is_told_once_with_what_it_is(tmp_path):
    (tmp_path / "step_100.pt").write_bytes(WHOLE)
    os.utime(tmp_path / "step_100.pt", (0, 1_740_000_000))
    looker = Looker(tmp_path)

    (reading,) = looker.look()

    assert (reading.source, reading.job, reading.attempt, reading.trust) == ("checkpoints", "job1", 2, Trust.USER)
    assert reading.subject == "checkpoint.saved"
    assert reading.happened_at == datetime.fromtimestamp(1_740_000_000, UTC)
    assert reading.fields == {
        "path": str(tmp_path / "step_100.pt"),
        "step": 100,
        "format": "file",
        "size_bytes": len(WHOLE),
        "verified": True,
    }
    assert looker.look() == []


def test_checkpoint_that_was_written_again_is_told_again(tmp_path):
    (tmp_path / "step_100.pt").write_bytes(WHOLE)
    looker = Looker(tmp_path)
    (first,) = looker.look()

    os.utime(tmp_path / "step_100.pt", (0, 1_740_000_000))
    (second,) = looker.look()

    assert first.position != second.position


def test_save_in_progress_is_not_torn_until_it_stands_still(tmp_path):
    path = tmp_path / "step_100.pt"
    looker = Looker(tmp_path)

    for kept in (100, 200, 300):
        path.write_bytes(WHOLE[:kept])
        assert looker.look() == []
    (reading,) = looker.look()

    assert reading.subject == "checkpoint.torn"
    assert reading.fields == {
        "path": str(path),
        "step": 100,
        "format": "file",
        "problem": "step_100.pt is cut short: the archive's end record is missing",
    }
    assert looker.look() == []


def test_save_of_a_schedulers_job_in_progress_is_not_torn_because_its_processes_are_not_ours(tmp_path):
    looker = Looker(tmp_path, pid=None)

    (tmp_path / "step_100.pt").write_bytes(TORN)
    while_saving = looker.told()
    (tmp_path / "step_100.pt").write_bytes(WHOLE)

    assert while_saving == []
    assert looker.told() == [("checkpoint.saved", 100)]


@pytest.mark.parametrize("settings", [{"is_down": True}, {"final": True}], ids=["down", "final"])
def test_torn_checkpoint_of_a_job_that_is_down_is_told_at_once_and_once(tmp_path, settings):
    (tmp_path / "step_100.pt").write_bytes(TORN)
    looker = Looker(tmp_path, **settings)

    assert looker.told() == [("checkpoint.torn", 100)]
    assert looker.told() == []


def test_torn_checkpoint_that_is_finished_after_all_is_told_to_be_saved(tmp_path):
    (tmp_path / "step_100.pt").write_bytes(TORN)
    looker = Looker(tmp_path, is_down=True)
    looker.look()

    (tmp_path / "step_100.pt").write_bytes(WHOLE)

    assert looker.told() == [("checkpoint.saved", 100)]


def test_saved_checkpoint_that_is_damaged_later_is_told_to_be_torn(tmp_path):
    (tmp_path / "step_100.pt").write_bytes(WHOLE)
    looker = Looker(tmp_path)
    looker.look()

    (tmp_path / "step_100.pt").write_bytes(TORN)

    assert (looker.told(), looker.told()) == ([], [("checkpoint.torn", 100)])


def test_checkpoint_that_cannot_be_verified_is_told_when_it_stands_still(tmp_path):
    (tmp_path / "step_100.h5").write_bytes(b"half")
    looker = Looker(tmp_path)

    assert looker.told() == []
    (reading,) = looker.look()
    assert (reading.subject, reading.fields["verified"]) == ("checkpoint.saved", False)


def test_megatron_iteration_is_torn_until_the_tracker_names_it(tmp_path):
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("100")
    for step in (100, 200):
        folder = tmp_path / f"iter_{step:07}" / "mp_rank_00"
        folder.mkdir(parents=True)
        (folder / "model_optim_rng.pt").write_bytes(WHOLE)
    looker = Looker(tmp_path)

    assert looker.told() == [("checkpoint.saved", 100)]
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("200")
    assert looker.told() == [("checkpoint.saved", 200)]


def test_folder_that_is_not_there_yet_is_no_problem(tmp_path):
    looker = Looker(tmp_path / "later")

    assert (looker.look(), looker.condition) == ([], "")


def test_what_is_no_folder_is_a_stated_condition(tmp_path):
    (tmp_path / "file").write_text("")
    looker = Looker(tmp_path / "file")

    assert looker.look() == []
    assert looker.condition.startswith(f"{tmp_path / 'file'}: Not a directory")


def test_deleted_checkpoint_is_told_once(tmp_path):
    (tmp_path / "step_100.pt").write_bytes(WHOLE)
    looker = Looker(tmp_path)
    looker.look()

    (tmp_path / "step_100.pt").unlink()
    (reading,) = looker.look()

    assert reading.subject == "checkpoint.deleted"
    assert reading.fields == {"path": str(tmp_path / "step_100.pt"), "step": 100, "format": "file"}
    assert looker.look() == []


def test_checkpoint_that_comes_back_the_same_is_told_as_another(tmp_path):
    (tmp_path / "step_100.pt").write_bytes(WHOLE)
    os.utime(tmp_path / "step_100.pt", (0, 1_740_000_000))
    looker = Looker(tmp_path)
    (first,) = looker.look()
    (tmp_path / "step_100.pt").rename(tmp_path / "away")
    looker.look()

    (tmp_path / "away").rename(tmp_path / "step_100.pt")
    (again,) = looker.look()

    assert (first.subject, again.subject) == ("checkpoint.saved", "checkpoint.saved")
    assert first.position != again.position


def test_torn_checkpoint_that_is_deleted_is_forgotten(tmp_path):
    (tmp_path / "step_100.pt").write_bytes(TORN)
    looker = Looker(tmp_path, is_down=True)
    looker.look()

    (tmp_path / "step_100.pt").unlink()

    assert (looker.look(), looker.position) == ([], {"job1": {}})


def test_checkpoint_that_is_only_no_longer_among_the_newest_is_not_deleted(tmp_path):
    (tmp_path / "step_1.pt").write_bytes(WHOLE)
    looker = Looker(tmp_path)
    looker.look()
    for step in range(2, NEWEST_STEPS + 2):
        (tmp_path / f"step_{step}.pt").write_bytes(WHOLE)

    assert {subject for subject, _ in looker.told()} == {"checkpoint.saved"}

    (tmp_path / "step_1.pt").unlink()
    assert looker.told() == [("checkpoint.deleted", 1)]


def test_nothing_is_called_deleted_where_the_folder_cannot_be_read(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "step_100.pt").write_bytes(WHOLE)
    looker = Looker(folder)
    looker.look()

    folder.rename(tmp_path / "away")
    folder.write_text("")
    assert (looker.look(), bool(looker.condition)) == ([], True)

    folder.unlink()
    (tmp_path / "away").rename(folder)
    assert looker.look() == []


def test_only_the_newest_steps_are_looked_at(tmp_path):
    for step in range(NEWEST_STEPS + 10):
        (tmp_path / f"step_{step}.pt").write_bytes(WHOLE)

    steps = [step for _, step in Looker(tmp_path).told()]

    assert steps == list(range(10, NEWEST_STEPS + 10))


def test_folder_with_too_many_files_gives_the_newest_whole_steps_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "MOST_FILES", 5)
    for step in (9, 10, 11):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
        (folder / "pytorch_model.bin").write_bytes(WHOLE)
    looker = Looker(tmp_path)

    assert looker.told() == [("checkpoint.saved", 10), ("checkpoint.saved", 11)]
    assert looker.condition == f"{tmp_path}: more than 5 files: only the newest steps are looked at"


def test_links_to_folders_are_not_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "step_1.pt").write_bytes(WHOLE)
    (tmp_path / "latest").symlink_to(tmp_path / "real")
    (tmp_path / "step_3.pt").symlink_to(tmp_path / "nowhere")

    assert Looker(tmp_path).told() == [("checkpoint.saved", 1)]


def with_manifest(folder: Path, step: int, data: bytes = b"weights" * 1000, **sums: str) -> Path:
    """A checkpoint of one file with a manifest that names its size and *sums*."""
    saved = folder / f"step_{step}"
    saved.mkdir()
    (saved / "weights").write_bytes(data)
    entry = {"size": len(data), **sums}
    (saved / "clusterwatch-manifest.json").write_text(json.dumps({"step": step, "files": {"weights": entry}}))
    return saved


DATA = b"weights" * 1000
SHA256, CRC32 = hashlib.sha256(DATA).hexdigest(), f"{zlib.crc32(DATA):08x}"


def summing(folder: Path, bytes_per_second: float = 1e6) -> Looker:
    return Looker(folder, checksums=True, checksum_bytes_per_second=bytes_per_second)


@pytest.mark.parametrize("sums", [{"sha256": SHA256.upper()}, {"crc32": CRC32}, {}])
def test_checkpoint_whose_checksums_are_right_is_told_once(tmp_path, sums):
    with_manifest(tmp_path, 10, **sums)
    looker = summing(tmp_path)

    assert looker.told() == [("checkpoint.saved", 10)]
    assert looker.look(NOON + timedelta(seconds=5)) == []


@pytest.mark.parametrize(("kind", "right"), [("sha256", SHA256), ("crc32", CRC32)])
def test_file_of_the_right_size_that_is_not_what_was_saved_makes_it_torn(tmp_path, kind, right):
    saved = with_manifest(tmp_path, 10, **{kind: right})
    (saved / "weights").write_bytes(DATA[:-1] + b"?")
    looker = summing(tmp_path)

    told = looker.look()

    assert [reading.subject for reading in told] == ["checkpoint.saved", "checkpoint.torn"]
    assert told[-1].fields["problem"] == f"weights is not what was saved: its {kind} is another"
    assert looker.look(NOON + timedelta(seconds=5)) == []


def test_nothing_is_read_for_checksums_unless_it_is_asked_for(tmp_path):
    saved = with_manifest(tmp_path, 10, sha256=SHA256)
    (saved / "weights").write_bytes(DATA[:-1] + b"?")

    assert Looker(tmp_path).told() == [("checkpoint.saved", 10)]


def test_checksums_are_read_no_faster_than_allowed_the_newest_first(tmp_path):
    for step in (10, 20):
        (with_manifest(tmp_path, step, sha256=SHA256) / "weights").write_bytes(DATA[:-1] + b"?")
    # 7,000 bytes each: the first look may read 5,000, each second after that 1,000 more.
    looker = summing(tmp_path, 1000.0)

    looks = [looker.look(NOON + timedelta(seconds=after)) for after in (0, 1, 2, 3, 5, 10)]

    torn = [[each.fields["step"] for each in look if each.subject == "checkpoint.torn"] for look in looks]
    assert torn == [[], [], [20], [], [], [10]]


def test_checksum_that_was_read_before_a_restart_is_not_read_again(tmp_path):
    saved = with_manifest(tmp_path, 10, sha256=SHA256)
    looker = summing(tmp_path)
    looker.look()
    times = (saved / "weights").stat()
    (saved / "weights").write_bytes(DATA[:-1] + b"?")
    os.utime(saved / "weights", ns=(times.st_atime_ns, times.st_mtime_ns))

    again = summing(tmp_path)
    again.position = looker.position

    assert again.look(NOON + timedelta(seconds=5)) == []


def test_manifest_that_names_a_link_has_nothing_read_behind_it(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(DATA)
    saved = with_manifest(tmp_path, 10, sha256="0" * 64)
    (saved / "weights").unlink()
    (saved / "weights").symlink_to(secret)

    assert summing(tmp_path).told() == [("checkpoint.saved", 10)]
