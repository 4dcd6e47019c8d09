"""What a host in a file of nmap's means to the product: its results, in the words of the product's own scanner. Pure.

A check judges only what the file tells, so most checks reach no verdict here and resolve nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

from securenet.security.nmap import NmapHost, NmapPort
from securenet.security.scanner import HostResult, Issue, PortResult, PortSet, PortState, TargetRefused, parse_target
from securenet.security.scanner.banners import readable
from securenet.security.scanner.checks import Check, assess
from securenet.security.scanner.observation import Observation, TlsHandshake
from securenet.security.scanner.ports import MAX_TEXT

# nmap's name -> ours, for services inside TLS that nmap names by their port.
_TLS_NAMES: Final = {
    "ssl": "", "https": "http", "imaps": "imap", "pop3s": "pop3", "smtps": "smtp", "ftps": "ftp", "ldapssl": "ldap",
    "telnets": "telnet", "ircs": "irc",
}  # fmt: skip
# nmap's name -> what the program calls itself. Others are left as nmap names them.
_PRODUCTS: Final = {
    "apache httpd": "Apache",
    "apache tomcat/coyote jsp engine": "Apache-Coyote",
    "dropbear sshd": "dropbear",
    "exim smtpd": "Exim",
    "filezilla ftpd": "FileZilla",
    "isc bind": "BIND",
    "memcached": "memcached",
    "microsoft iis httpd": "Microsoft-IIS",
    "postfix smtpd": "Postfix",
    "postgresql db": "PostgreSQL",
    "redis key-value store": "Redis",
    "valkey key-value store": "Valkey",
}
# The version of one program: no "9.6.0 or later", no "3.X - 4.X".
_EXACT = re.compile(r"[0-9][^ ]*", re.ASCII)
_VAGUE = re.compile(r" - | or | through |\.X\b|\bX\.", re.IGNORECASE)
# "9.2p1 Debian 2+deb12u3" was "OpenSSH_9.2p1 Debian-2+deb12u3" in the greeting.
_BUILT_BY = re.compile(r"\b(Debian|Ubuntu|Raspbian|FreeBSD) ([0-9][0-9A-Za-z.+~]{0,40})")
_MARIADB = re.compile(r"(?:5\.5\.5-)?([0-9.]+)-MariaDB", re.IGNORECASE)

# Options that take the next word as their value.
_WITH_VALUE: Final = frozenset({
    "-p", "-e", "-g", "-D", "-S", "-M", "-T", "-b", "-sI", "-oN", "-oX", "-oG", "-oS", "-oA", "--exclude",
    "--excludefile", "--exclude-ports", "--top-ports", "--port-ratio", "--script", "--script-args",
    "--script-args-file", "--script-timeout", "--dns-servers", "--scanflags", "--version-intensity", "--min-rate",
    "--max-rate", "--min-parallelism", "--max-parallelism", "--min-hostgroup", "--max-hostgroup", "--min-rtt-timeout",
    "--max-rtt-timeout", "--initial-rtt-timeout", "--max-retries", "--host-timeout", "--scan-delay",
    "--max-scan-delay", "--mtu", "--ttl", "--source-port", "--data", "--data-string", "--data-length", "--ip-options",
    "--spoof-mac", "--proxies", "--stats-every", "--stylesheet", "--datadir", "--servicedb", "--versiondb",
    "--max-os-tries", "--nsock-engine",
})  # fmt: skip
_FROM_ELSEWHERE: Final = ("-iL", "-iR", "--resume")


def host_result(host: NmapHost, checks: Sequence[Check], known: frozenset[int] | None = None) -> HostResult:
    """The results of a host, as the product's own scan would give them.

    Args:
        host: as the file has it.
        checks: what open ports are judged by.
        known: ports at which something is known. Of those that are closed and not listed one by one, which may be
            65,535, only these are among the results; None: all of them.
    """
    ports: list[PortResult] = []
    issues: list[Issue] = []
    for port in host.ports:
        if port.state is not PortState.OPEN:
            ports.append(PortResult(port.port, port.state))
            continue
        observation = observation_of(host, port)
        assessment = assess(observation, checks)
        issues.extend(assessment.issues)
        ports.append(PortResult.of(observation, assessment.assessed))
    ports.extend(PortResult(port, PortState.CLOSED) for port in _of_interest(host.closed, known))
    ports.sort(key=lambda result: result.port)
    return HostResult(host.address, host.name or None, True, tuple(ports), tuple(issues))


def observation_of(host: NmapHost, port: NmapPort) -> Observation:
    """An open port as the product's own scanner would describe it."""
    product, version = _program(port)
    over_tls = port.over_tls or port.service in _TLS_NAMES
    return Observation(
        address=host.address,
        port=port.port,
        seen_at=host.seen_at,
        hostname=host.name or None,
        service=_service(port, over_tls),
        product=product,
        version=version,
        banner=_banner(port, product, version),
        # That a handshake was made is all that the file tells of TLS.
        details=(TlsHandshake(),) if over_tls else (),
    )


def targets_in(arguments: str) -> tuple[str, ...]:
    """The targets in nmap's command line; none unless all are ones that the product's own scans could have."""
    try:
        words = shlex.split(arguments)[1:]
    except ValueError:
        return ()
    targets: list[str] = []
    is_value = False
    for word in words:
        if word.startswith(_FROM_ELSEWHERE):
            return ()
        if not is_value and not word.startswith("-"):
            targets.append(word)
        is_value = not is_value and word in _WITH_VALUE
    try:
        for target in targets:
            parse_target(target)
    except TargetRefused:
        return ()
    return tuple(targets)


def ports_text(scanned: PortSet) -> str:
    """The ports that were tried, as text that `PortSet.parse` reads: as many as it takes, the lowest first."""
    text = str(scanned)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT + 1].rpartition(",")[0]


def _of_interest(closed: PortSet, known: frozenset[int] | None) -> Iterable[int]:
    return closed if known is None else (port for port in known if port in closed)


def _service(port: NmapPort, over_tls: bool) -> str:
    """Our name: web servers are "https" inside TLS, and what nmap did not recognise there is "tls"."""
    if not over_tls:
        return port.service
    inner = _TLS_NAMES.get(port.service, port.service)
    return "https" if inner == "http" else inner or "tls"


def _program(port: NmapPort) -> tuple[str, str]:
    """Product and version as the program itself tells them; no version where nmap could only narrow it down."""
    if maria := _MARIADB.search(port.version):
        return "MariaDB", maria[1]
    product = _PRODUCTS.get(port.product.lower(), port.product)
    if _VAGUE.search(port.version):
        return product, ""
    exact = _EXACT.match(port.version)
    return product, exact[0] if exact else port.version


def _banner(port: NmapPort, product: str, version: str) -> str:
    """What the service said, where a script asked; else put together from nmap's words, with who built it."""
    if port.said:
        return port.said
    built_by = _BUILT_BY.search(f"{port.version} {port.extra}")
    if product == "OpenSSH" and version and built_by:
        return f"SSH-2.0-OpenSSH_{version} {built_by[1]}-{built_by[2]}"
    return readable(" ".join(filter(None, (port.product, port.version, port.extra))))
