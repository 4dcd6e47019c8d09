"""Tests of the OpenAPI description against a SecureNet that runs; `make test-schema`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.site import Site
from tests.schema.site import described_site, description


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two web processes, a worker, Redis and a database, with rows of each kind."""
    with described_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="session")
def openapi(site: Site) -> dict[str, Any]:
    """The description that the site hands out."""
    return description(site)


@pytest.fixture(scope="session")
def generated_client(tmp_path_factory: pytest.TempPathFactory, openapi: dict[str, Any]) -> Path:
    """A folder with the package ``securenet_client``, generated from the description."""
    from tests.schema.generating import generate_client

    return generate_client(openapi, tmp_path_factory.mktemp("generated"))
