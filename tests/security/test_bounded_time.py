"""Hostile input takes time in proportion to its size: four times the input, never sixteen times the time.

Log lines and exchange files have tests of their own beside their parsers: tests/unit/logs/test_log_parsers_fuzz.py,
tests/unit/test_nmap.py, tests/integration/test_policy_transfer.py.
"""

from __future__ import annotations

import gzip
import io
import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from rest_framework.exceptions import ParseError
from rest_framework.test import APIClient

from perf.api.parsers import BoundedJSONParser
from perf.gate.callers import client_address
from perf.policies import plain_yaml
from perf.policies.routes import MAX_LENGTH, InvalidRoute, parse_route
from perf.problems import Problem
from perf.validators import validate_cron, validate_network
from securenet.logs.parsers.registry import parse_lines
from securenet.network.validators import normalised_network, normalised_ports
from securenet.security.nmap import NmapRefused, read_run
from securenet.security.scanner.refusal import TargetRefused
from securenet.security.scanner.targets import parse_targets
from tests.integration.people import client_of

FACTOR, MOST = 4, 16
FAILED = "Nov 20 08:00:01 h sshd[1]: Failed password for "
# Seconds below which a measurement says nothing; it is added on both sides.
NOISE = 0.005
REFUSALS = (
    ValidationError, ParseError, Problem, NmapRefused, TargetRefused, InvalidRoute, plain_yaml.NotPlain, ValueError,
)  # fmt: skip


def duration(work: Callable[[Any], object], given: Any) -> float:
    """Processor seconds, the best of three. Refusing is an answer as well."""
    found = []
    for _ in range(3):
        begin = time.process_time()
        with suppress(*REFUSALS):
            work(given)
        found.append(time.process_time() - begin)
    return min(found)


def _glob(path: str) -> bool:
    return parse_route("/" + "*a" * 60 + "*b*/x").matches(path, "")


def _json(text: str) -> Any:
    return BoundedJSONParser().parse(io.BytesIO(text.encode()))


def _lines(text: str) -> int:
    return sum(1 for _ in parse_lines(text.split("\n"), now=datetime(2026, 1, 1, tzinfo=UTC), default_timezone=UTC))


def _xml(text: str) -> object:
    return read_run(io.BytesIO(text.encode()))


