"""The catalogue that ships, compiled once for all tests of a process."""

from __future__ import annotations

from functools import cache

from clusterwatch import resources
from clusterwatch.app.offline import offline_catalog
from clusterwatch.detect import Catalog, compile_catalog


@cache
def shipped_catalog() -> Catalog:
    """Return the catalogue as an agent has it, without rules of a site."""
    return compile_catalog(resources.catalog_texts())


@cache
def shipped_log_catalog() -> Catalog:
    """Return the catalogue as it is used for logs that nobody prepared: without the rules that only tell progress."""
    return offline_catalog()
