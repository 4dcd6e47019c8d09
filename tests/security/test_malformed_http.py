"""Broken and hostile HTTP against the real web server: no smuggled request, no failure, no traceback, no growth."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from securenet.run.lifeline import descendants
from tests.security.raw_http import BROKEN, HOST, SMUGGLING, Sent, answer_to, mutations, statuses
from tests.servers.securenet import SecureNet, securenet, until

SEED = 20_261
MUTATIONS = 300
HARMLESS_5XX = {501, 505}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureNet]:
    """One web server process with 16 threads, without job workers."""
    with securenet(tmp_path_factory.mktemp("site"), JOB_WORKERS="0", WEB_THREADS="16") as run:
        run.await_ready()
        httpx.get(f"{run.url}/login")
        yield run


def memory_of(run: SecureNet) -> int:
    """Bytes of resident memory of all processes of the run together."""
    pages = [Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in descendants(run.process.pid)]
    return sum(map(int, pages)) * 4096


def log_of(run: SecureNet) -> str:
    logs = (path.read_text(errors="replace") for path in run.data_dir.glob("log/*.log"))
    return "\n".join([run.output, *logs])


def is_alive(run: SecureNet) -> bool:
    return httpx.get(f"{run.url}/livez", timeout=10).json() == {"status": "ok"}


@pytest.mark.parametrize("sent", SMUGGLING, ids=lambda sent: sent.name)
def test_a_request_within_another_is_never_answered(server: SecureNet, sent: Sent):
    received = answer_to(server.port, sent.data, patience=0.3)
    found = statuses(received)
    assert len(found) <= sent.most, received
    assert all(400 <= status < 500 for status in found[:1]), received
    assert is_alive(server)


@pytest.mark.parametrize("sent", BROKEN, ids=lambda sent: sent.name)
def test_a_broken_request_is_refused_or_dropped(server: SecureNet, sent: Sent):
    received = answer_to(server.port, sent.data, patience=0.3)
    found = statuses(received)
    assert len(found) <= sent.most, received
    assert all(status < 500 or status in HARMLESS_5XX for status in found), received
    assert b"root:" not in received
    assert b"Traceback" not in received
    assert is_alive(server)


def test_hundreds_of_broken_requests_do_no_harm(server: SecureNet):
    before = memory_of(server)
    with ThreadPoolExecutor(8) as clients:
        answers = list(
            clients.map(lambda sent: (sent, answer_to(server.port, sent.data, 0.3)), mutations(MUTATIONS, SEED))
        )
    failures = {
        (sent.name, status): sent.data
        for sent, received in answers
        for status in statuses(received)
        if status >= 500 and status not in HARMLESS_5XX
    }
    assert failures == {}
    assert sum(bool(received) for _, received in answers) > MUTATIONS // 4, "most were answered at all"
    assert is_alive(server)
    assert memory_of(server) < 5 * before
    print(f"memory: {before >> 20} MB before, {memory_of(server) >> 20} MB after")


def test_bodies_that_never_come_stop_nothing_else(server: SecureNet):
    """Twice as many as the server has threads. Further bodies are refused until those clients have gone."""
    cookie = httpx.get(f"{server.url}/login").cookies["csrftoken"]
    stalled = (
        f"POST /login HTTP/1.1\r\nHost: {HOST}\r\nCookie: csrftoken={cookie}\r\nContent-Length: 100\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\nuser"
    ).encode()
    connections = [socket.create_connection((HOST, server.port)) for _ in range(32)]
    try:
        for connection in connections:
            connection.sendall(stalled)
        time.sleep(0.5)  # until the server has seen them all; were it later, the test would only be easier
        for path in ("/livez", "/login", "/api/schema"):
            assert httpx.get(f"{server.url}{path}", timeout=30).status_code == 200, path
    finally:
        for connection in connections:
            connection.close()
    form = {"username": "nobody", "password": "wrong", "csrfmiddlewaretoken": cookie}
    answers = []
    while (not answers or answers[-1] == 503) and len(answers) < 50:
        answers.append(httpx.post(f"{server.url}/login", data=form, cookies={"csrftoken": cookie}).status_code)
    assert answers[-1] in (200, 429), "bodies are read again"


def test_heads_that_never_end_stop_nothing_else(server: SecureNet):
    connections = [socket.create_connection((HOST, server.port)) for _ in range(200)]
    try:
        for number, connection in enumerate(connections):
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-%d: " % number)
        assert is_alive(server)
    finally:
        for connection in connections:
            connection.close()
    assert is_alive(server)


def test_the_log_tells_of_no_failure_and_has_no_forged_line(server: SecureNet):
    """Neither of these requests, nor of those above that this process has made before."""
    answer_to(
        server.port, b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\nCookie: csrftoken=a\r\n\r\nuser"
    )
    forged = b'GET /livez?x=1%0d%0a127.0.0.1%20-%20forged HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: \x1b[2J\xff"\r\n'
    answer_to(server.port, forged + b"Connection: close\r\n\r\n")
    answer_to(server.port, b"GET /livez?plain=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    access = server.data_dir / "log" / "access.log"
    until(lambda: '"GET /livez?plain=1 HTTP/1.1" 200' in access.read_text(), 30, server.explain)
    text = log_of(server)
    for word in ("Traceback", "panicked", "Internal Server Error"):
        assert word not in text, text[max(0, text.find(word) - 300) :][:3000]
    assert "\x1b" not in text
    shape = re.compile(r'\S+ - - \[[^]]+\] "[^"]*" \d{3} - "[^"]*" "[^"]*"')
    assert [line for line in access.read_text().splitlines() if not shape.fullmatch(line)] == []
