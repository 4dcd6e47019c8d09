"""What must be right before anything is started; each check says what to do where it is not."""

import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException

from securenet.redis_urls import FORMS, RedisAddress, parse_redis_url
from securenet.run.config import RunConfig
from securenet.run.messages import CannotRun, say, without_password
from securenet.run.redis_binary import OLDEST_VERSION


def prepare_data_dir(config: RunConfig) -> None:
    """Make the data and log folders (0700) and see that files can be written there.

    Raises:
        CannotRun: They cannot.
    """
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        config.log_dir.mkdir(exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=config.data_dir):
            pass
    except OSError as error:
        raise CannotRun(
            f"The data folder {config.data_dir} cannot be written to ({error.strerror}). "
            "Give its owner write permission, or choose another with SECURENET_DATA_DIR=/some/folder."
        ) from error


def lock_data_dir(data_dir: Path) -> int:
    """Lock the data folder for this process; the lock ends with it. Returns the lock's descriptor.

    Raises:
        CannotRun: Another process has it.
    """
    lock = os.open(data_dir / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode(errors="replace").strip()
        os.close(lock)
        raise CannotRun(
            f"SecureNet is already running on {data_dir} (process {owner or 'unknown'}). Stop it, or run a second one "
            "on data of its own: SECURENET_DATA_DIR=/another/folder PORT=8001 make run."
        ) from None
    os.truncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def owner_of(data_dir: Path) -> int | None:
    """The process that runs SecureNet on the data folder; None: nobody does."""
    try:
        lock = os.open(data_dir / "run.lock", os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(lock, 32))
    else:
        return None
    finally:
        os.close(lock)


def check_port(host: str, port: int) -> None:
    """See that the web server will be able to listen on ``host`` and ``port``.

    Raises:
        CannotRun: It will not.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise CannotRun(f"HOST is {host!r}, which is not an address of this machine ({error.strerror}).") from error
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                taken_by = _listener(port)
                raise CannotRun(
                    f"Port {port} is taken{f' by {taken_by}' if taken_by else ''}. Stop that, "
                    f"or choose another port: PORT={port + 1 if port < 65535 else 8000} make run."
                ) from error
            case errno.EACCES:
                raise CannotRun(
                    f"Port {port} needs more rights than you have. Choose one above 1023: PORT=8000 make run."
                ) from error
            case _:
                raise CannotRun(f"Cannot listen on {host}:{port} ({error.strerror}). Change HOST or PORT.") from error


def _listener(port: int) -> str | None:
    """Name the process that listens on ``port``, as far as /proc tells this user."""
    sockets = set(_listening_sockets(port))
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it ended, or is another user's
            if os.readlink(descriptor) in sockets:
                process = descriptor.parent.parent
                return f"process {process.name} ({(process / 'comm').read_text().strip()})"
    return None


def _listening_sockets(port: int) -> Iterator[str]:
    listening = "0A"
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for row in table.read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == listening and int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"


def check_redis(url: str, variable: str) -> str:
    """See that the Redis at ``url`` can be used, on every node of a cluster; returns its name and version.

    Args:
        variable: The environment variable that ``url`` comes from, for messages.

    Raises:
        CannotRun: It cannot be reached, is too old, or refuses writes.
    """
    shown = without_password(url)
    try:
        infos = _server_infos(parse_redis_url(url, variable))
    except ValueError as error:
        raise CannotRun(f"{variable} is {shown!r}, which is not an address of Redis. It looks like {FORMS}.") from error
    except redis.AuthenticationError as error:
        raise CannotRun(
            f"Redis at {shown} refuses to let us in ({error}). Put user and password into {variable}: "
            f"{shown.partition('://')[0]}://user:password@host…"
        ) from error
    except (redis.RedisError, RedisClusterException) as error:
        raise CannotRun(
            f"Redis cannot be reached at {shown} ({error}). Start it, correct {variable}, "
            "or unset REDIS_URL to have one started."
        ) from error
    for info in infos:
        _check_server(info, shown, variable)
    if valkey := infos[0].get("valkey_version"):
        return f"Valkey {valkey}"
    return f"Redis {infos[0].get('redis_version')}"


def _server_infos(address: RedisAddress) -> list[dict[str, Any]]:
    """What the servers that take writes say of themselves."""
    client = address.client(time_out=3)
    try:
        if not isinstance(client, RedisCluster):
            return [client.info()]
        return [client.info(target_nodes=node) for node in client.get_primaries()]
    finally:
        client.close()


def _check_server(info: Mapping[str, Any], shown: str, variable: str) -> None:
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
        raise CannotRun(
            f"Redis at {shown} is version {version}; SecureNet needs 6.2 or newer. "
            "Upgrade it, or unset REDIS_URL to have one started."
        )
    if info.get("role") == "slave":
        raise CannotRun(f"Redis at {shown} is a replica, which takes no writes. Point {variable} at its primary.")
    if info.get("maxmemory") and info.get("maxmemory_policy") != "noeviction":
        say(
            f"Warning: Redis at {shown} evicts keys when it is full (maxmemory-policy {info['maxmemory_policy']}), "
            "limits and job queues too. Set it to noeviction."
        )
