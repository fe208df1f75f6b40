"""TOML file, environment and flags to settings."""

from clusterwatch.config.loading import DEFAULT_FILE, load
from clusterwatch.config.reference import reference_markdown
from clusterwatch.config.settings import CollectorSettings, JobSettings, Settings

__all__ = ["DEFAULT_FILE", "CollectorSettings", "JobSettings", "Settings", "load", "reference_markdown"]
