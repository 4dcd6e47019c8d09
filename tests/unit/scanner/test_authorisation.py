from __future__ import annotations

import math
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securenet.security.scanner.authorisation import PinnedAddress, Scope, authorise
from securenet.security.scanner.ports import PortSet
from securenet.security.scanner.refusal import Refusal, TargetRefused

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
WEB = PortSet.of(80, 443)
EVERYWHERE = ("0.0.0.0/0", "::/0")
FORBIDDEN = [
    ip_network(text)
    for text in (
        "169.254.0.0/16", "fe80::/10", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "224.0.0.0/4",
        "ff00::/8", "255.255.255.255", "0.0.0.0/8", "::",
    )
]  # fmt: skip


def scope(network: str, ports: str = "1-65535", **kept: object) -> Scope:
    return Scope(ip_network(network), PortSet.parse(ports), **kept)  # type: ignore[arg-type]


def no_resolver(name: str) -> Sequence[str]:
    raise AssertionError(f"{name} was looked up")


def allowed(
    *targets: str,
    scopes: Sequence[Scope],
    ports: PortSet = WEB,
    resolver: object = no_resolver,
    limit: int = 4096,
) -> list[PinnedAddress]:
    return list(authorise(targets, scopes, ports, now=NOW, resolver=resolver, max_addresses=limit))  # type: ignore[arg-type]


def refused(*targets: str, **kept: object) -> TargetRefused:
    with pytest.raises(TargetRefused) as caught:
        allowed(*targets, **kept)  # type: ignore[arg-type]
    return caught.value


def test_without_a_scope_nothing_may_be_scanned():
    assert refused("10.0.0.1", scopes=[]).reason is Refusal.OUTSIDE


def test_an_address_is_pinned_to_the_scope_that_covers_it():
    office, lab = scope("10.0.0.0/8", name="office"), scope("192.168.0.0/16", name="lab")
    pins = allowed("192.168.3.4", "10.1.1.1", scopes=[office, lab])
    assert [(str(pin.address), pin.scope.name) for pin in pins] == [
        ("192.168.3.4", "lab"),
        ("10.1.1.1", "office"),
    ]


def test_the_smallest_live_network_decides_alone():
    wide, fragile = scope("10.0.0.0/8", rate=1000), scope("10.9.0.0/16", "80,443", rate=5)
    assert allowed("10.9.1.1", scopes=[wide, fragile])[0].scope is fragile
    assert refused("10.9.1.1", scopes=[wide, fragile], ports=PortSet.of(22)).reason is Refusal.PORTS


def test_an_expired_smaller_network_leaves_the_decision_to_the_wider_one():
    wide, ended = scope("10.0.0.0/8"), scope("10.9.0.0/16", valid_until=NOW)
    assert allowed("10.9.1.1", scopes=[ended, wide])[0].scope is wide


def test_of_two_scopes_of_one_network_the_one_that_allows_the_ports_counts():
    ssh, web = scope("10.0.0.0/8", "22"), scope("10.0.0.0/8", "80,443")
    assert allowed("10.0.0.1", scopes=[ssh, web])[0].scope is web


def test_an_expired_scope_is_refused_with_the_time_it_ended():
    ended = scope("10.0.0.0/8", valid_until=NOW - timedelta(seconds=1), name="January test")
    error = refused("10.0.0.1", scopes=[ended])
    assert error.reason is Refusal.EXPIRED
    assert "January test" in error.detail
    assert "2026-01-15T11:59" in error.detail


def test_a_scope_ends_at_its_very_moment():
    assert allowed("10.0.0.1", scopes=[scope("10.0.0.0/8", valid_until=NOW + timedelta(microseconds=1))])
    assert refused("10.0.0.1", scopes=[scope("10.0.0.0/8", valid_until=NOW)]).reason is Refusal.EXPIRED


def test_ports_outside_the_scope_are_named():
    error = refused("10.0.0.1", scopes=[scope("10.0.0.0/8", "1-1024")], ports=PortSet.parse("80,5000-5001"))
    assert error.reason is Refusal.PORTS
    assert "leave out 5000-5001" in error.detail


def test_a_block_must_be_covered_to_its_last_address():
    error = refused("10.0.0.0/29", scopes=[scope("10.0.0.0/30"), scope("10.0.0.4/31")])
    assert error.reason is Refusal.OUTSIDE
    assert "10.0.0.6" in str(error)
    assert error.target == "10.0.0.0/29"


def test_every_address_of_a_host_name_must_be_covered():
    inside = [scope("10.0.0.0/8")]
    answers = ["10.0.0.1", "192.0.2.9"]
    error = refused("host.example", scopes=inside, resolver=lambda name: answers)
    assert (error.target, error.reason) == ("host.example", Refusal.OUTSIDE)
    assert "192.0.2.9" in error.detail


