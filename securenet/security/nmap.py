"""Reads what ``nmap -oX`` wrote: the run, its hosts, and what listens on them. Pure; nmap itself is never run.

Whoever was scanned chose much of such a file. So nothing in it can define entities or refer to anything outside, all
texts go through `banners`, and a host is handed on before the next is read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import IO, Final, NoReturn
from xml.etree.ElementTree import ParseError

from defusedxml.ElementTree import DefusedXMLParser

from securenet.security.scanner import PortSet, PortState, TargetRefused, parse_target
from securenet.security.scanner.addresses import Address, canonical, refuse_forbidden
from securenet.security.scanner.banners import field as short
from securenet.security.scanner.banners import readable
from securenet.security.scanner.ports import LAST_PORT
from securenet.security.scanner.targets import HostTarget

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_HOSTS: Final = 65_536
# A host on which more is open is a tarpit or a proxy.
MAX_OPEN_PORTS: Final = 1024
# Large, since expat (before 2.6) looks at an unfinished token again with each chunk.
_CHUNK: Final = 1024 * 1024
_MAX_DEPTH: Final = 64
_MAX_NAMES: Final = 512  # of elements and attributes; nmap has some 150

# What -sS and -sT call themselves; other kinds of scan cannot tell whether a port is open.
_TELLING: Final = frozenset({"syn", "connect"})
_STATES: Final = {"open": PortState.OPEN, "closed": PortState.CLOSED}
_NOT_RECOGNISED: Final = frozenset({"", "unknown", "tcpwrapped"})
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)


class NmapRefused(ValueError):
    """A file that is not taken in; the message says why, and what to do."""


class NotAnNmapFile(NmapRefused):
    """It is no complete XML file of nmap's, or not one of a scan of TCP ports."""


class NmapFileTooLarge(NmapRefused):
    """It holds more than is read at once."""


@dataclass(frozen=True, slots=True)
class NmapPort:
    """A TCP port that the file lists. service: nmap's name of what answered, "" where nothing was recognised (a mere
    guess from the port's number counts for nothing); said: what the service said itself, where a script asked it."""

    port: int
    state: PortState
    service: str = ""
    over_tls: bool = False
    product: str = ""
    version: str = ""
    extra: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class NmapHost:
    """A host that answered.

    name: by which it was asked for, if by one; reverse_name: from the DNS; closed: ports that are closed and not
    listed; udp_ports: how many ports of other protocols the file lists, which are left.
    """

    address: Address
    name: str
    reverse_name: str
    seen_at: datetime
    ports: tuple[NmapPort, ...]
    closed: PortSet
    udp_ports: int = 0


@dataclass(frozen=True, slots=True)
class NmapRun:
    """A whole file in short. scanned: the TCP ports that were tried; repeated: addresses that are there more than
    once; left_out: hosts that are up by an address that is never scanned, such as fe80::1."""

    arguments: str
    version: str
    started_at: datetime
    finished_at: datetime
    scanned: PortSet
    hosts_total: int
    addresses: tuple[Address, ...]
    repeated: frozenset[Address]
    open_ports: int
    udp_ports: int
    left_out: int


def chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """All of a seekable file from its beginning, in pieces. Raises NmapFileTooLarge past `MAX_BYTES`."""
    stream.seek(0)
    total = 0
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
        if total > MAX_BYTES:
            raise NmapFileTooLarge(f"The file has more than {MAX_BYTES} bytes; scan fewer hosts at a time.")
        yield chunk


def read_run(stream: IO[bytes]) -> NmapRun:
    """Read a file to its end without keeping its hosts, so that all that is wrong with it is known before use.

    Args:
        stream: seekable; XML, not compressed.

    Raises:
        NotAnNmapFile: it is something else, cut off, unfinished, or holds entities.
        NmapFileTooLarge: more than `MAX_BYTES` or `MAX_HOSTS`.
    """
    reader = _Reader()
    seen: Counter[Address] = Counter()
    open_ports = udp_ports = 0
    for host in _hosts(stream, reader):
        seen[host.address] += 1
        open_ports += sum(port.state is PortState.OPEN for port in host.ports)
        udp_ports += host.udp_ports
    return NmapRun(
        arguments=reader.arguments,
        version=reader.version,
        started_at=reader.started_at,
        finished_at=max(reader.finished_at or reader.started_at, reader.started_at),
        scanned=reader.scanned,
        hosts_total=max(reader.hosts_total, reader.hosts_seen),
        addresses=tuple(seen),
        repeated=frozenset(address for address, times in seen.items() if times > 1),
        open_ports=open_ports,
        udp_ports=udp_ports,
        left_out=reader.left_out,
    )


