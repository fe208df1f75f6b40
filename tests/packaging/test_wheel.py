"""What a user installs: the wheel, from somewhere else than the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CHECKOUT]
    built = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_wheel_holds_our_packages_and_nothing_else_at_the_top(wheel: Path):
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    packages = {name for name in names if not name.endswith(".dist-info")}

    assert packages == {"clusterwatch", "collectors", "simulators", "dashboards"}


def test_every_migration_is_in_the_wheel(wheel: Path):
    written = {path.name for path in (CHECKOUT / "alembic" / "versions").glob("*.py")}

    shipped = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if "_migrations/versions/" in name}

    assert written
    assert written <= shipped
    assert "clusterwatch/_migrations/env.py" in zipfile.ZipFile(wheel).namelist()


def test_every_table_of_the_simulators_is_in_the_wheel(wheel: Path):
    written = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "simulators").rglob("*.toml")}

    assert len(written) > 20
    assert written <= set(zipfile.ZipFile(wheel).namelist())


def test_database_is_made_by_the_installed_wheel_in_another_folder(installed: Path, tmp_path: Path):
    # -S keeps the checkout's own editable install out; the dependencies come from the folder that holds them.
    dependencies = os.pathsep.join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    environment = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{dependencies}"}
    command = [sys.executable, "-S", "-m", "clusterwatch", "db", "upgrade", "--database", "sqlite:///x.db"]

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "x.db").stat().st_size > 0


def test_installed_wheel_uses_its_own_migrations(installed: Path, tmp_path: Path):
    dependencies = os.pathsep.join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    environment = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{dependencies}"}
    command = [sys.executable, "-S", "-c", "from clusterwatch.store.migrations import folder; print(folder())"]

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert Path(done.stdout.strip()) == installed / "clusterwatch" / "_migrations", done.stderr
