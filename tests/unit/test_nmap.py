"""Files of nmap's: what is read of them, what is refused, and what they mean in the scanner's own words."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import islice
from typing import Any

import pytest

from securenet.security import nmap
from securenet.security.nmap import NmapFileTooLarge, NmapHost, NmapPort, NmapRun, NotAnNmapFile, read_hosts, read_run
from securenet.security.nmap_results import host_result, observation_of, ports_text, targets_in
from securenet.security.scanner import PortSet, PortState
from securenet.security.scanner.checks import all_checks
from securenet.vulnerabilities.distributions import build_of

START = 1_790_000_000
ARGUMENTS = "nmap -sS -sV -oX found.xml 192.0.2.0/28"
DOCTYPE = "<!DOCTYPE nmaprun>"
OPENSSH = (
    '<service name="ssh" product="OpenSSH" version="9.2p1 Debian 2+deb12u3" extrainfo="protocol 2.0" ostype="Linux" '
    'method="probed" conf="10"><cpe>cpe:/a:openbsd:openssh:9.2p1</cpe></service>'
)


def port(number: int, service: str = "", state: str = "open", protocol: str = "tcp", scripts: str = "") -> str:
    """An element of a port; ``service`` is XML."""
    reason = {"open": "syn-ack", "closed": "reset"}.get(state, "no-response")
    told = f'<state state="{state}" reason="{reason}" reason_ttl="64"/>'
    return f'<port protocol="{protocol}" portid="{number}">{told}{service}{scripts}</port>'


def probed(name: str, product: str = "", version: str = "", more: str = "") -> str:
    return f'<service name="{name}" product="{product}" version="{version}" {more} method="probed" conf="10"/>'


def extra(state: str, count: int, ports: str = "") -> str:
    """Ports that are not listed; nmap names them from 7.93 on."""
    named = f' proto="tcp" ports="{ports}"' if ports else ""
    reasons = f'<extrareasons reason="resets" count="{count}"{named}/>'
    return f'<extraports state="{state}" count="{count}">\n{reasons}\n</extraports>'


def host(
    address: str, *ports: str, names: str = "", status: str = "up", reason: str = "echo-reply", **more: Any
) -> str:
    kind = "ipv6" if ":" in address else "ipv4"
    attributes = "".join(f' {name}="{value}"' for name, value in more.items())
    return (
        f'<host starttime="{START + 1}" endtime="{START + 9}"{attributes}>'
        f'<status state="{status}" reason="{reason}" reason_ttl="63"/>\n'
        f'<address addr="{address}" addrtype="{kind}"/>\n'
        '<address addr="02:00:5E:10:00:01" addrtype="mac" vendor="Nobody &amp; Sons"/>\n'
        f"<hostnames>\n{names}</hostnames>\n<ports>{''.join(ports)}\n</ports>\n"
        '<times srtt="402" rttvar="217" to="100000"/>\n</host>'
    )


def scaninfo(services: str, kind: str = "syn", protocol: str = "tcp", count: int | None = None) -> str:
    number = len(PortSet.parse(services)) if count is None else count
    return f'<scaninfo type="{kind}" protocol="{protocol}" numservices="{number}" services="{services}"/>\n'


def document(
    *hosts: str,
    services: str = "1-100",
    info: str | None = None,
    doctype: str = DOCTYPE,
    arguments: str = ARGUMENTS,
    start: int = START,
    ending: str | None = None,
    scanner: str = "nmap",
) -> bytes:
    """A file as nmap 7.93 and later write it."""
    finished = (
        f'<runstats><finished time="{start + 20}" summary="Nmap done" elapsed="20.00" exit="success"/>'
        f'<hosts up="{len(hosts)}" down="14" total="16"/>\n</runstats>\n'
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}\n'
        '<?xml-stylesheet href="file:///usr/share/nmap/nmap.xsl" type="text/xsl"?>\n'
        f"<!-- Nmap 7.93 scan initiated as: {arguments.replace('--', '- -')} -->\n"
        f'<nmaprun scanner="{scanner}" args="{arguments}" start="{start}" version="7.93" xmloutputversion="1.05">\n'
        f"{scaninfo(services) if info is None else info}"
        '<verbose level="0"/>\n<debugging level="0"/>\n'
        '<hosthint><status state="up" reason="arp-response" reason_ttl="0"/>\n'
        '<address addr="203.0.113.99" addrtype="ipv4"/>\n<hostnames>\n</hostnames>\n</hosthint>\n'
        f"{''.join(hosts)}\n{finished if ending is None else ending}</nmaprun>\n"
    ).encode()


def run_of(data: bytes) -> NmapRun:
    return read_run(io.BytesIO(data))


def hosts_of(data: bytes) -> list[NmapHost]:
    return list(read_hosts(io.BytesIO(data)))


def only_host(*ports: str, services: str = "1-100", **more: Any) -> NmapHost:
    [found] = hosts_of(document(host("192.0.2.1", *ports, **more), services=services))
    return found


def only_port(service: str, scripts: str = "", number: int = 22) -> NmapPort:
    return only_host(port(number, service, scripts=scripts)).ports[0]


def observed(service: str, scripts: str = "") -> Any:
    """What the port of this service looks like to checks."""
    found = only_host(port(22, service, scripts=scripts))
    return observation_of(found, found.ports[0])


def refusal(data: bytes, kind: type[Exception] = NotAnNmapFile) -> str:
    with pytest.raises(kind) as refused:
        run_of(data)
    return str(refused.value)


# --- The run and its hosts


def test_the_run_tells_when_it_was_what_was_tried_and_how_much_was_found():
    found = run_of(
        document(host("192.0.2.1", port(22, OPENSSH), extra("closed", 99)), host("2001:db8::7", port(80), port(81)))
    )
    assert found.started_at == datetime.fromtimestamp(START, UTC)
    assert found.finished_at == datetime.fromtimestamp(START + 20, UTC)
    assert (found.arguments, found.version, found.hosts_total, found.open_ports) == (ARGUMENTS, "7.93", 16, 3)
    assert str(found.scanned) == "1-100"
    assert found.addresses == (ip_address("192.0.2.1"), ip_address("2001:db8::7"))


def test_a_host_is_known_by_its_address_its_time_and_its_names():
    names = (
        '<hostname name="WWW.Example.test." type="user"/>\n<hostname name="web-1.example.test" type="PTR"/>\n'
        '<hostname name="other.example.test" type="PTR"/>\n'
    )
    found = only_host(port(22), names=names)
    assert str(found.address) == "192.0.2.1"
    assert found.seen_at == datetime.fromtimestamp(START + 9, UTC)
    assert (found.name, found.reverse_name) == ("www.example.test", "web-1.example.test")


@pytest.mark.parametrize("name", ["a b", "x&quot;&gt;", "192.0.2.9", "-", "a" * 300, "&#x9b;2J"])
def test_what_is_no_host_name_is_none(name: str):
    assert only_host(port(22), names=f'<hostname name="{name}" type="PTR"/>').reverse_name == ""


@pytest.mark.parametrize(("listed", "is_there"), [(port(22), True), (port(23, state="filtered"), False)])
def test_with_pn_only_hosts_that_answered_are_up(listed: str, is_there: bool):
    silent = host("192.0.2.1", listed, extra("filtered", 99), reason="user-set")
    assert bool(hosts_of(document(silent))) is is_there


def test_down_hosts_and_those_given_up_are_left():
    data = document(
        host("192.0.2.1", status="down", reason="no-response"),
        host("192.0.2.2", timedout="true"),
        host("192.0.2.3", port(22)),
    )
    assert hosts_of(data) == hosts_of(document(host("192.0.2.3", port(22))))
    assert run_of(data).hosts_total == 16


def test_hosts_by_addresses_that_are_never_scanned_are_counted_and_left():
    data = document(host("fe80::1", port(22)), host("2002:c000:201::1", port(22)), host("::ffff:192.0.2.1", port(22)))
    assert [str(found.address) for found in hosts_of(data)] == ["192.0.2.1"]
    assert run_of(data).left_out == 2


def test_an_address_that_is_there_twice_is_told():
    twice = host("192.0.2.1", port(22))
    assert run_of(document(twice, host("192.0.2.2", port(22)), twice)).repeated == {ip_address("192.0.2.1")}


def test_ports_of_other_protocols_are_counted_and_left():
    data = document(
        host("192.0.2.1", port(53, probed("domain", "dnsmasq", "2.89"), protocol="udp"), port(53)),
        info=scaninfo("1-100") + scaninfo("53", "udp", "udp"),
    )
    [found] = hosts_of(data)
    assert (found.udp_ports, found.ports) == (1, (NmapPort(53, PortState.OPEN),))
    assert run_of(data).udp_ports == 1


@pytest.mark.parametrize(
    ("state", "read"),
    [
        ("open", PortState.OPEN),
        ("closed", PortState.CLOSED),
        ("filtered", PortState.FILTERED),
        ("unfiltered", PortState.FILTERED),
        ("open|filtered", PortState.FILTERED),
    ],
)
def test_states_are_open_closed_or_tell_nothing(state: str, read: PortState):
    assert only_host(port(80, state=state)).ports[0].state is read


# --- Ports that are not listed


def closed_of(*parts: str, **more: Any) -> str:
    return str(only_host(*parts, **more).closed)


def test_one_state_for_all_that_is_not_listed_makes_those_ports_closed():
    assert closed_of(port(22), extra("closed", 99)) == "1-21,23-100"


def test_where_several_states_are_not_told_apart_none_is_known():
    assert closed_of(port(22), extra("closed", 49), extra("filtered", 50)) == ""


def test_where_nmap_names_the_ports_each_state_is_known():
    assert closed_of(port(22), extra("closed", 2, "1,3"), extra("filtered", 97, "2,4-21,23-100")) == "1,3"


@pytest.mark.parametrize("part", [extra("filtered", 99), extra("closed", 98), ""])
def test_filtered_and_uncounted_ports_are_not_closed(part: str):
    assert closed_of(port(22), part) == ""


def test_an_old_count_over_two_protocols_closes_the_ports_of_tcp():
    data = document(
        host("192.0.2.1", port(22), extra("closed", 198)),
        info=scaninfo("1-100") + scaninfo("1-99", "udp", "udp"),
    )
    assert str(hosts_of(data)[0].closed) == "1-21,23-100"


def test_named_ports_of_udp_and_port_0_are_no_closed_ports():
    both = (
        '<extraports state="closed" count="4"><extrareasons reason="reset" count="2" proto="tcp" ports="0-2"/>'
        '<extrareasons reason="port-unreach" count="2" proto="udp" ports="53,67"/></extraports>'
    )
    assert closed_of(port(22), both) == "1-2"


# --- What listens


def test_a_service_is_what_answered_not_what_is_usual_at_that_port():
    guessed = '<service name="telnet" method="table" conf="3"/>'
    assert only_port(guessed, number=23).service == ""
    assert only_port(probed("telnet"), number=23).service == "telnet"
    assert only_port('<service name="tcpwrapped" method="probed" conf="8"/>').service == ""


@pytest.mark.parametrize(
    ("service", "name"),
    [
        (probed("http"), "http"),
        (probed("http", more='tunnel="ssl"'), "https"),
        (probed("https"), "https"),
        (probed("smtp", more='tunnel="ssl"'), "smtp"),
        (probed("imaps"), "imap"),
        (probed("ssl"), "tls"),
        (probed("unknown", more='tunnel="ssl"'), "tls"),
        (probed("ms-wbt-server"), "ms-wbt-server"),
        (probed("domain"), "domain"),
    ],
)
def test_services_have_the_scanners_names(service: str, name: str):
    assert observed(service).service == name


@pytest.mark.parametrize(
    ("service", "product", "version", "banner"),
    [
        (OPENSSH, "OpenSSH", "9.2p1", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3"),
        (
            probed("ssh", "OpenSSH", "8.9p1 Ubuntu 3ubuntu0.6"),
            "OpenSSH",
            "8.9p1",
            "SSH-2.0-OpenSSH_8.9p1 Ubuntu-3ubuntu0.6",
        ),
        (
            probed("ssh", "OpenSSH", "9.3", 'extrainfo="FreeBSD 20230719; protocol 2.0"'),
            "OpenSSH",
            "9.3",
            "SSH-2.0-OpenSSH_9.3 FreeBSD-20230719",
        ),
        (
            probed("ssh", "OpenSSH", "9.6", 'extrainfo="protocol 2.0"'),
            "OpenSSH",
            "9.6",
            "OpenSSH 9.6 protocol 2.0",
        ),
        (
            probed("http", "Apache httpd", "2.4.57", 'extrainfo="(Debian)"'),
            "Apache",
            "2.4.57",
            "Apache httpd 2.4.57 (Debian)",
        ),
        (probed("http", "nginx"), "nginx", "", "nginx"),
        (
            probed("postgresql", "PostgreSQL DB", "9.6.0 or later"),
            "PostgreSQL",
            "",
            "PostgreSQL DB 9.6.0 or later",
        ),
        (
            probed("netbios-ssn", "Samba smbd", "3.X - 4.X", 'extrainfo="workgroup: HOME"'),
            "Samba smbd",
            "",
            "Samba smbd 3.X - 4.X workgroup: HOME",
        ),
        (
            probed("mysql", "MySQL", "5.5.5-10.11.6-MariaDB-0+deb12u1"),
            "MariaDB",
            "10.11.6",
            "MySQL 5.5.5-10.11.6-MariaDB-0+deb12u1",
        ),
    ],
)
def test_products_and_versions_are_what_the_program_says_itself(service: str, product: str, version: str, banner: str):
    found = observed(service)
    assert (found.product, found.version, found.banner) == (product, version, banner)


def test_the_revision_of_the_distribution_survives():
    build = build_of(observed(OPENSSH).banner)
    assert build is not None
    assert (build.distribution, build.release, build.revision) == ("Debian", "12", "2+deb12u3")


def test_what_the_service_said_itself_is_its_banner():
    script = '<script id="banner" output="SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3"/><script id="other" output="x"/>'
    assert observed(probed("ssh", "OpenSSH", "9.2p1"), script).banner == "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3"


def test_texts_of_strangers_are_made_safe_and_short():
    nasty = "&#x202e;evil" + "x" * 5000 + "&#x9b;31m"
    found = observed(probed("http", nasty, nasty, f'extrainfo="{nasty}"'), f'<script id="banner" output="{nasty}"/>')
    for text, limit in ((found.product, 120), (found.version, 120), (found.banner, 1024)):
        assert text.startswith("evil")
        assert len(text) <= limit
        assert text.isprintable()


# --- What checks make of it


def issues_of(*ports: str, **more: Any) -> set[tuple[str, int]]:
    result = host_result(only_host(*ports, **more), all_checks())
    return {(issue.check_id, issue.port) for issue in result.issues}


def test_facts_in_the_file_give_findings_and_what_is_not_in_it_gives_none():
    telnet, tunnelled = port(23, probed("telnet")), port(92, probed("telnet", more='tunnel="ssl"'))
    assert issues_of(telnet, tunnelled) == {("open-port", 23), ("cleartext-protocol", 23), ("open-port", 92)}
    assert issues_of(port(23)) == {("open-port", 23)}


def test_only_what_the_file_can_settle_is_settled():
    listed = (port(22, OPENSSH), port(80, probed("http")), port(79), port(81, state="filtered"), extra("closed", 96))
    result = host_result(only_host(*listed), all_checks())
    assert result.settles("open-port", 99)
    assert result.settles("http-headers", 99)
    assert result.settles("anonymous-access", 80)
    assert not result.settles("http-headers", 80)
    assert not result.settles("anonymous-access", 79)
    assert not result.settles("open-port", 81)
    assert not result.settles("open-port", 101)


def test_tls_without_its_certificate_settles_nothing_about_it():
    result = host_result(only_host(port(93, probed("http", more='tunnel="ssl"'))), all_checks())
    assert not result.settles("tls-certificate", 93)
    assert not result.settles("tls-strength", 93)


def test_of_ports_that_are_not_listed_only_those_of_interest_are_results():
    found = only_host(port(22), extra("closed", 99))
    result = host_result(found, all_checks(), known=frozenset({22, 23, 4000}))
    assert [(one.port, one.state) for one in result.ports] == [(22, PortState.OPEN), (23, PortState.CLOSED)]
    assert len(host_result(found, all_checks()).ports) == 100


# --- What was asked for


@pytest.mark.parametrize(
    ("arguments", "targets"),
    [
        (ARGUMENTS, ("192.0.2.0/28",)),
        ("nmap -p 22,80 -T4 -A -oA out www.example.test 2001:db8::/120", ("www.example.test", "2001:db8::/120")),
        ("/usr/bin/nmap 127.0.0.1 -p- --script=banner --max-rate 50", ("127.0.0.1",)),
        ("nmap --exclude 192.0.2.1 192.0.2.0/30", ("192.0.2.0/30",)),
        ("nmap -iL list.txt", ()),
        ("nmap -iR 100", ()),
        ("nmap 192.0.2.1-20", ()),
        ("nmap 'unclosed", ()),
        ("", ()),
    ],
)
def test_targets_are_read_from_the_command_line_where_they_make_sense(arguments: str, targets: tuple[str, ...]):
    assert targets_in(arguments) == targets


def test_any_list_of_ports_is_kept_as_text_that_can_be_read_again():
    every_other = PortSet.of(*range(1, 60_000, 2))
    kept = PortSet.parse(ports_text(every_other))
    assert kept <= every_other
    assert len(kept) > 1000
    assert ports_text(PortSet.parse("1-1024,8080")) == "1-1024,8080"


# --- What is refused


LAUGHS = (
    '<!DOCTYPE nmaprun [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
OUTSIDE = '<!DOCTYPE nmaprun [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
FAR_AWAY = '<!DOCTYPE nmaprun SYSTEM "http://192.0.2.1/nmap.dtd">'


@pytest.mark.parametrize("doctype", [LAUGHS, OUTSIDE, FAR_AWAY, "<!DOCTYPE html>"])
def test_entities_and_documents_elsewhere_are_refused(doctype: str):
    assert "document type" in refusal(document(host("192.0.2.1", port(22)), doctype=doctype))
    assert hosts_of(document(host("192.0.2.1", port(22)), doctype=DOCTYPE))
    assert hosts_of(document(host("192.0.2.1", port(22)), doctype=""))


def test_an_entity_without_a_declaration_is_refused():
    assert refusal(document(host("192.0.2.1", port(22), names="&a;")))


def test_a_file_that_is_cut_off_anywhere_is_refused():
    whole = document(host("192.0.2.1", port(22, OPENSSH), extra("closed", 99)))
    end = len(whole.rstrip())
    for length in (*range(0, end, 97), end - 1):
        assert "give" in refusal(whole[:length]), length
    assert run_of(whole)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cut off, or no XML"),
        (b"# Nmap 7.93 scan initiated\nHost: 192.0.2.1 () Status: Up\n", "no XML"),
        (b"\x1f\x8b\x08\x00garbage", "no XML"),
        (b"<html><body/></html>", "<html>"),
        (b'<?xml version="1.0" encoding="x-nobody"?><nmaprun/>', "give"),
        (document(scanner="masscan"), "masscan"),
        (document(host("192.0.2.1"), info=""), "TCP"),
        (document(info=scaninfo("1-100", "udp", "udp")), "TCP"),
        (document(info=scaninfo("1-100", "ack")), "TCP"),
        (document(host("192.0.2.300", port(22))), "192.0.2.300"),
        (document(info='<scaninfo type="syn" protocol="tcp" numservices="1" services="80-"/>'), "80-"),
        (document(info='<scaninfo type="syn" protocol="tcp" numservices="1" services="90-80"/>'), "90-80"),
        (document(info='<scaninfo type="syn" protocol="tcp" numservices="x" services="80"/>'), "numservices"),
        (document(host("192.0.2.1", port(22)), ending=""), "not finished"),
        (
            document(ending=f'<runstats><finished time="{START}" exit="error" errormsg="No route"/></runstats>'),
            "No route",
        ),
        (document("<a>" * 100 + "</a>" * 100), "not built"),
        (document("".join(f"<a{number}/>" for number in range(2000))), "not built"),
    ],
)
def test_what_is_no_finished_scan_of_tcp_ports_is_refused_with_the_reason(data: bytes, words: str):
    assert words in refusal(data)


def test_too_many_hosts_and_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch):
    data = document(host("192.0.2.1", port(22)), host("192.0.2.2", port(22)))
    assert run_of(data)
    monkeypatch.setattr(nmap, "MAX_HOSTS", 1)
    assert "fewer" in refusal(data, NmapFileTooLarge)
    monkeypatch.undo()
    monkeypatch.setattr(nmap, "MAX_BYTES", len(data))
    assert run_of(data)
    assert "fewer" in refusal(data + b" ", NmapFileTooLarge)


def test_of_a_host_on_which_everything_is_open_no_more_is_kept_than_of_our_own_scans():
    found = only_host(*(port(number) for number in range(1, 2000)), extra("closed", 1), services="1-2000")
    assert len(found.ports) == nmap.MAX_OPEN_PORTS
    assert str(found.closed) == "2000"


class Endless(io.RawIOBase):
    """A file of many hosts that is made while it is read."""

    def __init__(self, hosts: int) -> None:
        head, _, tail = document("|").partition(b"|")
        self._pieces = self._written(head, tail, hosts)

    def _written(self, head: bytes, tail: bytes, hosts: int) -> Iterable[bytes]:
        yield head
        for number in range(hosts):
            one = host(f"10.{number >> 8 & 255}.{number & 255}.1", port(22, OPENSSH), extra("closed", 99))
            yield one.encode() + b"<!-- " + b"x" * 2000 + b" -->"
        yield tail

    def seek(self, *_: Any) -> int:
        return 0

    def read(self, size: int = -1) -> bytes:
        return b"".join(islice(self._pieces, 100))


def test_memory_does_not_grow_with_the_file():
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_hosts(Endless(8_000)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 8_000  # some 20 MB of XML
    assert most < 8 * 1024 * 1024
