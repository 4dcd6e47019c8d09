"""Answers a container's or a pod's question after its health, without curl: `healthcheck.py web|worker`.

``web`` asks /livez (another path may be given); ``worker`` looks in RQ's register for a worker of this host.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
from pathlib import Path

import redis
from rq import Worker

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from securenet import environment

TIME_OUT = 3.0  # seconds


def web(path: str = "/livez") -> str:
    """Why the web server in this container is not well; "" if it is."""
    # The server refuses names that are not its own.
    name = environment.env.list("ALLOWED_HOSTS", default=["localhost"])[0].lstrip(".")
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT") or 8000), timeout=TIME_OUT)
    try:
        connection.request("GET", path, headers={"Host": name})
        answer = connection.getresponse()
        return "" if answer.status == http.HTTPStatus.OK else f"{path} answers {answer.status}: {answer.read(500)!r}"
    except (OSError, http.client.HTTPException) as error:
        return f"{path} does not answer: {error}"
    finally:
        connection.close()


def worker() -> str:
    """Why no job worker of this host is on duty; "" if one is."""
    client = environment.jobs_redis_address().client(TIME_OUT)
    try:
        here = [found.name for found in Worker.all(connection=client) if found.hostname == socket.gethostname()]
        return "" if here else f"No worker of {socket.gethostname()} has reported for duty."
    except redis.RedisError as error:
        return f"Redis does not answer: {error}"
    finally:
        client.close()


def main(arguments: list[str]) -> int:
    match arguments:
        case ["web", *path] if len(path) < 2:
            complaint = web(*path)
        case ["worker"]:
            complaint = worker()
        case _:
            complaint = "Usage: healthcheck.py web [PATH] | worker"
    if complaint:
        print(complaint, file=sys.stderr)
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