def read_hosts(stream: IO[bytes]) -> Iterator[NmapHost]:
    """The hosts that answered, one after the other; raises as `read_run`."""
    yield from _hosts(stream, _Reader())


def _hosts(stream: IO[bytes], reader: _Reader) -> Iterator[NmapHost]:
    parser = _Parser(target=reader)
    try:
        for chunk in chunks(stream):
            parser.feed(chunk)
            yield from reader.take()
        parser.close()
    except NmapRefused:
        raise
    except ParseError as error:
        advice = "cut off, or no XML; give the whole file as nmap -oX wrote it, after nmap has ended"
        raise NotAnNmapFile(f"The file is {advice} ({error}).") from error
    except (ValueError, LookupError) as error:  # DefusedXmlException is one; encodings nobody knows are the other
        told = readable(str(error), 200)
        raise NotAnNmapFile(f"The file is not as nmap writes it ({told}); give it as nmap -oX wrote it.") from error
    yield from reader.take()
    reader.refuse_unfinished()


class _Parser(DefusedXMLParser):  # type: ignore[misc]
    """No entities, nothing from outside, and of document types only the bare one that nmap writes."""

    def __init__(self, target: _Reader) -> None:
        super().__init__(target=target, forbid_dtd=True, forbid_entities=True, forbid_external=True)

    def defused_start_doctype_decl(
        self, name: str, sysid: str | None, pubid: str | None, has_internal_subset: int
    ) -> None:
        if name != "nmaprun" or sysid or pubid or has_internal_subset:
            raise NotAnNmapFile(
                "The file has a document type of its own, which is not read; give it as nmap -oX wrote it, where that "
                "line is <!DOCTYPE nmaprun>."
            )


