import re
import tomllib

import pytest

from clusterwatch.errors import SourceError
from clusterwatch.resources import boot_id, catalog_texts, host_name


def test_the_catalogue_comes_with_the_package_and_is_toml():
    texts = catalog_texts()

    assert texts
    assert list(texts) == sorted(texts)
    assert all(tomllib.loads(text) for text in texts.values())


def test_what_projects_say_of_xids_comes_with_the_package():
    assert "[[project]]" in catalog_texts()["profiles/xids.toml"]


def test_site_rules_follow_the_packages_own(tmp_path):
    (tmp_path / "b.toml").write_text("x = 1")
    (tmp_path / "a.toml").write_text("y = 1")
    (tmp_path / "notes.txt").write_text("no rules")

    texts = catalog_texts(tmp_path)

    assert list(texts)[-2:] == ["site/a.toml", "site/b.toml"]
    assert texts["site/b.toml"] == "x = 1"
    assert len(texts) == len(catalog_texts()) + 2


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_site_rules_that_cannot_be_read_are_named(tmp_path, content):
    folder = tmp_path / "rules"
    if content:
        folder.mkdir()
        (folder / "a.toml").write_bytes(content)

    with pytest.raises(SourceError, match=r"rules in .*rules cannot be read"):
        catalog_texts(folder)


def test_boot_has_an_id_that_does_not_change():
    assert re.fullmatch("[0-9a-f]{32}", boot_id())
    assert boot_id() == boot_id()


def test_host_has_a_name():
    assert host_name()
