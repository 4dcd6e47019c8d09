"""Whole scans of real listeners on loopback."""

from __future__ import annotations

import asyncio
import math
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from securenet.security.scanner import (
    ConnectLimits,
    HostResult,
    PinnedAddress,
    PortSet,
    PortState,
    ProbeLimits,
    Refusal,
    ScanPlan,
    Scope,
    TargetRefused,
    authorise,
    run_scan,
)

from .certs import certificate, server_context
from .servers import (
    LOOPBACK,
    Handler,
    connections_to,
    dripping,
    free_port,
    ftp_server,
    greeting,
    hangs_up,
    http_server,
    needs_proc,
    redis_server,
    serving,
    silent,
    smtp_server,
    unanswered_port,
)

BRISK = ProbeLimits(connect=2.0, listen=0.2, usual_listen=0.3, reply=0.5, guess=0.25, quiet=0.1, port=3.0)
IMPATIENT = ConnectLimits(first_timeout=0.2, least_timeout=0.1, greatest_timeout=0.3)
LOCAL = Scope(ip_network("127.0.0.0/8"), rate=math.inf, name="loopback")


def plan(ports: PortSet, *targets: str, scope: Scope = LOCAL, **kept: object) -> ScanPlan:
    pins = authorise(targets or (LOOPBACK,), [scope], ports)
    return ScanPlan(pins, ports, connect=IMPATIENT, probe=BRISK, **kept)  # type: ignore[arg-type]


def scan_one(*ports: int) -> HostResult:
    (result,) = run_scan(plan(PortSet.of(*ports)))
    return result