class _Reader:
    """The parser's target: gathers the run, and each host as it ends. Element by element; no tree is built."""

    def __init__(self) -> None:
        self.arguments = self.version = ""
        self.started_at = datetime.fromtimestamp(0, UTC)
        self.finished_at: datetime | None = None
        self.scanned = PortSet()
        self.hosts_total = self.hosts_seen = self.left_out = 0
        self._ports_tried = 0  # of all protocols
        self._ready: list[NmapHost] = []
        self._path: list[str] = []
        self._names: set[str] = set()
        self._host: _Host | None = None

    def take(self) -> list[NmapHost]:
        """The hosts that have ended since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def refuse_unfinished(self) -> None:
        """Raise NotAnNmapFile unless the file says that nmap came to its end."""
        if self.finished_at is None:
            raise NotAnNmapFile("The scan was not finished when this file was written; scan again, or nmap --resume.")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        self._names.update(attributes, (tag,))
        if len(self._path) >= _MAX_DEPTH or len(self._names) > _MAX_NAMES:
            raise NotAnNmapFile("The file is not built as nmap builds its own; give it as nmap -oX wrote it.")
        match self._path:
            case []:
                self._start_run(tag, attributes)
            case ["nmaprun"]:
                self._start_part(tag, attributes)
            case ["nmaprun", "runstats"]:
                self._start_statistics(tag, attributes)
            case ["nmaprun", "host", *within] if self._host is not None:
                self._host.start(within, tag, attributes)
        self._path.append(tag)

    def end(self, tag: str) -> None:
        """An element ends."""
        self._path.pop()
        if self._path == ["nmaprun"] and self._host is not None:
            self._end_host(self._host)
            self._host = None

    def _start_run(self, tag: str, attributes: Mapping[str, str]) -> None:
        scanner = short(attributes.get("scanner", ""))
        if tag != "nmaprun" or scanner != "nmap":
            told = f"was written by {scanner}" if scanner else f"begins with <{short(tag)}>"
            raise NotAnNmapFile(f"The file {told}; import what nmap -oX wrote.")
        self.arguments = readable(attributes.get("args", ""), 8192)
        self.version = short(attributes.get("version", ""))
        self.started_at = _time(attributes, "start")

    def _start_part(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "scaninfo":
            self._ports_tried += _number(attributes, "numservices")
            if attributes.get("protocol") == "tcp" and attributes.get("type") in _TELLING:
                self.scanned |= _port_set(attributes.get("services", ""))
        elif tag == "host":
            self.hosts_seen += 1
            if self.hosts_seen > MAX_HOSTS:
                raise NmapFileTooLarge(f"The file has more than {MAX_HOSTS} hosts; scan fewer at a time.")
            if not self.scanned:
                _refuse_without_ports()
            seen_at = _time(attributes, "endtime") if "endtime" in attributes else self.started_at
            self._host = _Host(seen_at, is_timed_out=attributes.get("timedout") == "true")

    def _start_statistics(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "hosts":
            self.hosts_total = min(_number(attributes, "total"), 2**31 - 1)
        elif tag == "finished":
            if not self.scanned:
                _refuse_without_ports()
            if attributes.get("exit", "success") != "success":
                message = short(attributes.get("errormsg", "")) or "no reason is given"
                raise NotAnNmapFile(f"nmap did not come to its end ({message}); scan again.")
            self.finished_at = _time(attributes, "time")

    def _end_host(self, host: _Host) -> None:
        if not host.is_up or host.is_timed_out or not host.address:
            return
        try:
            address = canonical(ip_address(host.address))
            refuse_forbidden(address)
        except TargetRefused:
            self.left_out += 1
            return
        except ValueError as error:
            raise NotAnNmapFile(f"{short(host.address)!r} is no address; give the file as nmap wrote it.") from error
        closed = host.closed(self.scanned, self._ports_tried)
        # -Pn calls every host up; one that nothing answered from says nothing.
        if host.has_answered or closed or any(port.state is not PortState.FILTERED for port in host.ports.values()):
            self._ready.append(host.finished(address, closed))


@dataclass(slots=True)
class _Extra:
    """Ports that are not listed one by one. ports: those named, which nmap does from 7.93 on."""

    state: str
    count: int
    ports: PortSet | None = None


@dataclass(slots=True)
class _Host:
    """A host while it is read."""

    seen_at: datetime
    is_timed_out: bool
    address: str = ""
    name: str = ""
    reverse_name: str = ""
    is_up: bool = False
    has_answered: bool = False
    ports: dict[int, NmapPort] = field(default_factory=dict)
    extras: list[_Extra] = field(default_factory=list)
    listed: int = 0
    udp_ports: int = 0
    _port: dict[str, str] = field(default_factory=dict)
    _said: str = ""

    def start(self, within: list[str], tag: str, attributes: Mapping[str, str]) -> None:
        """An element within the host begins."""
        match within, tag:
            case [], "status":
                self.is_up = attributes.get("state") == "up"
                self.has_answered = attributes.get("reason") != "user-set"
            case [], "address" if attributes.get("addrtype") in ("ipv4", "ipv6"):
                self.address = self.address or attributes.get("addr", "")
            case ["hostnames"], "hostname":
                self._start_name(attributes)
            case ["ports"], "extraports":
                self.extras.append(_Extra(attributes.get("state", ""), _number(attributes, "count")))
            case ["ports", "extraports"], "extrareasons" if "ports" in attributes and self.extras:
                extra = self.extras[-1]
                named = _port_set(attributes["ports"]) if attributes.get("proto") == "tcp" else PortSet()
                extra.ports = named if extra.ports is None else extra.ports | named
            case ["ports"], "port":
                self.listed += 1
                self._port = {"protocol": attributes.get("protocol", ""), "portid": attributes.get("portid", "")}
            case ["ports", "port"], "state":
                self._add_port(attributes.get("state", ""))
            case ["ports", "port"], "service" if attributes.get("method") == "probed":
                self._recognise(attributes)
            case ["ports", "port"], "script" if attributes.get("id") == "banner":
                self._hear(attributes.get("output", ""))

    def closed(self, scanned: PortSet, tried: int) -> PortSet:
        """The ports known to be closed though they are not listed.

        Args:
            scanned: the TCP ports that were tried.
            tried: how many ports of all protocols were tried.
        """
        named = [extra.ports for extra in self.extras if extra.state == "closed" and extra.ports is not None]
        closed = PortSet(tuple(span for ports in named for span in ports.ranges))
        match self.extras:
            # Older versions of nmap name none; where one state holds for all that is not listed, it is known still.
            case [_Extra(state="closed", count=count, ports=None)] if count == tried - self.listed:
                closed = scanned
        return (closed & scanned) - PortSet.of(*self.ports)

    def finished(self, address: Address, closed: PortSet) -> NmapHost:
        """The host as it is handed on."""
        ports = [port for _, port in sorted(self.ports.items())]
        is_open = [port for port in ports if port.state is PortState.OPEN]
        left_out = {port.port for port in is_open[MAX_OPEN_PORTS:]}
        kept = tuple(port for port in ports if port.port not in left_out)
        return NmapHost(address, self.name, self.reverse_name, self.seen_at, kept, closed, self.udp_ports)

    def _start_name(self, attributes: Mapping[str, str]) -> None:
        name = _host_name(attributes.get("name", ""))
        if attributes.get("type") == "user":
            self.name = self.name or name
        else:
            self.reverse_name = self.reverse_name or name

    def _add_port(self, state: str) -> None:
        if self._port["protocol"] != "tcp":
            self.udp_ports += 1
            return
        number = _number(self._port, "portid")
        if not 0 < number <= LAST_PORT or number in self.ports:
            return
        self.ports[number] = NmapPort(number, _STATES.get(state, PortState.FILTERED))

    def _last_open(self) -> NmapPort | None:
        """The open port whose element is being read."""
        if self._port.get("protocol") != "tcp":
            return None
        port = self.ports.get(_number(self._port, "portid"))
        return port if port and port.state is PortState.OPEN else None

    def _recognise(self, attributes: Mapping[str, str]) -> None:
        over_tls = attributes.get("tunnel") == "ssl"
        name = short(attributes.get("name", "")).lower()
        if (port := self._last_open()) and (over_tls or name not in _NOT_RECOGNISED):
            self.ports[port.port] = NmapPort(
                port=port.port,
                state=port.state,
                service="" if name in _NOT_RECOGNISED else name,
                over_tls=over_tls,
                product=short(attributes.get("product", "")),
                version=short(attributes.get("version", "")),
                extra=short(attributes.get("extrainfo", "")),
                said=port.said,
            )

    def _hear(self, output: str) -> None:
        if port := self._last_open():
            self.ports[port.port] = replace(port, said=readable(output))


def _refuse_without_ports() -> NoReturn:
    raise NotAnNmapFile("The file holds no scan of TCP ports; import one that was made with nmap -sS or -sT.")


def _host_name(text: str) -> str:
    """A host name as the product's own scans spell it; "" for what is none."""
    try:
        target = parse_target(text)
    except TargetRefused:
        return ""
    return target.name if isinstance(target, HostTarget) else ""


def _number(attributes: Mapping[str, str], name: str) -> int:
    text = attributes.get(name, "")
    if not _NUMBER.fullmatch(text):
        raise NotAnNmapFile(f"{name}={short(text)!r} is no number; give the file as nmap -oX wrote it.")
    return int(text)


def _time(attributes: Mapping[str, str], name: str) -> datetime:
    return datetime.fromtimestamp(_number(attributes, name), UTC)


def _port_set(text: str) -> PortSet:
    """nmap's list of ports, of any length. Port 0 is dropped: nothing can listen there."""
    ranges: list[tuple[int, int]] = []
    for part in filter(None, text.split(",")):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise NotAnNmapFile(f"{short(part)!r} are no ports; give the file as nmap -oX wrote it.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last:
            ranges.append((max(first, 1), last))
    return PortSet(tuple(ranges))
