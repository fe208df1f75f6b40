from pathlib import Path

import pytest

from clusterwatch.errors import ConfigError
from collectors._settings import settings_in
from collectors.fabric import FabricSettings


def test_what_is_not_told_has_its_default():
    assert settings_in({}, FabricSettings, "fabric") == FabricSettings()


def test_commands_and_lists_may_be_a_text_or_a_list():
    table = {"sysfs": "/tmp/sys", "tool_prefix": "sudo -n", "interfaces": ["eth0", "eth1"], "sweep": True}

    settings = settings_in(table, FabricSettings, "fabric")

    assert (settings.sysfs, settings.sweep) == (Path("/tmp/sys"), True)
    assert (settings.tool_prefix, settings.interfaces) == (("sudo", "-n"), ("eth0", "eth1"))


def test_every_mistake_is_told_with_its_key():
    table = {"sysfs": 3, "sweep": "yes", "peers_pause_seconds": -1, "interfaces": [1], "sweeps": True}

    with pytest.raises(ConfigError) as raised:
        settings_in(table, FabricSettings, "fabric")

    assert [mistake.key for mistake in raised.value.mistakes] == [
        "sweeps", "sysfs", "interfaces", "sweep", "peers_pause_seconds"
    ]  # fmt: skip
    assert "sweep: is 'yes', expected true or false" in str(raised.value)
