"""What the environment decides: folders, secrets, databases and the Redis address.

Settings read every variable here and nowhere else, so the README's table of variables is this file.
"""

import os
import secrets
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

from securenet import pooling
from securenet.redis_urls import (
    RedisAddress,
    SentinelService,
    Server,
    UnusableUrl,
    parse_jobs_url,
    parse_redis_url,
)

PROJECT_DIR = Path(__file__).resolve().parent.parent


class _VariablesAndFiles(FileAwareMapping):
    """The environment, where ``NAME_FILE=/run/secrets/name`` says that the value of NAME stands in that file."""

    def __getitem__(self, name: str) -> str:
        if not (path := self.env.get(f"{name}_FILE")):
            return str(self.env[name])
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE is {path!r}, which cannot be read: {error.strerror}.") from None


class _Environment(environ.Env):
    ENVIRON = _VariablesAndFiles()


env = _Environment()


def is_production() -> bool:
    """True under ``SECURENET_ENV=production``; anything but that or ``development`` is refused."""
    name = env.str("SECURENET_ENV", default="development")
    if name not in {"development", "production"}:
        raise ImproperlyConfigured(f"SECURENET_ENV is {name!r}; set it to 'development' or 'production'.")
    return name == "production"


def data_dir() -> Path:
    """The folder of database, Redis files, logs and secrets (``SECURENET_DATA_DIR``, default ``var/``)."""
    return Path(env.str("SECURENET_DATA_DIR", default=str(PROJECT_DIR / "var"))).resolve()


def secret_key() -> str:
    """Return ``SECRET_KEY``, or outside production one that is made once and kept in the data folder.

    Raises:
        ImproperlyConfigured: in production without ``SECRET_KEY``.
    """
    if given := env.str("SECRET_KEY", default=""):
        return given
    if is_production():
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Production needs one of its own: "
            "python -c 'import secrets; print(secrets.token_urlsafe(64))'"
        )
    return kept_secret(data_dir() / "secret_key")


def kept_secret(path: Path) -> str:
    """Read the secret in ``path``, making file and secret (mode 0600) where there is none.

    Several processes may start at once: the file appears whole, by a link that only one of them wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first: its secret is the one to use
        finally:
            draft.unlink()
    return path.read_text().strip()


def database() -> dict[str, object]:
    """Django's database settings from ``DATABASE_URL``; SQLite in WAL mode in the data folder without it."""
    if env.str("DATABASE_URL", default=""):
        settings: dict[str, object] = dict(env.db_url("DATABASE_URL"))
    else:
        settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(data_dir() / "securenet.sqlite3")}
    if settings["ENGINE"] == "django.db.backends.sqlite3":
        settings["OPTIONS"] = {
            # Writers queue for the lock at BEGIN instead of failing half-way through a transaction.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # Each thread has a connection, and each connection caches of its own: of statements, and of pages (2 MB if
            # nothing is said) beside the kernel's, which all share.
            "cached_statements": 32,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-256;",
        }
        settings["CONN_MAX_AGE"] = None
        return settings
    settings["CONN_HEALTH_CHECKS"] = True
    if size := pool_size():
        return pooling.pooled(settings, size)
    settings.setdefault("CONN_MAX_AGE", 60)
    return settings


def pool_size() -> int:
    """``DATABASE_POOL_SIZE``: connections that the threads of one process share; 0, the default: one for each thread.

    Raises:
        ImproperlyConfigured: it is no whole number from 0 on.
    """
    text: str = env.str("DATABASE_POOL_SIZE", default="") or "0"
    if not (text.isascii() and text.isdigit()):
        raise ImproperlyConfigured(f"DATABASE_POOL_SIZE is {text!r}; set it to a number of connections, or to 0.")
    return int(text)


def time_zone(name: str) -> str:
    """A zone of the IANA time zone database; UTC unless set.

    Raises:
        ImproperlyConfigured: there is no such zone.
    """
    zone: str = env.str(name, default="UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ImproperlyConfigured(f"{name} is {zone!r}; write a time zone such as Europe/Berlin.") from error
    return zone


def log_files() -> list[str]:
    """The log files that are followed: ``LOG_FILES``, absolute paths with colons between them, perhaps with ``*``.

    Raises:
        ImproperlyConfigured: a path is relative: workers and commands run in different folders.
    """
    paths = [path for path in env.str("LOG_FILES", default="").split(":") if path]
    for path in paths:
        if not os.path.isabs(path):
            raise ImproperlyConfigured(f"LOG_FILES names {path!r}; write the whole path, from / on.")
    return paths


def log_format(production: bool) -> str:
    """``LOG_FORMAT``: ``json``, for programs, or ``line``, for people.

    Raises:
        ImproperlyConfigured: it is neither.
    """
    name = env.str("LOG_FORMAT", default="json" if production else "line")
    if name not in ("json", "line"):
        raise ImproperlyConfigured(f"LOG_FORMAT is {name!r}; set it to 'json' or 'line'.")
    return name


def redis_address() -> RedisAddress:
    """Where policies, limits and cache are: ``REDIS_URL``, by default the socket that ``make run`` opens.

    Raises:
        ImproperlyConfigured: it has none of the forms that `securenet.redis_urls` knows.
    """
    try:
        return parse_redis_url(_redis_url(), "REDIS_URL")
    except UnusableUrl as error:
        raise ImproperlyConfigured(str(error)) from None


def jobs_redis_address() -> Server | SentinelService:
    """Where the messages for job workers are: ``JOBS_REDIS_URL``, by default ``REDIS_URL``.

    Raises:
        ImproperlyConfigured: it is a Redis Cluster, or has none of the forms that `securenet.redis_urls` knows.
    """
    own = env.str("JOBS_REDIS_URL", default="")
    try:
        return parse_jobs_url(own or _redis_url(), "JOBS_REDIS_URL" if own else "REDIS_URL")
    except UnusableUrl as error:
        raise ImproperlyConfigured(str(error)) from None


def _redis_url() -> str:
    return env.str("REDIS_URL", default="") or f"unix://{data_dir() / 'redis' / 'redis.sock'}?db=0"