def test_a_host_name_is_looked_up_once_and_what_it_says_later_does_not_count():
    asked: list[str] = []

    def rebinding(name: str) -> Sequence[str]:
        asked.append(name)
        return ["10.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    pins = allowed("host.example", scopes=[scope("10.0.0.0/8")], resolver=rebinding)
    assert [(str(pin.address), pin.hostname) for pin in pins] == [("10.0.0.1", "host.example")]
    assert asked == ["host.example"]


def test_each_address_is_scanned_once_and_under_its_best_description():
    pins = allowed(
        "10.0.0.0/30", "10.0.0.1", "10.0.0.2", "host.example",
        scopes=[scope("10.0.0.0/8")], resolver=lambda name: ["10.0.0.2"],
    )  # fmt: skip
    assert [(str(pin.address), pin.hostname, pin.from_block) for pin in pins] == [
        ("10.0.0.1", None, False),
        ("10.0.0.2", "host.example", False),
    ]


def test_the_addresses_of_all_targets_together_are_limited():
    inside = [scope("10.0.0.0/8")]
    assert len(allowed("10.0.0.0/29", scopes=inside, limit=8)) == 6
    assert refused("10.0.0.0/29", "10.1.0.1", scopes=inside, limit=8).reason is Refusal.TOO_MANY
    many = [f"10.0.1.{n}" for n in range(9)]
    error = refused("host.example", scopes=inside, limit=8, resolver=lambda name: many)
    assert error.reason is Refusal.TOO_MANY


@pytest.mark.parametrize("block", ["0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/64"])
def test_a_huge_block_is_refused_without_being_counted_out(block: str):
    assert refused(block, scopes=[scope(network) for network in EVERYWHERE]).reason is Refusal.TOO_MANY


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("169.254.169.254", Refusal.METADATA),
        ("169.254.170.2", Refusal.METADATA),
        ("100.100.100.200", Refusal.METADATA),
        ("168.63.129.16", Refusal.METADATA),
        ("192.0.0.192", Refusal.METADATA),
        ("fd00:ec2::254", Refusal.METADATA),
        ("::ffff:169.254.169.254", Refusal.METADATA),
        ("64:ff9b::a9fe:a9fe", Refusal.METADATA),
        ("169.254.0.1", Refusal.LINK_LOCAL),
        ("fe80::1", Refusal.LINK_LOCAL),
        ("224.0.0.1", Refusal.MULTICAST),
        ("ff02::1", Refusal.MULTICAST),
        ("255.255.255.255", Refusal.BROADCAST),
        ("0.0.0.0", Refusal.UNSPECIFIED),
        ("0.1.2.3", Refusal.UNSPECIFIED),
        ("::", Refusal.UNSPECIFIED),
        ("250.1.1.1", Refusal.RESERVED),
    ],
)
def test_some_addresses_are_never_scanned_whatever_the_scopes_say(target: str, reason: Refusal):
    assert refused(target, scopes=[scope(network) for network in EVERYWHERE]).reason is reason


def test_a_forbidden_address_is_called_so_even_where_no_scope_covers_it():
    assert refused("169.254.169.254", scopes=[scope("10.0.0.0/8")]).reason is Refusal.METADATA


def test_a_block_that_contains_a_metadata_address_is_refused():
    assert refused("168.63.129.0/24", scopes=[scope("0.0.0.0/0")]).reason is Refusal.METADATA


def test_the_broadcast_address_of_an_authorised_network_is_refused():
    assert refused("10.0.0.255", scopes=[scope("10.0.0.0/24")]).reason is Refusal.BROADCAST
    assert allowed("10.0.0.255", scopes=[scope("10.0.0.255/32")])


def test_a_block_leaves_out_the_broadcast_addresses_of_the_networks_in_it():
    wide, inner = scope("10.0.0.0/8"), scope("10.0.5.0/25")
    found = {str(pin.address) for pin in allowed("10.0.5.0/24", scopes=[wide, inner])}
    assert len(found) == 253
    assert "10.0.5.127" not in found


def test_an_address_outside_its_scope_cannot_be_pinned():
    with pytest.raises(TargetRefused):
        PinnedAddress(ip_address("10.0.0.1"), scope("192.168.0.0/16"))
    with pytest.raises(TargetRefused):
        PinnedAddress(ip_address("169.254.169.254"), scope("0.0.0.0/0"))
    with pytest.raises(TargetRefused):
        PinnedAddress(ip_address("::ffff:10.0.0.1"), scope("::/0"))
    with pytest.raises(TargetRefused):
        PinnedAddress(ip_address("10.0.0.1"), scope("10.0.0.0/8"), hostname="x\r\nEvil: 1")


@pytest.mark.parametrize("rate", [0, -1, math.nan])
def test_a_scope_needs_a_positive_rate(rate: float):
    with pytest.raises(ValueError, match="above 0"):
        scope("10.0.0.0/8", rate=rate)


def test_a_scope_with_a_naive_end_or_an_ipv4_network_in_disguise_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        scope("10.0.0.0/8", valid_until=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="write the IPv4 network"):
        scope("::ffff:10.0.0.0/104")


