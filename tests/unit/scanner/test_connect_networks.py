"""Ports behind something that drops packets, seen from another network namespace (needs the right to make
some)."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from .networks import ABSENT, TARGET, Networks, namespaces_are_permitted, networks
from .servers import LOOPBACK

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not namespaces_are_permitted(), reason="network namespaces cannot be made here"),
]


@pytest.fixture
def two_networks() -> Iterator[Networks]:
    with networks() as made:
        yield made


def test_open_closed_and_filtered_ports_are_told_apart(two_networks: Networks):
    two_networks.drop_answers_from("2000-2999")
    with two_networks.listeners(1500, 2500, 3500):
        (run,) = two_networks.scan("1000-3999")
    states = run["states"][TARGET]
    assert {port for port, state in states.items() if state == "open"} == {1500, 3500}
    assert {port for port, state in states.items() if state == "filtered"} == set(range(2000, 3000))
    assert Counter(states.values())["closed"] == 1998


def test_a_thousand_filtered_ports_take_a_few_seconds(two_networks: Networks):
    (run,) = two_networks.scan("1-1000", ABSENT)
    assert set(run["states"][ABSENT].values()) == {"filtered"}
    assert run["seconds"] < 60  # one after the other: 1,000 s and more


def test_answers_make_the_wait_for_the_silent_ports_short(two_networks: Networks):
    two_networks.drop_answers_from("2000-2499")
    (run,) = two_networks.scan("1000-2499", in_flight=100)
    assert Counter(run["states"][TARGET].values()) == {"closed": 1000, "filtered": 500}
    assert run["seconds"] < 9  # 500 ports, 100 at a time, twice: 10 s if each waited the first time-out


@pytest.mark.parametrize(("retries", "state"), [(0, "filtered"), (1, "open")])
def test_one_lost_answer_is_made_good_by_the_retry(two_networks: Networks, retries: int, state: str):
    # Answers are lost only at first, but the kernel's own repetition, after 1 s, comes too late for a first
    # attempt of 0.8 s; so only a second attempt can find the port open.
    found: list[str] = []

    def scan() -> None:
        (run,) = two_networks.scan("2500", retries=retries, first_timeout=0.8)
        found.append(run["states"][TARGET][2500])

    two_networks.drop_answers_from("2500")
    with two_networks.listeners(2500):
        thread = threading.Thread(target=scan)
        thread.start()
        two_networks.wait_for_a_connection_request(2500)
        time.sleep(0.1)
        two_networks.pass_answers_from("2500")
        thread.join()
    assert found == [state]


def test_a_connection_that_leads_back_to_itself_is_no_open_port(two_networks: Networks):
    two_networks.use_local_ports("40000-40007")  # so that it happens all the time
    runs = two_networks.scan("40000-40007", LOOPBACK, times=500)
    assert Counter(state for run in runs for state in run["states"][LOOPBACK].values()) == {"closed": 4000}


def test_the_whole_ephemeral_range_has_no_false_open(two_networks: Networks):
    for run in two_networks.scan("32768-60999", LOOPBACK, times=5):
        assert Counter(run["states"][LOOPBACK].values()) == {"closed": 28232}


def test_all_ports_of_a_host_are_told_exactly(two_networks: Networks):
    open_ports = set(random.sample(range(1, 50_000), 40))
    two_networks.drop_answers_from("60000-60999")
    with two_networks.listeners(*open_ports, 60_500):
        (run,) = two_networks.scan("1-65535")
    states = run["states"][TARGET]
    assert {port for port, state in states.items() if state == "open"} == open_ports
    assert {port for port, state in states.items() if state == "filtered"} == set(range(60_000, 61_000))
    assert Counter(states.values())["closed"] == 65_535 - 40 - 1_000
