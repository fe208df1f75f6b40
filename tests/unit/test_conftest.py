import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
MARKERS = "[pytest]\nmarkers =\n    integration: real\n"
SKIPPED = "import pytest\n@pytest.mark.integration\ndef test_it():\n    pytest.skip('no database')\n"
SKIPPED_UNIT = "import pytest\ndef test_it():\n    pytest.skip('not here')\n"
SKIPPED_MODULE = "import pytest\npytest.skip('no database', allow_module_level=True)\n"
EXPECTED_FAILURE = "import pytest\n@pytest.mark.integration\n@pytest.mark.xfail\ndef test_it():\n    assert False\n"


def ran(folder: Path, source: str, ci: str) -> subprocess.CompletedProcess[str]:
    (folder / "integration").mkdir()
    (folder / "integration" / "test_it.py").write_text(source)
    (folder / "pytest.ini").write_text(MARKERS)
    shutil.copy(CONFTEST, folder)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"]
    environment = {**os.environ, "CI": ci}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("source", [SKIPPED, SKIPPED_MODULE])
def test_skipped_integration_test_fails_where_ci_is_true(tmp_path, source):
    result = ran(tmp_path, source, ci="true")

    assert result.returncode != 0
    assert "must not be skipped with CI=true" in result.stdout
    assert "no database" in result.stdout


@pytest.mark.parametrize(("source", "ci"), [(SKIPPED, ""), (SKIPPED_UNIT, "true"), (EXPECTED_FAILURE, "true")])
def test_other_skips_stay_skips(tmp_path, source, ci):
    result = ran(tmp_path, source, ci)

    assert result.returncode == 0, result.stdout
