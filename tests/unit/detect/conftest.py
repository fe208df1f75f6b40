from pathlib import Path

import pytest

import clusterwatch.detect
from clusterwatch.detect import Catalog, compile_catalog

CATALOG_FOLDER = Path(clusterwatch.detect.__file__).parent / "catalog"


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return compile_catalog({path.name: path.read_text() for path in sorted(CATALOG_FOLDER.glob("*.toml"))})
