"""The examples of docs/api-clients.md do what the document says, in its order, against a SecureNet that runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from securenet.run.config import PROJECT_DIR
from tests.acceptance.site import PASSWORD, Site
from tests.schema.generating import CONFIG

pytestmark = pytest.mark.schema

DOCUMENT = PROJECT_DIR / "docs" / "api-clients.md"
# What every reader puts in.
OWN_VALUES = {"http://127.0.0.1:8000": "{url}", "the password that make run printed": PASSWORD}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_the_python_examples_run(site: Site, generated_client: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "\n".join(blocks("python"))
    for theirs, ours in OWN_VALUES.items():
        assert theirs in code
        code = code.replace(theirs, ours.format(url=site.url_a))
    monkeypatch.setattr(sys, "path", [str(generated_client), *sys.path])
    names: dict[str, Any] = {}
    exec(compile(code, DOCUMENT.name, "exec"), names)
    assert names["findings"] and {finding["severity"] for finding in names["findings"]} == {"high"}


def test_the_configuration_is_the_one_that_is_tested() -> None:
    (text,) = blocks("yaml")
    assert yaml.safe_load(text) == CONFIG


def test_the_commands_name_the_release_that_is_tested() -> None:
    (pinned,) = re.findall(r"^openapi-python-client==\S+", (PROJECT_DIR / "requirements-schema.in").read_text(), re.M)
    assert any(f"pip install {pinned}\n" in block for block in blocks("sh"))


def test_the_address_of_the_description_answers_json(site: Site) -> None:
    with site.client() as client:
        assert json.loads(client.get("/api/schema?format=json").content)["openapi"].startswith("3.1")
