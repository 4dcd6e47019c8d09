"""The package made of `perf/`: what is in it, and a new Django project that has nothing else.

Needs the package index, as `make install` does.
"""

from __future__ import annotations

import email
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from securenet.run.child import Child
from securenet.run.config import PROJECT_DIR
from tests.servers.ports import free_port
from tests.servers.redis import redis_server
from tests.servers.securenet import until

pytestmark = pytest.mark.slow

THREE_LINES = """
from perf.conf import configure
INSTALLED_APPS += ["rest_framework", "perf", "django_rq"]
configure(globals(), redis="{redis}")
"""
URLS = """
from django.contrib import admin
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.caching import cache_api_response


class Products(APIView):
    @cache_api_response(shared_by="everyone")
    def get(self, request):
        return Response({"products": ["lamp", "chair"]})


urlpatterns = [path("admin/", admin.site.urls), path("api/products", Products.as_view(), name="products")]
"""
PEOPLE_AND_POLICIES = """
from django.contrib.auth import get_user_model
from perf.models import CachePolicy, RateLimitPolicy

get_user_model().objects.create_superuser("ops", password="correct horse battery")
CachePolicy.objects.create(name="products", route="/api/products", ttl=600, shared_by="everyone")
RateLimitPolicy.objects.create(name="visitors", route="/api/*", limit=3, period=3600, count_by="ip")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, PROJECT_DIR]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_perf_whole_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    here = {
        str(path.relative_to(PROJECT_DIR))
        for path in (PROJECT_DIR / "perf").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert here >= {"perf/py.typed", "perf/gate/scripts/gate.lua", "perf/static/perf/admin.css"}
    assert {name for name in packed if ".dist-info/" not in name} == here
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in packed)


def test_description_is_what_the_readme_says_of_other_projects(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    text = metadata.get_payload()
    assert isinstance(text, str)
    assert text.startswith("## `perf` in a project of your own")
    assert "](perf/" not in text
    assert [line for line in THREE_LINES.splitlines()[1:3] if line not in text] == []
    assert metadata["Description-Content-Type"] == "text/markdown"


class Project:
    """What `django-admin startproject` makes, in a virtual environment with the wheel alone."""

    def __init__(self, folder: Path, wheel: Path, redis_url: str) -> None:
        environment = folder / "venv"
        self.python = environment / "bin" / "python"
        self.folder = folder / "shop"
        self.folder.mkdir()
        self._run(sys.executable, "-m", "venv", environment)
        self._run(self.python, "-m", "pip", "install", "--quiet", wheel)
        self._run(environment / "bin" / "django-admin", "startproject", "shop", self.folder)
        settings = self.folder / "shop" / "settings.py"
        settings.write_text(settings.read_text() + THREE_LINES.format(redis=redis_url))
        (self.folder / "shop" / "urls.py").write_text(URLS)

    def manage(self, *arguments: str) -> str:
        return self._run(self.python, "manage.py", *arguments)

    def _run(self, *command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.variables(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    @staticmethod
    def variables() -> dict[str, str]:
        """The environment without what would lead to SecureNet, its settings and its modules."""
        ours = {"PYTHONPATH", "DJANGO_SETTINGS_MODULE", "VIRTUAL_ENV"}
        return {name: value for name, value in os.environ.items() if name not in ours}


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with redis_server() as redis:
        yield Project(tmp_path_factory.mktemp("project"), wheel, redis.url)


def test_three_lines_of_settings_limit_and_cache_a_view_of_a_new_project(project: Project) -> None:
    assert "no issues" in project.manage("check")
    assert "No changes detected" in project.manage("makemigrations", "--check", "--dry-run", "perf")
    project.manage("migrate", "--verbosity", "0")
    project.manage("shell", "-c", PEOPLE_AND_POLICIES)

    port = free_port()
    log = project.folder / "server.log"
    server = Child(
        "runserver",
        [project.python, "manage.py", "runserver", "--noreload", str(port)],
        log=log,
        environment=project.variables(),
        directory=project.folder,
    )
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            until(lambda: answers(client) or not server.is_running, 60, log.read_text)
            policies_decide(client)
            admin_is_there(client)
    finally:
        server.stop(grace=5)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/admin/login/").status_code == 200
    except httpx.TransportError:
        return False


def policies_decide(client: httpx.Client) -> None:
    first, second, third, fourth = (client.get("/api/products") for _ in range(4))
    assert [answer.status_code for answer in (first, second, third, fourth)] == [200, 200, 200, 429], fourth.text
    assert "hit" not in first.headers["Cache-Status"]
    assert second.headers["Cache-Status"].startswith("perf; hit; ttl=")
    assert second.json() == first.json() == {"products": ["lamp", "chair"]}
    assert third.headers["RateLimit-Policy"] == '"visitors";q=3;w=3600'
    assert int(fourth.headers["Retry-After"]) > 0
    assert fourth.headers["Content-Type"] == "application/problem+json"


def admin_is_there(client: httpx.Client) -> None:
    client.get("/admin/login/")
    signed_in = client.post(
        "/admin/login/",
        data={
            "username": "ops",
            "password": "correct horse battery",
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
        },
    )
    assert signed_in.status_code == 302, signed_in.text
    page = client.get("/admin/perf/ratelimitpolicy/")
    assert "visitors" in page.text
    assert "/static/perf/lists.css" in page.text
    assert client.get("/static/perf/lists.css").status_code == 200