# Ways to write, or to lead to, an address that the check must see for what it is.
# fmt: off
SPELLINGS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0x0.0x0.0x1", "0x7f.1", "0X7F000001",
    "017700000001", "0177.0.0.1", "0177.0.0.01", "00000177.0.0.1", "127.0.0.1.", "127.0.0.1..",
    "127.000.000.001", "127.0.0.1%20", "127.0.0.1%00", "127.0.0.1/32", "127.0.0.1/8", "127.0.0.0/30",
    "localhost", "localhost.", "LOCALHOST", "ip6-localhost", "0", "0.0.0.0", "00", "0x0", "0.0", "::1",
    "[::1]", "0:0:0:0:0:0:0:1", "::1%lo", "::1/128", "::", "::127.0.0.1", "::ffff:127.0.0.1",
    "::ffff:7f00:1", "::FFFF:127.0.0.1", "0:0:0:0:0:ffff:7f00:0001", "::ffff:0:127.0.0.1",
    "::ffff:127.0.0.1/128", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::127.0.0.1",
    "2002:7f00:1::", "2002:7f00:0001::1", "2001:0:7f00:1::80ff:fffe", "fe80::5efe:127.0.0.1", "fe80::1",
    "fe80::1%eth0", "fe80::1%25lo", "169.254.169.254", "2852039166", "0xa9fea9fe", "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376", "0251.254.169.254", "169.254.43518", "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::", "fd00:ec2::254", "FD00:0EC2::254",
    "fd00:ec2:0:0:0:0:0:254", "100.100.100.200", "::ffff:100.100.100.200", "168.63.129.16",
    "::ffff:a83f:8110", "255.255.255.255", "0xffffffff", "4294967295", "224.0.0.1", "ff02::1",
    "http://169.254.169.254/", "169.254.169.254:80", "a@169.254.169.254", "169.254.169.254#x",
    "169.254.169.254?x", "169.254.169.254\\x", "１６９.254.169.254", "169。254。169。254", "①⑥⑨.254.169.254",
    "10.0.0.1,169.254.169.254", "10.0.0.0/0", "10.0.0.1.nip.io", "169.254.169.254.nip.io",
    "169.254.169.254\n", " 169.254.169.254", "169.254.169.254\t", "10.0.0.1 169.254.169.254",
    "10.0.0.1\x00.example", "10.0.0.1\n169.254.169.254", "169.254.169.254\u200b", "169.254.169.254\r",
]
# fmt: on


def c_library(name: str) -> Sequence[str]:
    """What this machine's resolver makes of a name, lenient as it is, without asking a name server."""
    if name.endswith("localhost"):
        return ["127.0.0.1", "::1"]
    numeric = name.removesuffix(".nip.io")  # a service that answers with the address in the name
    return [str(found[4][0]) for found in socket.getaddrinfo(numeric, None, flags=socket.AI_NUMERICHOST)]


@pytest.mark.parametrize("spelling", [*SPELLINGS, "10.0.0.1 ", "::ffff:10.0.0.1", "64:ff9b::a00:1"])
def test_no_spelling_leads_outside_the_scope(spelling: str):
    network = ip_network("10.0.0.0/8")
    try:
        pins = allowed(spelling, scopes=[Scope(network)], resolver=c_library)
    except TargetRefused:
        return
    assert pins
    assert all(pin.address in network for pin in pins)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_leads_to_a_forbidden_address_even_if_everything_is_authorised(spelling: str):
    try:
        pins = allowed(spelling, scopes=[scope(network) for network in EVERYWHERE], resolver=c_library)
    except TargetRefused:
        return
    assert pins
    assert not [pin for pin in pins if any(pin.address in network for network in FORBIDDEN)]
    assert all(getattr(pin.address, "ipv4_mapped", None) is None for pin in pins)


def test_the_corpus_is_large_and_not_refused_wholesale():
    assert len(set(SPELLINGS)) >= 90
    loopback = [scope("127.0.0.0/8"), scope("::1/128")]
    accepted = []
    for spelling in SPELLINGS:
        try:
            accepted += allowed(spelling, scopes=loopback, resolver=c_library)
        except TargetRefused:
            continue
    assert len(accepted) >= 10
    assert {str(pin.address) for pin in accepted} == {"127.0.0.1", "127.0.0.2", "::1"}


@settings(max_examples=400, deadline=None, database=None)
@given(
    st.text(alphabet="0123456789abcdefx.:/%-[]@ eE١\t。", max_size=24),
    st.sampled_from(["10.0.0.0/8", "::/0"]),
)
def test_any_text_is_refused_or_stays_in_scope(text: str, network: str):
    try:
        pins = allowed(text, scopes=[scope(network)], resolver=c_library)
    except TargetRefused:
        return
    assert all(pin.address in ip_network(network) for pin in pins)
    assert not [pin for pin in pins if any(pin.address in net for net in FORBIDDEN)]


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(st.ip_addresses().map(str), min_size=1, max_size=4))
def test_whatever_a_name_resolves_to_only_scope_is_scanned(answers: list[str]):
    try:
        pins = allowed("host.example", scopes=[scope("0.0.0.0/1"), scope("8000::/1")], resolver=lambda name: answers)
    except TargetRefused:
        return
    assert all(pin.address in pin.scope.network for pin in pins)
    assert not [pin for pin in pins if any(pin.address in network for network in FORBIDDEN)]
