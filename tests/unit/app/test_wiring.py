import pytest

from clusterwatch.app.wiring import catalog_of
from clusterwatch.config import Settings
from clusterwatch.errors import CatalogError
from clusterwatch.model import Role, Severity


def test_xids_are_judged_by_the_profile_of_the_settings() -> None:
    ours = catalog_of(Settings()).knowledge["gpu.xid.63"]
    theirs = catalog_of(Settings(detect={"profile": "gpud"})).knowledge["gpu.xid.63"]

    assert (ours.severity, ours.role) == (Severity.WARNING, Role.SUSPECT)
    assert (theirs.severity, theirs.role) == (Severity.FATAL, Role.FAULT)
    assert theirs.weights == ours.weights


def test_profile_that_nobody_knows_is_named_with_those_there_are() -> None:
    with pytest.raises(CatalogError, match=r"no profile 'vendor'; known are clusterwatch, nvidia, nvsentinel, gpud"):
        catalog_of(Settings(detect={"profile": "vendor"}))
