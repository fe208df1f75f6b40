"""Real servers for the tests."""

from __future__ import annotations

from postgres_server import empty_postgres_url, postgres_server, postgres_url

__all__ = ["empty_postgres_url", "postgres_server", "postgres_url"]
