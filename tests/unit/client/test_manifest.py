import hashlib
import json

from clusterwatch.client import write_manifest


def test_checksums_are_written_on_request(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"12345")

    assert write_manifest(str(tmp_path), 7, checksums=True)

    entry = json.loads((tmp_path / "clusterwatch-manifest.json").read_text())["files"]["model.bin"]
    assert entry == {"size": 5, "sha256": hashlib.sha256(b"12345").hexdigest()}


def test_manifest_is_written_again_without_naming_itself(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"12345")
    write_manifest(str(tmp_path), 7)

    assert write_manifest(str(tmp_path), 8)

    found = json.loads((tmp_path / "clusterwatch-manifest.json").read_text())
    assert (found["step"], list(found["files"])) == (8, ["model.bin"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clusterwatch-manifest.json", "model.bin"]


def test_folder_that_is_not_there_has_none_and_nothing_raises(tmp_path):
    assert not write_manifest(str(tmp_path / "gone"), 7)
