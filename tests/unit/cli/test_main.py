from __future__ import annotations

import subprocess
import sys

import pytest

from clusterwatch.cli import exit_code_of, main
from clusterwatch.errors import AmbiguousIdError, ClusterWatchError, ConfigError, LeaseLostError, Mistake, StoreError

HEAVY = {"alembic", "fastapi", "pydantic", "pydantic_settings", "rich", "sqlalchemy", "structlog", "uvicorn"}


def test_nothing_heavy_is_imported_before_a_command_needs_it() -> None:
    script = "import sys, clusterwatch.cli; print('\\n'.join({name.partition('.')[0] for name in sys.modules}))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) & HEAVY == set()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--version"], 0), (["-h"], 0), (["jobs", "-h"], 0), (["nosuch"], 2), (["jobs", "list", "--limit", "0"], 2)],
)
def test_shell_is_told(arguments: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == code


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])

    assert capsys.readouterr().out == "clusterwatch 0.1.0\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("flags", [Mistake("node", "is empty")]), 2),
        (StoreError("gone"), 3),
        (LeaseLostError("gone"), 3),
        (AmbiguousIdError("two"), 1),
        (ClusterWatchError("no such job"), 1),
    ],
)
def test_exit_code_says_whose_fault_it_is(error: ClusterWatchError, code: int) -> None:
    assert exit_code_of(error) == code