def _forwarded(chain: str) -> object:
    from django.test import RequestFactory, override_settings

    with override_settings(PERF_TRUSTED_PROXIES=["10.0.0.0/8"]):
        return client_address(RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": chain}))


CASES: list[tuple[str, Callable[[Any], object], Callable[[int], Any], int]] = [
    ("a path against many stars", _glob, lambda n: "/" + "a" * n + "c", 16_000),
    ("a path of stars", _glob, lambda n: "/" + "*a" * n, 8_000),
    ("JSON nested deeply", _json, lambda n: "[" * n, 65_000),
    ("JSON with a huge number", _json, lambda n: "1" * n, 65_000),
    ("JSON with a huge exponent", _json, lambda n: '{"a": 1e' + "9" * n + "}", 65_000),
    ("JSON with one key many times", _json, lambda n: "{" + ",".join(['"a": 1'] * n) + "}", 20_000),
    ("JSON with escapes", _json, lambda n: '"' + "\\u0041" * n + '"', 40_000),
    ("YAML nested deeply", plain_yaml.load, lambda n: "[" * n, 16_000),
    ("YAML of one long line", plain_yaml.load, lambda n: "a: " + "x" * n, 30_000),
    ("YAML of many keys", plain_yaml.load, lambda n: "".join(f"k{i}: 1\n" for i in range(n)), 1_000),
    ("YAML of quotes", plain_yaml.load, lambda n: 'a: "' + "\\x41" * n, 8_000),
    ("YAML of aliases", plain_yaml.load, lambda n: "a: &a [x]\n" + "b: [" + "*a," * n + "]", 8_000),
    ("XML nested deeply", _xml, lambda n: "<nmaprun>" + "<host>" * n, 16_000),
    ("XML of one long attribute", _xml, lambda n: '<nmaprun args="' + "a" * n + '">', 200_000),
    ("XML of many attributes", _xml, lambda n: "<nmaprun " + " ".join(f'a{i}="1"' for i in range(n)) + ">", 4_000),
    ("a log line that never ends", _lines, lambda n: FAILED + "from " * n, 9_000),
    ("a megabyte of log lines", _lines, lambda n: "\n".join(['1.2.3.4 - - [x] "GET /' + "a" * 900] * n), 250),
    ("ports", normalised_ports, lambda n: ",".join(str(i % 65_535 + 1) for i in range(n)), 8_000),
    ("targets", parse_targets, lambda n: ["10.0.0.0/8"] * n, 1_000),
    ("a host name of labels", parse_targets, lambda n: ["a-" * n + ".example"], 16_000),
    ("a network", validate_network, lambda n: "1" * n + "/8", 16_000),
    ("a network of colons", normalised_network, lambda n: ":" * n + "/64", 16_000),
    ("a cron expression of lists", validate_cron, lambda n: ",".join(["*/2"] * n) + " * * * *", 500),
    ("proxies in a chain", _forwarded, lambda n: "10.1.2.3," * n, 1_500),
]  # fmt: skip


@pytest.mark.parametrize(("work", "made", "size"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_four_times_the_input_takes_nowhere_near_sixteen_times_as_long(
    work: Callable[[Any], object], made: Callable[[int], Any], size: int
):
    short, long = duration(work, made(size)), duration(work, made(FACTOR * size))
    assert (long + NOISE) / (short + NOISE) < MOST, f"{short * 1000:.1f} ms, then {long * 1000:.1f} ms"


def test_a_measurement_notices_what_is_quadratic():
    """The judge judged: a look-up in a list for each of its items grows sixteenfold, a pass over it fourfold."""

    def quadratic(count: int) -> int:
        return sum(1 for _ in range(count) for _ in range(count))

    assert (duration(quadratic, 2_800) + NOISE) / (duration(quadratic, 700) + NOISE) > FACTOR * 1.5


def test_a_route_is_bounded_before_it_is_matched():
    with pytest.raises(InvalidRoute, match="at most"):
        parse_route("/" + "*a" * MAX_LENGTH)


@pytest.mark.parametrize(
    "expression", ["* * * * * *", "0 0 30 2 *", "*/0 * * * *", "@reboot", "60 * * * *", "* * * * 8"]
)
def test_a_cron_expression_that_never_comes_up_is_refused(expression: str):
    with pytest.raises(ValidationError):
        validate_cron(expression)


@pytest.mark.parametrize("body", ["NaN", '{"a": Infinity}', "[" * 100_000, "1" * 100_000, '{"a": 1e999}', '"\\ud800"'])
def test_numbers_and_depths_beyond_reason_are_no_failure(body: str):
    client: APIClient = client_of("soc_analyst")
    for path in ("/api/logs", "/api/security/scans", "/api/performance/background-job"):
        answer = client.generic("POST", path, body, content_type="application/json")
        assert answer.status_code == 400, path


def test_a_packed_body_that_unpacks_to_far_more_is_refused():
    packed = gzip.compress(b'{"lines": ["' + b"a" * 50_000_000 + b'"]}')
    answer = client_of("soc_analyst").generic(
        "POST", "/api/logs", packed, content_type="application/json", headers={"Content-Encoding": "gzip"}
    )
    assert (answer.status_code, len(packed) < 100_000) == (413, True)


def test_events_with_absurd_members_are_bounded():
    event = {"message": "m", "fields": {str(n): "x" * 1000 for n in range(2_000)}}
    body = json.dumps({"events": [event]})
    assert client_of("soc_analyst").generic("POST", "/api/logs", body, content_type="application/json").status_code in (
        201,
        400,
    )
