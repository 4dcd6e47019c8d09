"""Two network namespaces joined by a cable: what a scan meets outside loopback, without a firewall program.

The machine's own network is not touched. Ports are filtered by routing rules in the target's namespace that
drop its answers, which looks the same from outside as a firewall that drops the question.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TARGET = "198.51.100.2"  # RFC 5737, documentation
ABSENT = "198.51.100.3"  # nobody has it
_SCANNER = "198.51.100.1"
_ROOT = Path(__file__).parents[3]

_PROGRAM = """
import ipaddress, json, sys, time
from securenet.security.scanner.connect import ConnectLimits, HostPorts, connect_scan
from securenet.security.scanner.pace import Pace
from securenet.security.scanner.ports import PortSet

addresses, ports, limits, times = json.loads(sys.argv[1])
hosts = [
    HostPorts(ipaddress.ip_address(address), PortSet.parse(ports), Pace(float("inf")))
    for address in addresses
]
for _ in range(times):
    began = time.monotonic()
    results = connect_scan(hosts, ConnectLimits(**limits))
    seconds = time.monotonic() - began
    states = {a: {r.port: r.state for r in found} for a, found in zip(addresses, results)}
    print(json.dumps({"seconds": seconds, "states": states}))
"""


@dataclass(frozen=True, slots=True)
class Networks:
    """A namespace to scan from and one that is scanned."""

    scanner: str
    target: str

    def scan(self, ports: str, *addresses: str, times: int = 1, **limits: Any) -> list[dict[str, Any]]:
        """Connect-scan from the scanner's namespace; per run `seconds` and `states[address][port]`."""
        arguments = json.dumps([addresses or (TARGET,), ports, limits, times])
        found = _run(
            "ip",
            "netns",
            "exec",
            self.scanner,
            sys.executable,
            "-c",
            _PROGRAM,
            arguments,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        runs = [json.loads(line) for line in found.splitlines()]
        for run in runs:
            for states in run["states"].values():
                states.update({int(port): states.pop(port) for port in list(states)})
        return runs

    def drop_answers_from(self, ports: str) -> None:
        """Make the target's ports first-last filtered."""
        _run("ip", "-n", self.target, "rule", "add", "ipproto", "tcp", "sport", ports, "blackhole")

    def pass_answers_from(self, ports: str) -> None:
        """Take `drop_answers_from` back."""
        _run("ip", "-n", self.target, "rule", "del", "ipproto", "tcp", "sport", ports, "blackhole")

    def use_local_ports(self, ports: str) -> None:
        """Narrow the range from which the scanner's kernel takes the ports of its own connections."""
        _run(
            "ip",
            "netns",
            "exec",
            self.scanner,
            "sysctl",
            "-qw",
            f"net.ipv4.ip_local_port_range={ports.replace('-', ' ')}",
        )

    def wait_for_a_connection_request(self, port: int) -> None:
        """Return as soon as the scanner waits for an answer from this port of the target."""
        wanted = f":{port:04X} 02 "  # remote port, state SYN_SENT
        for _ in range(2000):
            if wanted in _run("ip", "netns", "exec", self.scanner, "cat", "/proc/net/tcp"):
                return
        raise AssertionError("the scanner sent no connection request")

    @contextmanager
    def listeners(self, *ports: int) -> Iterator[None]:
        """Listeners on the target."""
        program = (
            "import socket, sys\n"
            "kept = [socket.create_server(('0.0.0.0', int(p)), backlog=64) for p in sys.argv[1:]]\n"
            "print('ready', flush=True)\n"
            "sys.stdin.read()"
        )
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.target, sys.executable, "-c", program, *map(str, ports)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.communicate()


@cache
def namespaces_are_permitted() -> bool:
    name = f"sn-may-{os.getpid()}"
    if os.name != "posix" or subprocess.run(["which", "ip"], capture_output=True).returncode:
        return False
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return made


@contextmanager
def networks() -> Iterator[Networks]:
    """Make the two namespaces, and remove them."""
    made = Networks(f"sn-scan-{os.getpid()}", f"sn-host-{os.getpid()}")
    try:
        for name in (made.scanner, made.target):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run(
            "ip",
            "-n",
            made.scanner,
            "link",
            "add",
            "eth0",
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            made.target,
        )
        for name, address in ((made.scanner, _SCANNER), (made.target, TARGET)):
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            _run("ip", "-n", name, "link", "set", "eth0", "up")
        yield made
    finally:
        for name in (made.scanner, made.target):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _run(*command: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)[:200]}: {done.stderr[-2000:]}"
    return done.stdout
