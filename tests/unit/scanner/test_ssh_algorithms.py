"""What SSH servers offer: read off real bytes, judged, and bounded where a server is hostile."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securenet.security.scanner.issue import Issue, Severity
from securenet.security.scanner.observation import SshAlgorithms
from securenet.security.scanner.services.ssh import CLIENT_VERSION, read_algorithms

from .servers import LOOPBACK, Handler, free_port, greeting, serving
from .test_identify import identity_at
from .test_scan import scan_one

GROUP_1, GROUP_14 = "diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1"
MODERN = {
    "kex": "sntrup761x25519-sha512@openssh.com,curve25519-sha256,diffie-hellman-group16-sha512",
    "keys": "rsa-sha2-512,rsa-sha2-256,ssh-ed25519",
    "ciphers": "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-ctr",
    "macs": "umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha1",
}


def kexinit(kex: str, keys: str, ciphers: str, macs: str) -> bytes:
    """An SSH_MSG_KEXINIT in an unencrypted packet."""
    lists = [kex, keys, ciphers, ciphers, macs, macs, "none", "none", "", ""]
    payload = b"\x14" + os.urandom(16) + b"".join(struct.pack("!I", len(each)) + each.encode() for each in lists)
    payload += b"\0" + b"\0\0\0\0"
    padding = 8 - (len(payload) + 5) % 8 + 4
    return struct.pack("!IB", len(payload) + padding + 1, padding) + payload + os.urandom(padding)


def ssh_server(hello: bytes = b"SSH-2.0-OpenSSH_9.9p1\r\n", *, waits: bool = True, **changed: str) -> Handler:
    """A server that offers this; ``waits``: only after the client has greeted, as OpenSSH does."""
    packet = kexinit(**{**MODERN, **changed})

    def handle(connection: socket.socket) -> None:
        connection.sendall(hello + (b"" if waits else packet))
        said = connection.recv(256)
        if said and waits:
            assert said == CLIENT_VERSION
            connection.sendall(packet)
        while connection.recv(1024):
            pass

    return handle


def issues(handler: Handler) -> list[Issue]:
    with serving(handler) as port:
        return [issue for issue in scan_one(port).issues if issue.check_id.startswith("ssh-")]


@pytest.mark.parametrize("waits", [True, False])
def test_a_modern_server_is_clean_and_its_offer_is_known(waits: bool) -> None:
    with serving(ssh_server(waits=waits)) as port:
        identity = identity_at(port)
        assert not [issue for issue in scan_one(port).issues if issue.check_id.startswith("ssh-")]
    (offer,) = identity.details
    assert isinstance(offer, SshAlgorithms)
    assert offer.host_keys == ("rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519")
    assert offer.macs[-1] == "hmac-sha1"
    assert (identity.product, identity.version, identity.banner) == ("OpenSSH", "9.9p1", "SSH-2.0-OpenSSH_9.9p1")


@pytest.mark.parametrize(
    ("offer", "component", "severity", "names"),
    [
        ({"kex": f"curve25519-sha256,{GROUP_1}"}, "key-exchange", Severity.MEDIUM, {GROUP_1}),
        ({"kex": f"curve25519-sha256,{GROUP_14}"}, "key-exchange", Severity.LOW, {GROUP_14}),
        ({"keys": "ssh-ed25519,ssh-dss"}, "host-key", Severity.MEDIUM, {"ssh-dss"}),
        ({"keys": "ssh-rsa"}, "host-key", Severity.LOW, {"ssh-rsa"}),
        ({"ciphers": "aes128-ctr,arcfour256,aes128-cbc"}, "cipher", Severity.MEDIUM, {"arcfour256", "aes128-cbc"}),
        ({"ciphers": "aes128-ctr,aes256-cbc"}, "cipher", Severity.LOW, {"aes256-cbc"}),
        ({"macs": "hmac-sha2-256,hmac-md5"}, "mac", Severity.MEDIUM, {"hmac-md5"}),
        ({"macs": "hmac-sha2-256,umac-64@openssh.com"}, "mac", Severity.LOW, {"umac-64@openssh.com"}),
    ],
)  # fmt: skip
def test_a_weak_offer_is_found(offer: dict[str, str], component: str, severity: Severity, names: set[str]) -> None:
    (issue,) = issues(ssh_server(**offer))
    assert (issue.check_id, issue.component, issue.severity) == ("ssh-weak-algorithms", component, severity)
    assert {*issue.evidence["broken"], *issue.evidence["weak"]} == names  # type: ignore[misc]


def test_rsa_with_sha_1_beside_better_keys_is_what_clients_never_take() -> None:
    assert not issues(ssh_server(keys="rsa-sha2-512,ssh-rsa"))


@pytest.mark.parametrize(
    ("hello", "severity"), [(b"SSH-1.99-Cisco-1.25\r\n", Severity.MEDIUM), (b"SSH-1.5-old_1.2\r\n", Severity.HIGH)]
)
def test_protocol_1_is_found(hello: bytes, severity: Severity) -> None:
    found = issues(ssh_server(hello))
    assert [(issue.check_id, issue.severity) for issue in found] == [("ssh-protocol-1", severity)]


def test_a_server_that_only_greets_is_known_and_its_algorithms_are_not_judged() -> None:
    with serving(greeting(b"SSH-2.0-OpenSSH_9.2p1\r\n")) as port:
        result = scan_one(port)
    assert result.open_ports[0].version == "9.2p1"
    assert not result.settles("ssh-weak-algorithms", port)


def test_lines_before_the_greeting_are_allowed() -> None:
    with serving(ssh_server(b"Welcome, stranger\r\nSSH-2.0-OpenSSH_9.9p1\r\n", ciphers="3des-cbc")) as port:
        result = scan_one(port)
    # Nothing tells that it is SSH where it is not usual, but nothing false is said of it either.
    assert {issue.check_id for issue in result.issues} <= {"open-port", "ssh-weak-algorithms"}


@pytest.mark.parametrize(
    "packet",
    [
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\0\0\x08\x04\x14" + b"\0" * 8,
        struct.pack("!IB", 60, 4) + b"\x14" + b"\0" * 16 + b"\xff\xff\xff\xff" + b"a" * 40,
        b"A" * 100_000,
        struct.pack("!IB", 34_000, 4) + b"\x14" + b"\0" * 16,
    ],
)
def test_a_hostile_offer_is_bounded_and_nothing_is_made_up(packet: bytes) -> None:
    def handle(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.9p1\r\n" + packet)
        while connection.recv(1024):
            pass

    began = time.monotonic()
    with serving(handle) as port:
        identity = identity_at(port)
    assert (identity.service, identity.details) == ("ssh", ())
    assert time.monotonic() - began < 30


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_an_offer_or_none(data: bytes, begins_well: bool) -> None:
    start = struct.pack("!IB", len(data) + 18, 4) + b"\x14" + b"\0" * 16 if begins_well else b""
    offer = read_algorithms(start + data)
    if offer is not None:
        names = (*offer.key_exchanges, *offer.host_keys, *offer.ciphers, *offer.macs)
        assert all(name.isprintable() and len(name) <= 120 for name in names)


@pytest.mark.skipif(not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()), reason="sshd is not installed")
def test_a_real_sshd(tmp_path: Path) -> None:
    key, port = tmp_path / "key", free_port()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    sshd = shutil.which("sshd") or "/usr/sbin/sshd"
    options = [f"ListenAddress={LOOPBACK}:{port}", f"HostKey={key}", "Ciphers=aes128-ctr,3des-cbc", "PidFile=none"]
    command = [sshd, "-D", "-e", "-f", "/dev/null", *(part for option in options for part in ("-o", option))]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((LOOPBACK, port)) == 0:
                    break
            time.sleep(0.05)
        if process.poll() is not None:
            pytest.skip("sshd does not start here")
        found = [issue for issue in scan_one(port).issues if issue.check_id == "ssh-weak-algorithms"]
    finally:
        process.terminate()
        process.wait()
    assert [issue.evidence["broken"] for issue in found] == [["3des-cbc"]]
