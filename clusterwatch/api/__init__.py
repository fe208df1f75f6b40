"""HTTP: health, metrics and the page, on loopback."""

from clusterwatch.api.application import create_app
from clusterwatch.api.health import Health
from clusterwatch.api.serving import Server, serve

__all__ = ["Health", "Server", "create_app", "serve"]
