"""`make run` with a Redis Cluster and Sentinels that are there already."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest
import redis

from tests.servers.cluster import LIMITS_KEY, redis_cluster
from tests.servers.ports import free_port
from tests.servers.securenet import SecureNet, securenet, until
from tests.servers.sentinel import redis_sentinel

PASSWORD = "correct-horse-7"


def test_uses_the_cluster_and_the_sentinel_service_it_is_given(tmp_path: Path) -> None:
    with redis_cluster() as cluster, redis_sentinel() as jobs:
        urls = {"REDIS_URL": cluster.url, "JOBS_REDIS_URL": jobs.url, "SECURENET_ADMIN_PASSWORD": PASSWORD}
        with securenet(tmp_path / "data", **urls) as run:
            run.await_ready()
            assert run.processes("unixsocket") == set()
            assert not (tmp_path / "data" / "redis").exists()
            assert ", given by REDIS_URL." in run.output
            assert ", given by JOBS_REDIS_URL." in run.output
            with redis.Redis.from_url(jobs.primary.url) as server:
                assert server.scard("rq:workers") == 1
            with redis.Redis(port=cluster.owner_of(LIMITS_KEY).port or 0) as node:
                until(lambda: node.exists(f"{LIMITS_KEY}:revision"), 10, run.explain)  # with the first recovery pass
            # The first scan and analysis, with which every installation begins.
            with admin_of(run) as admin:
                until(lambda: job_states(admin) == ["completed", "completed"], 30, run.explain)


def admin_of(run: SecureNet) -> httpx.Client:
    """An API client that is signed in as the first admin."""
    answer = httpx.post(f"{run.url}/api/auth/token", json={"username": "admin", "password": PASSWORD})
    return httpx.Client(base_url=run.url, headers={"Authorization": f"Bearer {answer.json()['access']}"})


def job_states(admin: httpx.Client) -> list[str]:
    """The states of all jobs, as the API tells the admin."""
    return sorted(job["status"] for job in admin.get("/api/performance/background-job").json()["results"])


def test_a_cluster_alone_is_refused_because_of_the_jobs(tmp_path: Path) -> None:
    output = refuses(tmp_path / "data", REDIS_URL="redis+cluster://app:secret@127.0.0.1:7000")
    assert "REDIS_URL is 'redis+cluster://app:***@127.0.0.1:7000', but the job queues of RQ do not work" in output
    assert "set JOBS_REDIS_URL to redis://" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "form", ["redis+sentinel://:secret@127.0.0.1:{}/main/0", "redis+cluster://:secret@127.0.0.1:{}"]
)
def test_a_service_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path, form: str) -> None:
    jobs_url = f"redis://127.0.0.1:{free_port()}"
    output = refuses(tmp_path / "data", JOBS_REDIS_URL=jobs_url, REDIS_URL=form.format(free_port()))
    assert f"Redis cannot be reached at {jobs_url}" in output
    assert "correct JOBS_REDIS_URL" in output
    with redis_sentinel() as jobs:
        output = refuses(tmp_path / "data", JOBS_REDIS_URL=jobs.url, REDIS_URL=form.format(free_port()))
    assert "Redis cannot be reached at redis+" in output
    assert "correct REDIS_URL" in output
    assert "secret" not in output
    assert "Traceback" not in output


def refuses(data_dir: Path, **environment: str) -> str:
    """Start SecureNet; returns what it says before it ends with exit code 1."""
    run = SecureNet(data_dir, **environment)
    try:
        assert run.await_end(within=30) == 1
    except subprocess.TimeoutExpired:
        run.process.kill()
        raise
    return run.output
