"""What is new, gone, unchanged and unchecked between what two scans saw."""

from __future__ import annotations

from securenet.security.comparison import Sights, compared
from securenet.security.scanner import ALL_PORTS, PortSet

HOST = "10.0.0.5"


def sights(seen: set[int] = frozenset(), gone: set[int] = frozenset(), ports: tuple[int, ...] = ()) -> Sights:
    """What a scan saw, all on one host that answered."""
    return Sights(frozenset(seen), frozenset(gone), frozenset((HOST, port) for port in ports), frozenset({HOST}))


def test_a_finding_is_new_gone_or_unchanged():
    found = compared(sights({1, 2}, gone={3}), sights({2, 3}), ALL_PORTS)
    assert (found.new, found.unchanged, found.gone, found.unchecked) == ({1}, {2}, {3}, frozenset())


def test_a_finding_that_was_not_looked_for_is_unchecked_not_gone():
    found = compared(sights({1}), sights({1, 2}), ALL_PORTS)
    assert (found.gone, found.unchecked) == (frozenset(), {2})


def test_what_was_gone_before_already_is_no_news():
    found = compared(sights(gone={1}), sights(gone={1}), ALL_PORTS)
    assert not any((found.new, found.gone, found.unchanged, found.unchecked))


def test_without_an_earlier_scan_everything_is_new():
    found = compared(sights({1, 2}, ports=(80,)), Sights(), ALL_PORTS)
    assert (found.new, found.opened) == ({1, 2}, {(HOST, 80)})


def test_ports_opened_and_closed_where_they_were_tried():
    found = compared(sights(ports=(22, 443)), sights(ports=(22, 80, 8080)), PortSet.parse("1-1024"))
    assert (found.opened, found.closed) == ({(HOST, 443)}, {(HOST, 80)})


def test_ports_of_a_host_that_did_not_answer_are_not_closed():
    assert compared(Sights(), sights(ports=(22,)), ALL_PORTS).closed == frozenset()
