import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "debian-packages"


def ran(folder: Path, user_id: int, status: str, *packages: str, apt_get: str = "") -> subprocess.CompletedProcess[str]:
    """Run the script where `id` and `dpkg-query` answer so, and `apt-get` writes down how it was called."""
    for name, line in {
        "id": f"echo {user_id}",
        "dpkg-query": f"printf '{status}'",
        "apt-get": f'echo "apt-get $*" >> {folder}/calls\n{apt_get}',
        "dpkg": "",
        "sleep": "",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "POLICY_RC_D": f"{folder}/policy"}
    return subprocess.run([SCRIPT, *packages], env=environment, capture_output=True, text=True, timeout=60)


def test_ordinary_user_is_told_the_command_that_installs_what_is_missing(tmp_path):
    result = ran(tmp_path, 1000, "not-installed")

    assert result.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends gcc libc6-dev prometheus ripgrep ipmitool" in result.stderr
    assert not (tmp_path / "calls").exists()


def test_nothing_is_done_where_nothing_is_missing(tmp_path):
    result = ran(tmp_path, 0, "installed")

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert not (tmp_path / "calls").exists()


def test_what_apt_refuses_is_tried_again(tmp_path):
    """Its lists may be locked by another process."""
    refuses_twice = f"echo locked; [ $(wc -l < {tmp_path}/calls) -gt 4 ] || exit 100"

    result = ran(tmp_path, 0, "not-installed", "nothing", apt_get=refuses_twice)

    assert result.returncode == 0
    assert [line.split()[1] for line in (tmp_path / "calls").read_text().splitlines()] == ["update", "install"] * 3
    assert result.stdout == "installing Debian packages: nothing\n"


def test_what_apt_goes_on_refusing_fails(tmp_path):
    result = ran(tmp_path, 0, "not-installed", "nothing", apt_get="echo no room; exit 100")

    assert result.returncode == 1
    assert result.stderr.endswith("no room\n")
