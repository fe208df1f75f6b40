import pytest

from clusterwatch.detect import Catalog
from shipped import shipped_catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return shipped_catalog()
