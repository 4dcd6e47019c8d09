"""The connect scan beside `nmap -sT`, where nmap is installed: time, and whether each port was told exactly.

Targets are loopback and a network namespace of its own, joined by a cable; see `tests.unit.scanner.networks`.
"""

from __future__ import annotations

import random
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from xml.etree import ElementTree

import pytest

from securenet.security.scanner.connect import ConnectLimits, HostPorts, PortState, connect_scan
from securenet.security.scanner.pace import Pace
from securenet.security.scanner.ports import PortSet
from tests.benchmarks.report import Table, publish
from tests.unit.scanner.networks import ABSENT, TARGET, Networks, namespaces_are_permitted, networks
from tests.unit.scanner.servers import QUIET_LOOPBACK

pytestmark = pytest.mark.bench

ROUNDS = 5
LISTENERS = 25
NMAP = ["nmap", "-sT", "-Pn", "-n", "-oX", "-"]
TEXT = """
Each scan tells every port apart: open, closed or filtered. *missed* and *invented* count open ports over all rounds
that were not reported, and reported ones that nobody had opened; they have to be 0. nmap's time is that of its process
from start to end; SecureNet's is without the start of Python, which a worker has behind it. Both try ports without a
limit on their rate. SecureNet asks silent ports a second time, as nmap does; `-T5` is nmap's fastest template.
"""


@dataclass(slots=True)
class Row:
    """What was measured of one scanner at one kind of target."""

    seconds: list[float] = field(default_factory=list)
    missed: int = 0
    invented: int = 0

    def add(self, seconds: float, found: set[int], expected: set[int]) -> None:
        self.seconds.append(seconds)
        self.missed += len(expected - found)
        self.invented += len(found - expected)

    def cells(self, ports: int) -> list[str]:
        median = statistics.median(self.seconds)
        return [f"{median:.2f} s", f"{ports / median:,.0f}", str(self.missed), str(self.invented)]


Scan = Callable[[str], tuple[float, set[int]]]


def own(address: str) -> Scan:
    def scan(ports: str) -> tuple[float, set[int]]:
        host = HostPorts(ip_address(address), PortSet.parse(ports), Pace(float("inf")))
        began = time.perf_counter()
        (results,) = connect_scan([host], ConnectLimits())
        seconds = time.perf_counter() - began
        return seconds, {result.port for result in results if result.state is PortState.OPEN}

    return scan


def own_from(made: Networks, address: str) -> Scan:
    def scan(ports: str) -> tuple[float, set[int]]:
        (run,) = made.scan(ports, address)
        return run["seconds"], {port for port, state in run["states"][address].items() if state == "open"}

    return scan


def nmap(address: str, *options: str, within: str = "") -> Scan:
    def scan(ports: str) -> tuple[float, set[int]]:
        inside = ["ip", "netns", "exec", within] if within else []
        began = time.perf_counter()
        done = subprocess.run([*inside, *NMAP, *options, "-p", ports, address], capture_output=True, check=True)
        seconds = time.perf_counter() - began
        found = ElementTree.fromstring(done.stdout).iterfind(".//port")
        return seconds, {int(port.attrib["portid"]) for port in found if port.find("state[@state='open']") is not None}

    return scan


@contextmanager
def open_ports(among: range) -> Iterator[set[int]]:
    """Listeners on random ports of the quiet loopback address."""
    with ExitStack() as stack:
        ports: set[int] = set()
        for port in random.sample(among, len(among)):
            if len(ports) == LISTENERS:
                break
            with suppress(OSError):
                stack.enter_context(socket.create_server((QUIET_LOOPBACK, port), backlog=64))
                ports.add(port)
        yield ports


def measured(scans: dict[str, Scan], ports: str, expected: set[int], rounds: int = ROUNDS) -> dict[str, Row]:
    rows = {name: Row() for name in scans}
    for _ in range(rounds):
        for name, scan in scans.items():
            rows[name].add(*scan(ports), expected)
    own_row = rows["SecureNet"]
    assert (own_row.missed, own_row.invented) == (0, 0)
    return rows


def test_ports_per_second() -> None:
    has_nmap = shutil.which("nmap") is not None
    table: list[list[str]] = []

    def tell(what: str, count: int, rows: dict[str, Row]) -> None:
        table.extend([what, name, *row.cells(count)] for name, row in rows.items())

    def beside(scan: Scan, other: Scan, label: str = "nmap -sT") -> dict[str, Scan]:
        return {"SecureNet": scan, **({label: other} if has_nmap else {})}

    here = beside(own(QUIET_LOOPBACK), nmap(QUIET_LOOPBACK))
    for what, among in (
        ("1,000 ports of loopback", range(10_000, 11_000)),
        ("10,000 ports of loopback", range(10_000, 20_000)),
        ("the ephemeral range of loopback", range(32_768, 61_000)),
    ):
        with open_ports(among) as expected:
            tell(what, len(among), measured(here, f"{among[0]}-{among[-1]}", expected))
    if namespaces_are_permitted():
        with networks() as made:
            expected = set(random.sample(range(1, 65_536), LISTENERS))
            there = beside(own_from(made, TARGET), nmap(TARGET, within=made.scanner))
            with made.listeners(*expected):
                tell("65,535 ports over a cable", 65_535, measured(there, "1-65535", expected, rounds=3))
            silent = beside(own_from(made, ABSENT), nmap(ABSENT, "-T5", within=made.scanner), "nmap -sT -T5")
            tell("1,000 filtered ports", 1_000, measured(silent, "1-1000", set(), rounds=1))
    publish(
        "scan",
        "Scanning ports",
        TEXT,
        Table(["target", "scanner", "median", "ports/s", "missed", "invented"], table),
    )
