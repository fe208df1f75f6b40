import json
from pathlib import Path

import pytest

from clusterwatch.config import load
from clusterwatch.errors import ConfigError
from clusterwatch.model import Mode


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setattr("clusterwatch.config.loading.DEFAULT_FILE", tmp_path / "none.toml")


def written(folder: Path, text: str) -> Path:
    file = folder / "clusterwatch.toml"
    file.write_text(text)
    return file


def mistakes_of(*arguments) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(*arguments)
    return {mistake.key: mistake.problem for mistake in caught.value.mistakes}


def test_defaults_suffice():
    settings = load()

    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8642)
    assert settings.database == f"sqlite:///{settings.state_dir}/clusterwatch.db"
    assert settings.node


def test_flag_beats_environment_beats_file_beats_default(monkeypatch, tmp_path):
    file = written(tmp_path, '[server]\nport = 1\n[logs]\nlevel = "debug"\n[hang]\nfactor = 3.0\n')
    monkeypatch.setenv("CLUSTERWATCH_SERVER__PORT", "2")
    monkeypatch.setenv("CLUSTERWATCH_LOGS__LEVEL", "error")

    settings = load(file, {"server.port": 3, "server.host": None})

    assert (settings.server.port, settings.logs.level, settings.hang.factor) == (3, "error", 3.0)
    assert settings.server.host == "127.0.0.1"
    origins = {key: entry["origin"] for key, entry in settings.public().items()}
    assert [origins[key] for key in ("server.port", "logs.level", "hang.factor", "server.host")] == [
        "flag",
        "environment",
        "file",
        "default",
    ]


def test_file_is_found_through_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CLUSTERWATCH_CONFIG", str(written(tmp_path, 'node = "node001"')))

    assert load().node == "node001"


def test_file_in_its_usual_place_is_read_when_it_is_there(monkeypatch, tmp_path):
    monkeypatch.setattr("clusterwatch.config.loading.DEFAULT_FILE", written(tmp_path, 'node = "node002"'))

    assert load().node == "node002"


def test_database_follows_the_state_folder(tmp_path):
    assert load(None, {"state_dir": tmp_path}).database == f"sqlite:///{tmp_path}/clusterwatch.db"


def test_every_mistake_of_every_source_is_reported_with_its_key(monkeypatch, tmp_path):
    file = written(tmp_path, 'sever = 1\n[server]\nport = "http"\nprot = 1\n[policy.modes]\nslurm = "atuo"\n[[jobs]]\n')
    monkeypatch.setenv("CLUSTERWATCH_DATABASE", "mysql://u:hush@db/x")
    monkeypatch.setenv("CLUSTERWATCH_RETENTOIN__EVENTS_DAYS", "3")

    mistakes = mistakes_of(file, {"hang.factor": 0})

    assert mistakes["sever"] == 'unknown key, did you mean "server"? (from the file)'
    assert mistakes["server.prot"] == 'unknown key, did you mean "port"? (from the file)'
    assert mistakes["server.port"].startswith("is 'http', expected a valid integer")
    assert "'observe', 'suggest', 'approve' or 'auto'" in mistakes["policy.modes.slurm"]
    assert mistakes["jobs.0.id"] == "is missing, expected a value"
    assert mistakes["hang.factor"] == "is 0, expected greater than 1 (from a flag)"
    assert "postgresql://" in mistakes["database"]
    assert "hush" not in mistakes["database"]
    assert mistakes["CLUSTERWATCH_RETENTOIN__EVENTS_DAYS"] == 'names no setting, did you mean "retention"?'
    assert len(mistakes) == 8


@pytest.mark.parametrize(("text", "line"), [('node = "a"\nserver = [\n\n', 3), ('node = "a"\nserver = = 3\n', 2)])
def test_broken_toml_names_the_line_and_hides_no_other_mistake(tmp_path, text, line):
    file = written(tmp_path, text)

    mistakes = mistakes_of(file, {"server.port": -1})

    assert set(mistakes) == {f"{file}:{line}", "server.port"}


