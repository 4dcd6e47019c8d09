"""Security tests run as the integration tests do: one process, a real Redis, a real database with real commits."""

from __future__ import annotations

from tests.integration.conftest import fresh_process  # noqa: F401  (a fixture for every test here)