def test_a_mixed_host_is_described_and_judged(tmp_path: Path):
    expired = server_context(tmp_path, certificate(ends=timedelta(days=-1)))
    handlers: dict[str, Handler] = {
        "ssh": greeting(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"),
        "http": http_server({"Server": "nginx/1.24.0", "Content-Type": "text/html"}),
        "redis": redis_server(password=False),
        "ftp": ftp_server(tls=False),
        "smtp": smtp_server(),
    }
    with ExitStack() as stack:
        ports = {name: stack.enter_context(serving(handler)) for name, handler in handlers.items()}
        ports["https"] = stack.enter_context(serving(http_server({}), tls=expired))
        closed = free_port()
        result = scan_one(*ports.values(), closed)

    assert result.is_reachable
    assert {port.service: port.port for port in result.open_ports} == ports
    assert [port.port for port in result.ports if port.state is PortState.CLOSED] == [closed]
    found = {(issue.check_id, issue.component, issue.port) for issue in result.issues}
    assert {
        ("anonymous-access", "redis", ports["redis"]),
        ("cleartext-protocol", "ftp", ports["ftp"]),
        ("http-security-headers", "content-security-policy", ports["http"]),
        ("tls-certificate", "expired", ports["https"]),
        ("tls-certificate", "self-signed", ports["https"]),
        *(("open-port", "", port) for port in ports.values()),
    } <= found


def test_clean_twins_have_nothing_but_open_ports(tmp_path: Path):
    safe = {
        "Content-Type": "text/html",
        "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=31536000",
    }
    good = server_context(tmp_path, certificate(self_signed=False))
    with (
        serving(http_server(safe)) as http,
        serving(http_server(safe), tls=good) as https,
        serving(redis_server(password=True)) as redis,
        serving(greeting(b"SSH-2.0-OpenSSH_9.2p1\r\n")) as ssh,
    ):
        result = scan_one(http, https, redis, ssh)
    assert {issue.check_id for issue in result.issues} == {"open-port"}
    assert len(result.issues) == 4


def test_ten_scans_of_the_same_host_give_the_same_findings():
    with serving(redis_server(password=False)) as redis, serving(http_server({})) as http:
        findings = {frozenset(issue.fingerprint("asset") for issue in scan_one(redis, http).issues) for _ in range(10)}
    assert len(findings) == 1
    assert len(next(iter(findings))) >= 4


def test_a_result_settles_what_was_judged_and_nothing_else():
    with (
        serving(redis_server(password=True)) as redis,
        serving(silent) as unknown,
        unanswered_port() as filtered,
    ):
        closed = free_port()
        result = scan_one(redis, unknown, filtered, closed)
    assert result.settles("anonymous-access", redis)
    assert result.settles("http-security-headers", redis)  # a Redis is no web server any more
    assert result.settles("anonymous-access", closed)
    assert not result.settles("anonymous-access", unknown)  # open, and nobody knows what it is
    assert not result.settles("open-port", filtered)
    assert not result.settles("open-port", 1)  # not part of the scan


def test_a_host_that_does_not_answer_is_not_reachable_and_settles_nothing():
    with unanswered_port() as port:
        result = scan_one(port)
    assert not result.is_reachable
    assert result.issues == ()
    assert not result.settles("open-port", port)


def test_a_refusal_shows_that_the_host_is_there():
    result = scan_one(free_port())
    assert result.is_reachable
    assert result.open_ports == ()


def test_results_come_one_by_one():
    with serving(hangs_up) as port:
        scan = run_scan(plan(PortSet.of(port), "127.0.0.1", "127.0.0.2", "127.0.0.3", hosts_at_once=1))
        assert str(next(scan).address) == "127.0.0.1"
        scan.close()


def test_silent_addresses_of_a_block_are_given_up_after_the_likely_ports():
    calls: list[tuple[int, int, str]] = []
    with unanswered_port() as silent_port:  # on 127.0.0.1 only; elsewhere it is closed
        ports = PortSet(((silent_port, silent_port + 100),))
        block = plan(ports, "127.0.0.0/30", try_first=1)
        silent_host, other_host = run_scan(block, lambda *state: calls.append(state))
        (named_host,) = run_scan(plan(ports, "127.0.0.1", try_first=1))
    assert [port.port for port in silent_host.ports] == [silent_port]
    assert not silent_host.is_reachable
    assert (other_host.is_reachable, len(other_host.ports)) == (True, 101)
    assert (named_host.is_reachable, len(named_host.ports)) == (True, 101)
    assert calls[-1][:2] == (202, 202)


def test_progress_counts_every_port_of_every_host_up_to_the_end():
    calls: list[tuple[int, int, str]] = []
    with serving(greeting(b"SSH-2.0-x\r\n")) as port, unanswered_port() as filtered:
        wanted = PortSet.of(port, filtered, *range(28200, 28250))
        scan = plan(wanted, "127.0.0.1", "127.0.0.2", "127.0.0.0/29")
        list(run_scan(scan, lambda *state: calls.append(state)))
    done = [call[0] for call in calls]
    total = len(scan.hosts) * len(wanted)
    assert done == sorted(done)
    assert {call[1] for call in calls} == {total}
    assert done[-1] == total
    assert any("tcp" in call[2] for call in calls)


def test_two_names_of_one_address_are_both_judged_and_it_is_connected_to_once():
    calls: list[tuple[int, int, str]] = []
    with serving(http_server({})) as port:
        ports = PortSet.of(port, free_port())
        pins = tuple(
            PinnedAddress(authorise([LOOPBACK], [LOCAL], ports)[0].address, LOCAL, name)
            for name in ("a.example", "b.example")
        )
        results = list(run_scan(ScanPlan(pins, ports, probe=BRISK), lambda *state: calls.append(state)))
    assert [result.hostname for result in results] == ["a.example", "b.example"]
    assert [result.open_ports[0].service for result in results] == ["http", "http"]
    assert calls[-1][:2] == (4, 4)


class Stopped(Exception):
    pass


@needs_proc
@pytest.mark.parametrize("phase", ["connecting", "talking"])
def test_an_exception_from_on_progress_stops_the_scan_at_once_and_leaves_no_connection(phase: str):
    def stop(done: int, total: int, message: str) -> None:
        if phase == "connecting" or "open" in message:
            raise Stopped

    with unanswered_port() as filtered, serving(dripping) as talker:
        wanted = PortSet.of(filtered if phase == "connecting" else talker)
        patient = ScanPlan(plan(wanted).hosts, wanted)
        before = connections_to(*wanted)
        began = time.monotonic()
        with pytest.raises(Stopped):
            list(run_scan(patient, stop))
        assert time.monotonic() - began < 5
        assert connections_to(*wanted) == before


def test_on_progress_is_called_outside_the_event_loop():
    """Django refuses database calls where an event loop runs."""
    loops: list[asyncio.AbstractEventLoop | None] = []

    def note(done: int, total: int, message: str) -> None:
        loops.append(asyncio._get_running_loop())

    with serving(silent) as port:
        list(run_scan(plan(PortSet.of(port)), note))
    assert len(loops) > 3
    assert set(loops) == {None}


def test_an_authorisation_that_runs_out_on_the_way_ends_the_scan():
    ends = datetime.now(UTC) + timedelta(hours=1)
    moment = ends - timedelta(seconds=1)
    brief = replace(LOCAL, valid_until=ends)
    two_hosts = plan(PortSet.of(free_port()), "127.0.0.1", "127.0.0.2", scope=brief, hosts_at_once=1)
    scan = run_scan(two_hosts, now=lambda: moment)
    assert next(scan).is_reachable
    moment = ends
    with pytest.raises(TargetRefused) as caught:
        next(scan)
    assert caught.value.reason is Refusal.EXPIRED


def test_an_authorisation_that_runs_out_in_the_middle_of_a_host_stops_there():
    ends = datetime.now(UTC) + timedelta(seconds=1)
    slow = replace(LOCAL, valid_until=ends, rate=20)
    with pytest.raises(TargetRefused, match="ended at"):
        list(run_scan(plan(PortSet(((28300, 28400),)), scope=slow)))
    assert datetime.now(UTC) - ends < timedelta(seconds=4)  # all ports at this rate: 5 s


def test_a_plan_cannot_have_ports_beyond_its_authorisation():
    hosts = plan(PortSet.of(80), scope=replace(LOCAL, ports=PortSet.of(80))).hosts
    with pytest.raises(TargetRefused, match="443"):
        ScanPlan(hosts, PortSet.of(80, 443))


def test_a_host_on_which_everything_is_open_is_talked_to_only_so_far():
    with ExitStack() as stack:
        ports = [stack.enter_context(serving(greeting(b"SSH-2.0-x\r\n"))) for _ in range(6)]
        (result,) = run_scan(plan(PortSet.of(*ports), identify_at_most=4))
    assert len(result.open_ports) == 6
    assert [port.service for port in result.ports] == ["ssh"] * 4 + ["", ""]


def test_the_rate_holds_for_connecting_and_talking_together():
    times: list[float] = []

    def note(connection: socket.socket) -> None:
        times.append(time.monotonic())

    with serving(note) as port:
        list(run_scan(plan(PortSet.of(port), scope=replace(LOCAL, rate=10))))
    assert len(times) >= 5
    assert (len(times) - 1) / (times[-1] - times[0]) <= 10.5


def test_the_library_needs_no_django():
    program = (
        "import sys; import securenet.security.scanner as s; from securenet.security.scanner.checks import "
        "all_checks;"
        "all_checks(); print([m for m in sys.modules if m.split('.')[0] in ('django', 'rest_framework', "
        "'rq')])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout == "[]\n"
