"""Generated requests for every operation: what comes back is what the description says, whatever was sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.site import Site
from tests.schema.fuzzing import explain, fuzz
from tests.schema.site import described_site, description

pytestmark = pytest.mark.schema

EXAMPLES = 20
METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One of their own: what is generated also changes and deletes what other tests need."""
    with described_site(tmp_path_factory.mktemp("fuzzed")) as site:
        yield site


@pytest.fixture(scope="module")
def openapi(site: Site) -> dict[str, Any]:
    """The description that it hands out."""
    return description(site)


def operations(openapi: dict[str, Any]) -> int:
    return sum(len(METHODS & item.keys()) for item in openapi["paths"].values())


def assert_sound(report: dict[str, Any], openapi: dict[str, Any]) -> None:
    assert report["failures"] == [], explain(report)
    assert report["complete"] and report["exit_code"] == 0, explain(report)
    assert report["operations"]["errored"] == report["operations"]["skipped"] == 0, explain(report)
    assert report["operations"]["tested"] == operations(openapi) > 30


def test_every_operation_answers_a_platform_owner_as_described(
    site: Site, openapi: dict[str, Any], tmp_path: Path
) -> None:
    report = fuzz(site, tmp_path, username="platform-owner", examples=EXAMPLES, phases="coverage,fuzzing")
    print(f"{report['test_cases']['generated']} requests in {report['running_time']:.0f} s")
    assert_sound(report, openapi)


@pytest.mark.parametrize("username", ["viewer", ""], ids=["viewer", "anonymous"])
def test_every_operation_refuses_others_as_described(
    site: Site, openapi: dict[str, Any], tmp_path: Path, username: str
) -> None:
    report = fuzz(site, tmp_path, username=username, examples=4, phases="fuzzing")
    print(f"{report['test_cases']['generated']} requests in {report['running_time']:.0f} s")
    assert_sound(report, openapi)
