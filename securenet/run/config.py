"""What the environment asks of `make run`. Every value is checked here, before anything is started."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from securenet.redis_urls import UnusableUrl, parse_jobs_url, parse_redis_url
from securenet.run.messages import CannotRun

PROJECT_DIR = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class RunConfig:
    """How SecureNet is to be run.

    Attributes:
        host: Address the web server listens on (``HOST``).
        port: Its TCP port (``PORT``).
        data_dir: Folder of database, Redis files, logs and secrets (``SECURENET_DATA_DIR``).
        redis_url: A Redis that runs elsewhere (``REDIS_URL``); None: start one.
        jobs_redis_url: A Redis of their own for the messages of jobs (``JOBS_REDIS_URL``); None: the same.
        web_workers: Processes of the web server (``WEB_WORKERS``).
        web_threads: Threads in each of them (``WEB_THREADS``); each may hold a database connection.
        job_workers: Processes that carry out jobs (``JOB_WORKERS``); 0: none.
    """

    host: str
    port: int
    data_dir: Path
    redis_url: str | None
    jobs_redis_url: str | None
    web_workers: int
    web_threads: int
    job_workers: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "RunConfig":
        """Read the variables above; one that is empty counts as not set.

        Raises:
            CannotRun: A value cannot be used.
        """
        redis_url, jobs_redis_url = environment.get("REDIS_URL") or None, environment.get("JOBS_REDIS_URL") or None
        _check_redis_urls(redis_url, jobs_redis_url)
        return cls(
            host=environment.get("HOST") or "127.0.0.1",
            port=_number(environment, "PORT", default=8000, least=1, most=65535),
            data_dir=Path(environment.get("SECURENET_DATA_DIR") or PROJECT_DIR / "var").expanduser().resolve(),
            redis_url=redis_url,
            jobs_redis_url=jobs_redis_url,
            web_workers=_number(environment, "WEB_WORKERS", default=2, least=1, most=256),
            web_threads=_number(environment, "WEB_THREADS", default=16, least=1, most=512),
            job_workers=_number(environment, "JOB_WORKERS", default=2, least=0, most=256),
        )

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "log"

    @property
    def url(self) -> str:
        """Where a browser on this machine finds SecureNet."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
        host = everywhere.get(self.host) or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"http://{host}:{self.port}/"

    def child_environment(self, redis_url: str) -> dict[str, str]:
        """Return the environment of every process that is started: the given one, with the choices made."""
        return {
            **os.environ,
            "HOST": self.host,
            "PORT": str(self.port),
            "SECURENET_DATA_DIR": str(self.data_dir),
            "REDIS_URL": redis_url,
            "WEB_WORKERS": str(self.web_workers),
            "WEB_THREADS": str(self.web_threads),
            "JOB_WORKERS": str(self.job_workers),
            "PYTHONUNBUFFERED": "1",
        }


def _check_redis_urls(redis_url: str | None, jobs_redis_url: str | None) -> None:
    try:
        if redis_url:
            parse_redis_url(redis_url, "REDIS_URL")
        if jobs_redis_url:
            parse_jobs_url(jobs_redis_url, "JOBS_REDIS_URL")
        elif redis_url:
            parse_jobs_url(redis_url, "REDIS_URL")
    except UnusableUrl as error:
        raise CannotRun(str(error)) from None


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise CannotRun(f"{name} is {text!r}; set it to a whole number from {least} to {most}.")
    return int(text)
