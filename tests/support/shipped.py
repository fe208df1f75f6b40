"""The catalogue and the policies that ship, compiled once for all tests of a process."""

from __future__ import annotations

from functools import cache

from clusterwatch import resources
from clusterwatch.app.offline import offline_catalog
from clusterwatch.app.wiring import policy_of
from clusterwatch.detect import Catalog, compile_catalog
from clusterwatch.pipeline import Limits
from clusterwatch.policy import Limits as Brakes
from clusterwatch.policy import Policy


@cache
def shipped_catalog() -> Catalog:
    """Return the catalogue as an agent has it, without rules of a site."""
    return compile_catalog(resources.catalog_texts())


@cache
def shipped_log_catalog() -> Catalog:
    """Return the catalogue as it is used for logs that nobody prepared: without the rules that only tell progress."""
    return offline_catalog()


@cache
def shipped_policy(name: str = "default") -> Policy:
    """Return the built-in policy *name*."""
    return policy_of(name)


def shipped_limits(policy: str = "default", **brakes: object) -> Limits:
    """Return the limits of every stage, with a built-in policy and *brakes* other than usual."""
    return Limits(policy=Brakes(policy=shipped_policy(policy), **brakes))  # type: ignore[arg-type] # as tests name them
