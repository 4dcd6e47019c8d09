"""Redis fails in eight ways, one after the other, under a load that goes on and is never restarted."""

from __future__ import annotations

import time

import pytest
from pytest_django import DjangoDbBlocker

from tests.chaos.faults import FAULTS, Fault, Host
from tests.chaos.load import Editor, Servers, database_url, no_policies, running
from tests.chaos.outages import CACHED, CLOSED, LOCAL, LOCAL_LIMIT, OPEN, PERIOD, Outage, Verdict, verdict
from tests.chaos.plans import Edits, Load
from tests.chaos.tables import print_table
from tests.integration.helpers import given_cache_policy, given_limit

pytestmark = [pytest.mark.chaos, pytest.mark.django_db(transaction=True)]

PROCESSES = 8
QUOTA = 5  # of the policy "open"; each fault's edit raises it by one
OUTAGE_SECONDS = 3.0
OBSERVED_SECONDS = 4.0
LOAD = Load((OPEN, CLOSED, LOCAL, CACHED), clients=4, seconds=240, seed=0, pause=0.03)


@pytest.fixture(scope="module")
def verdicts(
    redis: object,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Verdict]:
    """All faults in one run, by name; the table is printed."""
    folder = tmp_path_factory.mktemp("faults")
    host = Host(folder)
    try:
        with django_db_blocker.unblock(), no_policies():
            given_limit("open", route=OPEN, limit=QUOTA, period=PERIOD, on_store_error="allow")
            given_limit("closed", route=CLOSED, limit=10, period=PERIOD, on_store_error="deny")
            given_limit("local", route=LOCAL, limit=LOCAL_LIMIT, period=PERIOD, on_store_error="local")
            given_cache_policy("cached", route=CACHED, ttl=1, stale_while_revalidate=1)
            servers = Servers(host.url, database_url(), folder, PROCESSES, redis_timeout=0.5)
            with running(LOAD, servers) as run:
                time.sleep(OBSERVED_SECONDS)
                outages = [suffer(fault, host, servers, QUOTA + n) for n, fault in enumerate(FAULTS, start=1)]
    finally:
        host.stop()
    return {outage.fault.name: verdict(outage, run.answers, run.epoch, run.drift) for outage in outages}


def suffer(fault: Fault, host: Host, servers: Servers, quota: int) -> Outage:
    """Let ``fault`` happen. Meanwhile a process of its own edits a policy and is gone before Redis is back."""
    fault.prepare(host)
    began = time.monotonic_ns()
    with fault.happens(host):
        with Editor(servers, Edits(("open",), 1, base=quota - 1, seconds=20), f"editor-{quota}") as editor:
            (edit,) = editor.await_edits()
            editor_ended = editor.ends_by_itself()
        remaining = OUTAGE_SECONDS - (time.monotonic_ns() - began) / 1e9
        time.sleep(max(0.0, remaining))
    back = time.monotonic_ns()
    time.sleep(OBSERVED_SECONDS)
    return Outage(fault, quota, began, edit.returned, back, time.monotonic_ns(), editor_ended)


@pytest.fixture(scope="module", autouse=True)
def table(verdicts: dict[str, Verdict]) -> None:
    print_table(
        f"Redis fails under the load of {PROCESSES} processes; times in ms, but for the last four in s",
        [
            "fault", "requests", "5xx", "503 by policy", "unlimited", "p50/p99 healthy", "failing", "after",
            "longest", "limits held after", "edit obeyed after",
        ],
        [
            [
                name, found.requests, len(found.errors), found.statuses.get(503, 0), found.unlimited, found.healthy,
                found.open, found.after, f"{found.longest:.2f}", f"{found.held:.2f}", f"{found.obeyed:.2f}",
            ]
            for name, found in verdicts.items()
        ],
    )  # fmt: skip


@pytest.fixture(params=FAULTS, ids=lambda fault: fault.name)
def fault(request: pytest.FixtureRequest) -> Fault:
    chosen: Fault = request.param
    return chosen


@pytest.fixture
def found(fault: Fault, verdicts: dict[str, Verdict]) -> Verdict:
    return verdicts[fault.name]


def test_no_request_fails_but_where_a_policy_denies(found: Verdict) -> None:
    assert found.errors == []
    assert set(found.statuses) <= {200, 429, 503}


def test_policies_decide_without_redis_in_an_outage_and_only_then(fault: Fault, found: Verdict) -> None:
    assert (503 in found.statuses) == fault.is_outage
    assert (found.unlimited > 0) == fault.is_outage
    assert found.local_surplus == 0


def test_no_request_hangs(found: Verdict) -> None:
    """A bound against hanging, not a measure of speed: that is in the table."""
    assert found.longest < 2.5
    assert not found.open.p99 > found.healthy.p99 + 0.25


def test_limits_hold_again_without_a_restart(found: Verdict) -> None:
    assert found.held < 2
    assert found.blocked > 0
    assert found.surplus == 0


def test_a_process_that_edits_meanwhile_comes_to_its_end(found: Verdict) -> None:
    assert found.editor_ended


def test_an_edit_made_meanwhile_is_obeyed_when_redis_is_back(found: Verdict) -> None:
    assert found.obeyed < 1.5
