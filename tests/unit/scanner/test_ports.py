from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securenet.security.scanner.ports import ALL_PORTS, InvalidPorts, PortSet

checked = settings(max_examples=200, deadline=None, database=None)
ports = st.integers(1, 65535)
few_ports = st.sets(st.one_of(ports, st.integers(1, 40)), max_size=30)
ranges = st.tuples(ports, ports).map(lambda pair: (min(pair), max(pair)))


def test_a_list_of_ports_and_ranges_is_read():
    assert list(PortSet.parse("8080, 1-3 ,2-5,443")) == [1, 2, 3, 4, 5, 443, 8080]


def test_overlapping_and_adjacent_ranges_become_one():
    assert str(PortSet.parse("5-9,1-4,9-12,20")) == "1-12,20"


def test_all_ports_are_one_range():
    assert (str(ALL_PORTS), len(ALL_PORTS)) == ("1-65535", 65535)


@pytest.mark.parametrize(
    ("text", "part", "hint"),
    [
        ("80,0", "0", "from 1 to 65535"),
        ("65536", "65536", "from 1 to 65535"),
        ("1-70000", "1-70000", "from 1 to 65535"),
        ("22,90-80", "90-80", "80-90"),
        ("80,,81", ",", "separated by single commas"),
        ("80,", ",", "separated by single commas"),
        ("http", "http", "a port (8080)"),
        ("80;81", "80;81", "a port (8080)"),
        ("-5", "-5", "a port (8080)"),
        ("1-2-3", "1-2-3", "a port (8080)"),
        ("+80", "+80", "a port (8080)"),
        ("8_0", "8_0", "a port (8080)"),
        ("٨٠", "٨٠", "a port (8080)"),
        ("80\n,x\x00", "x\x00", "a port (8080)"),
        ("9" * 100, "9" * 40, "a port (8080)"),
        ("", "", "no ports given"),
        ("  ", "", "no ports given"),
        ("1," * 5000, "", "longer than"),
    ],
)
def test_a_wrong_part_is_named_with_what_to_write(text: str, part: str, hint: str):
    with pytest.raises(InvalidPorts) as caught:
        PortSet.parse(text)
    assert caught.value.part == part
    assert hint in str(caught.value)


def test_ranges_out_of_bounds_cannot_be_made_by_hand_either():
    with pytest.raises(InvalidPorts):
        PortSet(((0, 5),))


@checked
@given(st.lists(ranges, min_size=1, max_size=20))
def test_the_canonical_text_reads_back_as_the_same_set(chosen: list[tuple[int, int]]):
    made = PortSet(tuple(chosen))
    assert PortSet.parse(str(made)) == made
    assert str(PortSet.parse(str(made))) == str(made)


@checked
@given(few_ports, few_ports)
def test_it_behaves_as_a_set_of_numbers(left: set[int], right: set[int]):
    ours, theirs = PortSet.of(*left), PortSet.of(*right)
    assert list(ours) == sorted(left)
    assert len(ours) == len(left)
    assert set(ours & theirs) == left & right
    assert set(ours | theirs) == left | right
    assert set(ours - theirs) == left - right
    assert ours.issubset(theirs) == left.issubset(right)
    assert all((port in ours) == (port in left) for port in left | right | {1, 65535})


@checked
@given(st.text(max_size=30))
def test_any_text_is_a_port_set_or_a_named_error(text: str):
    try:
        made = PortSet.parse(text)
    except InvalidPorts:
        return
    assert all(1 <= first <= last <= 65535 for first, last in made.ranges)
