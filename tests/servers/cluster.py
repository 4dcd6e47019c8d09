"""A throw-away Redis Cluster on 127.0.0.1: `with redis_cluster() as cluster:`, whole in about a second.

Its nodes are single `RedisServer`s, joined by commands, so that no redis-cli is needed.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from securenet.run.redis_server import RedisServer

LIMITS_KEY = "{perf}"  # any key with perf's hash tag
BUS_OFFSET = 10_000  # a node's bus listens on its port plus this
WHOLE_WITHIN = 20.0  # seconds


class RedisCluster:
    """The nodes of one cluster.

    Attributes:
        primaries: those that were given slots at the start, in the order of these; `add_node` appends.
        replicas: one of each primary, if asked for.
    """

    def __init__(self, folder: Path, node_timeout_ms: int, require_full_coverage: bool) -> None:
        self.primaries: list[RedisServer] = []
        self.replicas: list[RedisServer] = []
        self._folder = folder
        self._options = [
            *("--cluster-enabled", "yes"),
            *("--cluster-config-file", "nodes.conf"),
            *("--cluster-node-timeout", str(node_timeout_ms)),
            *("--cluster-require-full-coverage", "yes" if require_full_coverage else "no"),
            # A replica takes over however long it has not heard of its primary.
            *("--cluster-replica-validity-factor", "0"),
            *("--repl-diskless-sync-delay", "0"),
            *("--appendonly", "no"),
        ]

    @property
    def url(self) -> str:
        """The address for REDIS_URL."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.primaries)}"

    @property
    def nodes(self) -> list[RedisServer]:
        return [*self.primaries, *self.replicas]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Hosts and ports of the primaries."""
        return [("127.0.0.1", node.port or 0) for node in self.primaries]

    @cached_property
    def pid(self) -> int:
        """The process to freeze so that perf's Redis hangs: the node that had the limits when this was first asked."""
        return self.owner_of(LIMITS_KEY).pid

    def owner_of(self, key: str) -> RedisServer:
        """The primary that serves the slot of ``key``, by what the first node that answers says."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            if not node.child.is_running:
                continue
            for first, last, (_host, port, *_), *_replicas in client(node).execute_command("CLUSTER SLOTS"):
                if first <= slot <= last:
                    return next(each for each in self.nodes if each.port == port)
        raise LookupError(f"Nobody serves slot {slot} of {key!r}.")

    def add_node(self) -> RedisServer:
        """Start one more primary, without slots, and have the others meet it."""
        node = self._start_node()
        self.primaries.append(node)
        self._meet(node)
        self._await(lambda: all(known_nodes(each) == len(self.nodes) for each in self.nodes), "know each other")
        self._await(lambda: is_whole(node), "tell the new one of the slots")
        return node

    def freeze(self) -> None:
        """Stop all nodes where they are: they take connections and answer nothing."""
        for node in self.nodes:
            os.kill(node.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for node in self.nodes:
            os.kill(node.pid, signal.SIGCONT)

    def start(self, primaries: int, with_replicas: bool) -> None:
        """Start the nodes, give out the slots, and wait until every node calls the cluster whole."""
        self.primaries = [self._start_node() for _ in range(primaries)]
        self.replicas = [self._start_node() for _ in range(primaries if with_replicas else 0)]
        edges = [number * REDIS_CLUSTER_HASH_SLOTS // primaries for number in range(primaries + 1)]
        for number, node in enumerate(self.primaries):
            # Epochs of their own from the start, or the nodes would settle that among themselves first.
            client(node).execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            client(node).execute_command("CLUSTER ADDSLOTSRANGE", edges[number], edges[number + 1] - 1)
        for node in self.nodes[1:]:
            self._meet(node)
        self._await(lambda: all(known_nodes(node) == len(self.nodes) for node in self.nodes), "know each other")
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            client(replica).execute_command("CLUSTER REPLICATE", node_id(primary))
        self._await(lambda: all(is_whole(node) for node in self.nodes), "agree on the slots")
        self._await(lambda: all(is_synchronised(node) for node in self.replicas), "follow their primaries")

    def stop(self) -> None:
        """Kill all nodes: nobody needs what they hold."""
        for node in self.nodes:
            node.kill()

    def _start_node(self) -> RedisServer:
        port = _free_port_with_bus()
        node = RedisServer(self._folder / str(port), port=port, extra_args=self._options)
        node.start()
        return node

    def _meet(self, node: RedisServer) -> None:
        client(self.primaries[0]).execute_command("CLUSTER MEET", "127.0.0.1", node.port)

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WHOLE_WITHIN
        while not condition():
            if time.monotonic() > deadline:
                states = "\n".join(str(client(node).execute_command("CLUSTER NODES")) for node in self.nodes)
                raise RuntimeError(f"The nodes of the cluster did not {what} within {WHOLE_WITHIN:g} s:\n{states}")
            time.sleep(0.02)


@contextmanager
def redis_cluster(
    primaries: int = 3,
    *,
    with_replicas: bool = False,
    node_timeout_ms: int = 15_000,
    require_full_coverage: bool = True,
) -> Iterator[RedisCluster]:
    """Run a cluster for the length of the block.

    Args:
        primaries: How many nodes share the slots.
        with_replicas: Whether each has a replica.
        node_timeout_ms: How long a node may be silent before the others call it failed. Short for tests of a
            failover; long where a test freezes a node and wants it back as it was.
        require_full_coverage: Whether all nodes refuse to answer while nobody serves the slots of one.
    """
    with ExitStack() as exits:
        folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="cluster-", ignore_cleanup_errors=True))
        cluster = RedisCluster(Path(folder), node_timeout_ms, require_full_coverage)
        exits.callback(cluster.stop)
        cluster.start(primaries, with_replicas)
        yield cluster


def client(node: RedisServer) -> redis.Redis:
    """A plain client of one node."""
    return redis.Redis(host="127.0.0.1", port=node.port or 0, socket_timeout=5, decode_responses=True)


def node_id(node: RedisServer) -> str:
    """What the cluster calls a node."""
    return str(client(node).execute_command("CLUSTER MYID"))


def known_nodes(node: RedisServer) -> int:
    """How many nodes this one is connected with, itself included."""
    return sum(peer["connected"] for peer in client(node).execute_command("CLUSTER NODES").values())


def is_whole(node: RedisServer) -> bool:
    """True if the node sees every slot served."""
    return client(node).execute_command("CLUSTER INFO")["cluster_state"] == "ok"


def is_synchronised(replica: RedisServer) -> bool:
    """True if the replica has its primary's data."""
    return client(replica).info("replication").get("master_link_status") == "up"


def move_slot(slot: int, source: RedisServer, target: RedisServer, between_keys: Callable[[], object]) -> int:
    """Move a slot as redis-cli does, key by key; returns the number of keys moved.

    Args:
        between_keys: Called while the slot is half here and half there: before the first key, and after each.
    """
    source_client, target_client = client(source), client(target)
    target_client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", node_id(source))
    source_client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", node_id(target))
    moved = 0
    between_keys()
    while keys := source_client.execute_command("CLUSTER GETKEYSINSLOT", slot, 1):
        source_client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        moved += 1
        between_keys()
    for each in (target_client, source_client):
        each.execute_command("CLUSTER SETSLOT", slot, "NODE", node_id(target))
    return moved


def _free_port_with_bus() -> int:
    """A port that nobody listens on, whose bus port is free as well. Both lie below those of outgoing connections."""
    while True:
        port = random.randint(10_000, 22_000)
        with socket.socket() as probe, socket.socket() as bus:
            try:
                probe.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + BUS_OFFSET))
            except OSError:
                continue
        return port
