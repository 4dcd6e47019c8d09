"""The view's own word on freshness, judged by another process than the one whose view said it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from securenet.run.config import PROJECT_DIR
from securenet.run.redis_server import RedisServer
from tests.chaos.load import Servers, database_url
from tests.integration.helpers import given_cache_policy
from tests.integration.test_response_cache import age_entries


class Process:
    """A process of its own that answers the paths it is given."""

    CODE = """
import django
from django.conf import settings
settings.ROOT_URLCONF, settings.ALLOWED_HOSTS = "tests.integration.trap_views", ["*"]
django.setup()
from tests.integration.trap_views import answer_paths
answer_paths()
"""

    def __init__(self, servers: Servers) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.CODE],
            cwd=PROJECT_DIR,
            env=servers.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def get(self, path: str) -> dict[str, Any]:
        """Status, body and headers of the answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(path + "\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(stdout.readline())
        return answer


class TestTheViewsOwnFreshnessAcrossTwoProcesses:
    """One process computes, the other has to judge the entry by what the first one's view said."""

    # Cache-Control, and for how many seconds the answer may be shared: 0 not at all, None as the policy says (100 s).
    SAYS = {
        "max-age=1000": 1000,
        'max-age="1000"': 1000,
        "MAX-AGE = 1000": 1000,
        "max-age=1, S-MaxAge=1000": 1000,
        "s-maxage=0, max-age=1000": 0,
        "max-age=1000, max-age=5000": 1000,
        "max-age=1.5": 0,
        'max-age="1.5"': 0,
        "max-age=a100": 0,
        "max-age=-1": 0,
        "a100": None,
        "max-age 1000": 0,
        "PRIVATE, max-age=1000": 0,
        'private="X-Colour, X-Size", max-age=1000': 0,
        "No-Cache, max-age=1000": 0,
        'no-cache="X-Colour", max-age=1000': 0,
        'max-age=1000, ext="no-store, private"': 1000,
        "public": None,
        "": None,
    }

    @pytest.fixture
    def pair(self, redis: RedisServer, tmp_path: Path) -> Iterator[list[Process]]:
        given_cache_policy(ttl=100, honour_origin_headers=True)
        servers = Servers(redis.url, database_url(), tmp_path, processes=2)
        with ExitStack() as stack:
            yield [stack.enter_context(Process(servers)) for _ in range(2)]

    def test_it_is_the_views(self, pair: list[Process]) -> None:
        one, other = pair
        computed = {says: one.get(_saying(says)) for says in self.SAYS}
        served = {says: other.get(_saying(says)) for says in self.SAYS}
        for says, seconds in self.SAYS.items():
            assert computed[says]["status"] == served[says]["status"] == 200
            assert (computed[says]["body"] == served[says]["body"]) == (seconds != 0), says
            if says and seconds != 0:
                assert served[says]["headers"]["Cache-Control"] == says, "what is kept is kept with its word"
        age_entries(200)
        for says, seconds in self.SAYS.items():
            later = other.get(_saying(says))
            assert (later["body"] == computed[says]["body"]) == (seconds == 1000), says
            if seconds == 1000:
                assert int(later["headers"]["Age"]) in range(200, 300)
        age_entries(900)
        again = {says: one.get(_saying(says))["body"] for says in self.SAYS}
        assert not [says for says in self.SAYS if again[says] == computed[says]["body"]]


def _saying(cache_control: str) -> str:
    return f"/api/shaped?Cache-Control={quote(cache_control)}" if cache_control else "/api/shaped?X-Colour=blue"