def test_wrong_value_adds_no_mistake_about_a_default_made_from_it(tmp_path):
    assert list(mistakes_of(written(tmp_path, 'node = ""'))) == ["node"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory; expected a TOML file"),
        (b"\xff\xfe", "is not UTF-8 text; expected a TOML file"),
    ],
)
def test_file_that_cannot_be_read_is_named(tmp_path, content, problem):
    file = tmp_path / "clusterwatch.toml"
    if content is not None:
        file.write_bytes(content)

    assert mistakes_of(file) == {str(file): problem}


def test_variable_that_is_no_json_is_named_and_the_others_are_still_checked(monkeypatch):
    monkeypatch.setenv("CLUSTERWATCH_JOBS", "[{")
    monkeypatch.setenv("CLUSTERWATCH_TOPOLOGY__NEIGHBOURHOODS", "{")
    monkeypatch.setenv("CLUSTERWATCH_SERVER__PORT", "x")

    assert set(mistakes_of()) == {"CLUSTERWATCH_JOBS", "CLUSTERWATCH_TOPOLOGY__NEIGHBOURHOODS", "server.port"}


def test_misspelt_plain_variable_is_a_mistake_but_a_variable_of_others_is_none(monkeypatch):
    monkeypatch.setenv("CLUSTERWATCH_ATTEMPT", "3")
    monkeypatch.setenv("CLUSTERWATCH_RESUME_CHECKPOINT", "/ckpt/1")
    load()
    monkeypatch.setenv("CLUSTERWATCH_DATABSE", "sqlite:///x")

    assert set(mistakes_of()) == {"CLUSTERWATCH_DATABSE"}


def test_further_keys_of_a_collector_are_its_own(monkeypatch, tmp_path):
    file = written(tmp_path, '[collectors.kernel_log]\nenabled = true\nevery_seconds = 0.5\npath = "/dev/kmsg"\n')
    monkeypatch.setenv("CLUSTERWATCH_COLLECTORS__KERNEL_LOG__TRUST_USER_RECORDS", "false")

    kernel_log = load(file).collectors["kernel_log"]

    assert (kernel_log.enabled, kernel_log.every_seconds) == (True, 0.5)
    assert kernel_log.options == {"path": "/dev/kmsg", "trust_user_records": False}


def test_slip_in_a_common_key_of_a_collector_is_a_mistake(tmp_path):
    file = written(tmp_path, "[collectors.nvml]\nenabeld = false\n")

    assert mistakes_of(file) == {"collectors.nvml.enabeld": 'unknown key, did you mean "enabled"?'}


def test_jobs_and_topology_are_read(tmp_path):
    file = written(
        tmp_path,
        '[[jobs]]\nid = "llm"\nlog_paths = ["/logs/*.log"]\n[topology.neighbourhoods]\ntor1 = ["a", "b"]\n'
        'row = ["b"]\n',
    )

    settings = load(file)

    assert [(job.id, job.log_paths) for job in settings.jobs] == [("llm", ("/logs/*.log",))]
    assert settings.topology.topology().near("b") == {"tor1", "row", "b"}


def test_naming_one_actuators_mode_keeps_the_others(tmp_path):
    modes = load(written(tmp_path, '[policy.modes]\nslurm = "suggest"\n')).policy.modes

    assert modes == {"slurm": Mode.SUGGEST, "local_process": Mode.AUTO}


def test_site_rules_must_be_a_folder(tmp_path):
    assert "expected a folder that exists" in mistakes_of(None, {"rules_dir": tmp_path / "none"})["rules_dir"]


def test_what_is_shown_holds_no_password_and_is_json(monkeypatch, tmp_path):
    file = written(tmp_path, 'database = "postgresql://cw:hush@db/cw"\n[collectors.bmc]\npassword = "hush"\n')

    shown = load(file).public()

    assert "hush" not in json.dumps(shown)
    assert shown["database"]["value"] == "postgresql://cw:***@db/cw"


@pytest.mark.parametrize(
    ("host", "count"), [("127.0.0.1", 0), ("localhost", 0), ("::1", 0), ("0.0.0.0", 1), ("node1", 1)]
)
def test_listening_beyond_loopback_is_warned_of(host, count):
    assert len(load(None, {"server.host": host}).warnings()) == count
