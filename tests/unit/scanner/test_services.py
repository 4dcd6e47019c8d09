from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securenet.security.scanner.services.base import all_services, recognise
from securenet.security.scanner.services.dns import Dns


def mysql_packet(payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + b"\x00" + payload


def mysql_greeting(version: bytes) -> bytes:
    return mysql_packet(
        b"\x0a" + version + b"\x00" + b"\x01\x00\x00\x00" + b"saltsalt\x00" + b"\xff\xf7\x08\x02\x00" + b"x" * 30
    )


def amqp_start(product: bytes, version: bytes) -> bytes:
    def entry(name: bytes, value: bytes) -> bytes:
        return bytes([len(name)]) + name + b"S" + struct.pack("!I", len(value)) + value

    table = entry(b"cluster_name", b"rabbit@x") + entry(b"product", product) + entry(b"version", version)
    body = struct.pack("!HHBB", 10, 10, 0, 9) + struct.pack("!I", len(table)) + table
    return struct.pack("!BHI", 1, 0, len(body)) + body + b"\xce"


def dns_answer(text: bytes, *, compressed: bool) -> bytes:
    name = b"\x07version\x04bind\x00"
    question = name + struct.pack("!HH", 16, 3)
    answer = (b"\xc0\x0c" if compressed else name) + struct.pack("!HHIH", 16, 3, 0, len(text) + 1)
    message = struct.pack("!HHHHHH", 0x534E, 0x8400, 1, 1, 0, 0) + question + answer + bytes([len(text)]) + text
    return struct.pack("!H", len(message)) + message


@pytest.mark.parametrize(
    ("data", "service", "product", "version"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", "ssh", "OpenSSH", "9.2p1"),
        (b"SSH-2.0-dropbear_2022.83\r\n", "ssh", "dropbear", "2022.83"),
        (b"SSH-1.99-Cisco-1.25\n", "ssh", "Cisco", "1.25"),
        (b"SSH-2.0-Go\r\n", "ssh", "Go", ""),
        (b"220 (vsFTPd 3.0.3)\r\n", "ftp", "vsFTPd", "3.0.3"),
        (b"220 ProFTPD 1.3.8 Server (Debian) [::ffff:10.0.0.1]\r\n", "ftp", "ProFTPD", "1.3.8"),
        (b"220---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\r\n", "ftp", "Pure-FTPd", ""),
        (b"220 pyftpdlib 1.5.7 ready.\r\n", "ftp", "pyftpdlib", "1.5.7"),
        (b"220-FileZilla Server 1.7.0\r\n", "ftp", "FileZilla Server", "1.7.0"),
        (b"220 Microsoft FTP Service\r\n", "ftp", "Microsoft FTP Service", ""),
        (b"220 mail.example ESMTP Postfix (Debian/GNU)\r\n", "smtp", "Postfix", ""),
        (b"220 mx ESMTP Exim 4.96 Mon, 01 Jan 2026 00:00:00 +0000\r\n", "smtp", "Exim", "4.96"),
        (b"220 mx ESMTP Sendmail 8.17.1/8.17.1; Mon\r\n", "smtp", "Sendmail", "8.17.1"),
        (b"220 ftp.example ESMTP OpenSMTPD\r\n", "smtp", "OpenSMTPD", ""),
        (b"554 no SMTP service here\r\n", "smtp", "", ""),
        (b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23", "telnet", "", ""),
        (mysql_greeting(b"8.0.36"), "mysql", "MySQL", "8.0.36"),
        (mysql_greeting(b"5.5.5-10.11.6-MariaDB-0+deb12u1"), "mysql", "MariaDB", "10.11.6"),
        (mysql_greeting(b"11.4.2-MariaDB"), "mysql", "MariaDB", "11.4.2"),
        (
            mysql_packet(b"\xff\x6a\x04Host '10.0.0.9' is not allowed to connect to this MariaDB server"),
            "mysql", "MariaDB", "",
        ),
        (b"HTTP/1.1 200 OK\r\nServer: nginx/1.24.0 (Ubuntu)\r\n\r\n", "http", "nginx", "1.24.0"),
        (b"HTTP/1.1 301 Moved\r\nserver: Apache/2.4.57 (Debian)\r\n\r\n", "http", "Apache", "2.4.57"),
        (b"HTTP/1.0 401 Unauthorized\r\nServer: Microsoft-IIS/10.0\r\n\r\n", "http", "Microsoft-IIS", "10.0"),
        (b"HTTP/1.1 404 Not Found\r\nServer: gunicorn\r\n\r\n", "http", "gunicorn", ""),
        (b"HTTP/1.1 200 OK\r\n\r\n", "http", "", ""),
        (b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port", "tls", "", ""),
        (b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", "tls", "", ""),
        (b"\x15\x03\x01\x00\x02\x02\x46", "tls", "", ""),
        (b"-NOAUTH Authentication required.\r\n", "redis", "", ""),
        (b"-DENIED Redis is running in protected mode because ...\r\n", "redis", "", ""),
        (b"-ERR wrong number of arguments for 'get' command\r\n", "redis", "", ""),
        (b"VERSION 1.6.18\r\n", "memcached", "memcached", "1.6.18"),
        (b"CLIENT_ERROR unauthenticated\r\n", "memcached", "memcached", ""),
        (b"E\x00\x00\x00\x50SFATAL\x00C0A000\x00Munsupported protocol\x00", "postgresql", "PostgreSQL", ""),
        (amqp_start(b"RabbitMQ", b"3.12.1"), "amqp", "RabbitMQ", "3.12.1"),
        (b"AMQP\x00\x00\x09\x01", "amqp", "", ""),
        (dns_answer(b"9.18.28-1~deb12u2", compressed=True), "domain", "BIND", "9.18.28-1~deb12u2"),
        (dns_answer(b"dnsmasq-2.90", compressed=False), "domain", "dnsmasq", "2.90"),
        (dns_answer(b"unbound 1.17.1", compressed=True), "domain", "unbound", "1.17.1"),
    ],
)  # fmt: skip
def test_a_service_is_recognised_by_what_it_says(data: bytes, service: str, product: str, version: str):
    identity = recognise(data)
    assert identity is not None
    assert (identity.service, identity.product, identity.version) == (service, product, version)
    assert identity.banner


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"SSH is not here",
        b"HTTP/2 is not for this port",
        b"HTTP/1.1 999 nonsense",
        b"+OK POP3 ready",
        b"220",
        b"S",
        b"N",
        b"\x05\x00\x00\x00\x0a8.0\x00",
        b"AMQP\x00\x00\x09\x01 and more",
        b"\xff\xfb",
        b"\x15\x04\x00",
    ],
)
def test_what_only_resembles_a_service_is_not_recognised(data: bytes):
    assert recognise(data) is None


# How the services begin to speak, so that random bytes get past the first test of each.
STARTS = [
    b"",
    b"SSH-2.0-",
    b"220 ",
    b"\xff\xfd",
    b"\x30\x00\x00\x00\x0a",
    b"\x30\x00\x00\x00\xff",
    b"HTTP/1.1 200 ",
    b"HTTP/1.1 400 ",
    b"-ERR ",
    b"VERSION ",
    b"E\x00\x00\x00\x09SFATAL\x00",
    b"\x01\x00\x00\x00\x00\x01\x00",
    b"\x01\x00\x00\x00\x00\x01\x00\x00\x0a\x00\x0a\x00\x09\x07productS",
    b"\x00\x40SN\x84\x00\x00\x01\x00\x01",
    dns_answer(b"", compressed=True)[:45],
    b"\x16\x03\x01",
]


@settings(max_examples=1000, deadline=None, database=None)
@given(
    st.sampled_from(STARTS),
    st.binary(max_size=1024),
)
def test_hostile_bytes_never_raise_and_names_stay_short(start: bytes, rest: bytes):
    for service in all_services():
        identity = service.recognise(start + rest)
        if identity is not None:
            assert len(identity.product) <= 120
            assert len(identity.version) <= 120
            assert (identity.product + identity.version).isprintable()


def test_a_dns_server_that_hides_its_version_is_still_one():
    hidden = struct.pack("!HHHHHHH", 12, 0x534E, 0x8405, 0, 0, 0, 0)
    identity = Dns().recognise(hidden)
    assert identity is not None
    assert (identity.service, identity.version) == ("domain", "")


def test_every_service_has_its_own_name():
    names = [service.name for service in all_services()]
    assert len(names) == len(set(names))
    assert {
        "ssh",
        "http",
        "tls",
        "redis",
        "postgresql",
        "mysql",
        "smtp",
        "ftp",
        "domain",
        "amqp",
        "memcached",
    } <= set(names)
