from importlib.metadata import EntryPoint

import pytest

from clusterwatch.plugins import COLLECTORS, collectors, find, load_all, unknown_names

SOUND = "class Sound:\n    name = 'sound'\n    every_seconds = 1.0\n    deadline_seconds = 1.0\n"


@pytest.fixture
def plugin_folder(tmp_path, monkeypatch):
    """A folder on the import path with a sound plugin, one that cannot be imported, one that cannot be built."""
    (tmp_path / "sound_plugin.py").write_text(SOUND)
    (tmp_path / "broken_plugin.py").write_text("import no_such_library\n")
    (tmp_path / "raising_plugin.py").write_text(
        "class Raising:\n    def __init__(self):\n        raise OSError('no device')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, COLLECTORS)


SOUND_POINT = point("sound", "sound_plugin:Sound")
BROKEN_POINT = point("broken", "broken_plugin:Broken")
RAISING_POINT = point("raising", "raising_plugin:Raising")


def test_plugins_are_found_in_the_order_of_their_names():
    points = [SOUND_POINT, BROKEN_POINT, EntryPoint("other", "x:y", "another.group")]

    assert [plugin.name for plugin in find(COLLECTORS, points)] == ["broken", "sound"]


def test_plugin_that_cannot_be_imported_stops_no_other(plugin_folder):
    loaded, errors = load_all(COLLECTORS, [BROKEN_POINT, SOUND_POINT])

    assert [plugin.name for plugin in loaded] == ["sound"]
    assert [str(error) for error in errors] == [
        "plugin 'broken' failed: ModuleNotFoundError: No module named 'no_such_library'"
    ]


def test_collector_that_cannot_be_built_stops_no_other(plugin_folder):
    built, errors = collectors(points=[RAISING_POINT, SOUND_POINT, BROKEN_POINT])

    assert [collector.name for collector in built] == ["sound"]
    assert [error.name for error in errors] == ["broken", "raising"]


def test_two_plugins_of_one_name_are_reported_and_neither_is_used(plugin_folder):
    loaded, errors = load_all(COLLECTORS, [SOUND_POINT, point("sound", "raising_plugin:Raising")])

    assert loaded == []
    assert "2 packages install one of this name" in str(errors[0])


def test_the_same_plugin_seen_twice_on_the_path_is_one(plugin_folder):
    loaded, errors = load_all(COLLECTORS, [SOUND_POINT, point("sound", "sound_plugin:Sound")])

    assert ([plugin.name for plugin in loaded], errors) == (["sound"], [])


def test_disabled_collector_is_not_even_imported(plugin_folder):
    built, errors = collectors(disabled={"broken", "sound"}, points=[BROKEN_POINT, SOUND_POINT])

    assert (built, errors) == ([], [])


def test_installed_collectors_are_found():
    assert {"kernel_log", "nvml", "host", "job_log"} <= {plugin.name for plugin in find(COLLECTORS)}


def test_name_that_no_plugin_has_is_reported():
    assert unknown_names(["nvml", "nvlm"]) == ["nvlm"]
