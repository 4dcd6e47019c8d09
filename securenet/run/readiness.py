"""Is SecureNet ready? Asks the web server as a client would, and Redis which workers have reported for duty."""

import http.client
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

import redis
from rq import Worker

from securenet.redis_urls import parse_jobs_url
from securenet.run.config import RunConfig


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything answers."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """Something does not answer yet; ``reason`` names it."""

    reason: str


def readiness(config: RunConfig, jobs_redis_url: str, worker_pids: Collection[int]) -> Ready | NotReady:
    """Ask ``/readyz``, and look for each of our job workers in RQ's register.

    ``/readyz`` alone would not do: after a crash the register still knows the workers of the last run for a while.

    Args:
        jobs_redis_url: Where RQ's register is.
        worker_pids: Process ids of the job workers that were started.
    """
    address = urlsplit(config.url)
    connection = http.client.HTTPConnection(address.hostname or "", config.port, timeout=1)
    try:
        connection.request("GET", "/readyz", headers={"Host": _host_header(config)})
        answer = connection.getresponse()
        body = answer.read(2048).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return NotReady(f"the web server does not answer ({error})")
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        return NotReady(f"/readyz answers {answer.status}: {body}")
    if missing := len(set(worker_pids) - registered_workers(jobs_redis_url)):
        return NotReady(f"{missing} of {len(worker_pids)} job workers have not reported for duty")
    return Ready()


def _host_header(config: RunConfig) -> str:
    """A host name that Django will accept: the first of ALLOWED_HOSTS, where that is set."""
    allowed = [name.strip().lstrip(".") for name in os.environ.get("ALLOWED_HOSTS", "").split(",")]
    name = next((name for name in allowed if name and name != "*"), None)
    return name or urlsplit(config.url).netloc


def registered_workers(jobs_redis_url: str) -> set[int]:
    """Return the process ids of the job workers on this machine that RQ's register knows."""
    client = parse_jobs_url(jobs_redis_url, "JOBS_REDIS_URL").client(time_out=2)
    try:
        ours = [worker for worker in Worker.all(connection=client) if worker.hostname == socket.gethostname()]
        return {worker.pid for worker in ours if worker.pid is not None}
    except redis.RedisError:
        return set()  # Redis is away for a moment; the next look will tell
    finally:
        client.close()
