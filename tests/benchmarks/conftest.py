"""A real server to measure on."""

from __future__ import annotations

from postgres_server import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]
