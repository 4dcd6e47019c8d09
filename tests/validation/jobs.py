"""Background jobs of every type, from their submission to real results, through faults."""

from __future__ import annotations

import os
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

from tests.acceptance.answers import all_results, cache_status, problem
from tests.acceptance.test_log_endpoints import guess
from tests.servers.ports import free_port
from tests.servers.securenet import parent
from tests.validation.asking import await_that
from tests.validation.objectives import Checks, Measured, Objective, Turn
from tests.validation.site import MeasuredSite

AREA = "Jobs"
JOBS = "/api/performance/background-job"
CAPACITY = 100
LONG_SCAN: dict[str, Any] = {"targets": ["127.0.0.0/24"], "ports": "1-20000"}


def submit(client: httpx.Client, type_: str, *, key: str = "", **params: Any) -> httpx.Response:
    """Ask for a job."""
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(JOBS, json={"type": type_, "params": params}, headers=headers)


def completed(site: MeasuredSite, client: httpx.Client, accepted: httpx.Response, within: float = 60) -> dict[str, Any]:
    """The job when it has ended, which it has to do as ``completed``."""
    assert accepted.status_code == 202, accepted.text
    job = site.await_job(client, accepted.headers["Location"], within=within)
    assert job["status"] == "completed", job
    return job


@contextmanager
def workers_asleep(site: MeasuredSite) -> Iterator[None]:
    """No job is begun, as if all workers were busy."""
    workers = site.run.processes("rqworker")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def security_scan(site: MeasuredSite) -> Measured:
    """Open and closed ports of loopback that this process opens itself."""
    checks = Checks()
    with ExitStack() as stack, site.client(site.new_user("soc_analyst"), server="b") as analyst:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        listening = sorted(server.getsockname()[1] for server in servers)
        closed = sorted({free_port() for _ in range(5)} - set(listening))
        ports = ",".join(map(str, sorted([*listening, *closed])))
        accepted = analyst.post("/api/security/scans", json={"targets": ["127.0.0.1"], "ports": ports})
        checks.equal("status when submitted", accepted.json()["status"], "submitted")
        job = completed(site, analyst, accepted)
        checks.equal("progress at the end", job["progress"], 1.0)
        checks.equal("open ports", job["result"]["open_ports"], len(listening))
        asset = analyst.get("/api/network/assets?address=127.0.0.1").json()["results"][0]
        found = {service["port"] for service in asset["services"] if service["state"] == "open"}
        checks.equal("services of the asset", sorted(found & {*listening, *closed}), listening)
        findings = all_results(analyst, "/api/security/findings", check_id="open-port", asset=asset["id"])
        seen = sorted(row["port"] for row in findings if row["port"] in {*listening, *closed})
        checks.equal("findings", seen, listening)
    return checks.measured(f"{len(listening)} open and {len(closed)} closed ports, told exactly; {_took(job)}")


def log_analysis(site: MeasuredSite) -> Measured:
    """Log lines of two attackers and of people who mistyped once."""
    checks = Checks()
    source = f"gate-{uuid.uuid4().hex[:8]}"
    attackers = ["198.18.77.1", "198.18.77.2"]
    lines = [guess(500 - number, address, "root", number) for number in range(60) for address in attackers]
    lines += [guess(400 - number, f"198.19.77.{number + 1}", f"ada{number}", number) for number in range(20)]
    with site.client(site.new_user("soc_analyst")) as analyst:
        checks.equal(
            "lines accepted", analyst.post("/api/logs", json={"lines": lines, "source": source}).status_code, 201
        )
        job = completed(site, analyst, submit(analyst, "log_analysis", source=source))
        checks.equal("events", job["result"]["events"], len(lines))
        checks.equal("by kind", job["result"]["by_kind"], {"auth.failure": len(lines)})
        rows = all_results(analyst, "/api/security/findings", source="logs", page_size=500)
        found = {
            (row["subject"], row["check_id"]) for row in rows if row["subject"].startswith(("198.18.77", "198.19"))
        }
        checks.equal("findings", found, {(attacker, "logs.brute_force") for attacker in attackers})
        told = {row["title"] for row in all_results(analyst, "/api/notifications")}
        checks.expect(all(any(attacker in title for title in told) for attacker in attackers), f"told only {told}")
    return checks.measured(
        f"{len(lines)} lines, {len(attackers)} attackers found and told of, nobody else; {_took(job)}"
    )


def cache_warm(site: MeasuredSite) -> Measured:
    """What a role asks for next is in the cache, in both processes."""
    checks = Checks()
    paths = ["/api/security/findings", "/api/security/summary"]
    with site.client(site.new_user("security_admin")) as admin:
        checks.equal(
            "dropped", admin.post("/api/performance/cache/invalidate", json={"policies": ["security"]}).status_code, 200
        )
        body = {"policies": ["security"], "roles": ["viewer"]}
        job = completed(site, admin, admin.post("/api/performance/cache/warm", json=body))
    checks.equal("filled", job["result"]["filled"], len(paths))
    viewer = site.new_user("viewer")
    for server in "ab":
        with site.client(viewer, server=server) as client:
            for path in paths:
                checks.expect(cache_status(client.get(path)).get("hit"), f"{path} was not warm on {server}")
    return checks.measured(f"{len(paths)} entries filled, hits for a viewer in both processes; {_took(job)}")


def progress(site: MeasuredSite) -> Measured:
    """A scan, watched while it runs."""
    checks = Checks()
    with site.client(site.new_user("security_admin")) as client:
        accepted = submit(client, "security_scan", targets=["127.0.0.0/28"], ports="1-1000")
        location, seen = accepted.headers["Location"], []
        deadline = time.monotonic() + 60
        while (answer := client.get(location)).json()["status"] in ("submitted", "processing"):
            seen.append(answer.json()["progress"])
            checks.expect(int(answer.headers.get("Retry-After", 0)) >= 1, "no Retry-After while it runs")
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.4)
    checks.equal("status", answer.json()["status"], "completed")
    checks.expect(seen == sorted(seen), f"progress went back: {seen}")
    between = sorted({round(value, 2) for value in seen if 0 < value < 1})
    checks.expect(between, f"no progress between 0 and 1: {seen}")
    return checks.measured(
        f"progress was seen at {', '.join(f'{value:g}' for value in between)}; {_took(answer.json())}"
    )


def cancel(site: MeasuredSite) -> Measured:
    """A job that waits, and one that runs."""
    checks = Checks()
    with site.client(site.new_user("soc_analyst")) as client:
        with workers_asleep(site):
            waiting = submit(client, "log_analysis").headers["Location"]
            checks.equal("the waiting one", client.delete(waiting).json()["status"], "cancelled")
        running = submit(client, "security_scan", **LONG_SCAN).headers["Location"]
        await_that(lambda: client.get(running).json()["progress"] > 0, "The scan made no progress")
        checks.equal("the running one", client.delete(running).json()["status"], "cancelled")
        began = time.monotonic()
        completed(site, client, submit(client, "log_analysis", source="after-cancel"))
        checks.equal("cancelled again", client.delete(running).status_code, 409)
        states = [client.get(location).json() for location in (waiting, running)]
    checks.equal("attempts", [job["attempt"] for job in states], [0, 1])
    checks.equal("states afterwards", [job["status"] for job in states], ["cancelled", "cancelled"])
    return checks.measured(
        f"a waiting job never ran, a running one stopped, the next was done {time.monotonic() - began:.1f} s later"
    )


def idempotency(site: MeasuredSite) -> Measured:
    """The same request twice, on both servers."""
    checks = Checks()
    key, analyst = uuid.uuid4().hex, site.new_user("soc_analyst")
    with site.client(analyst) as a, site.client(analyst, server="b") as b:
        first, again = submit(a, "log_analysis", key=key), submit(b, "log_analysis", key=key)
        checks.equal("statuses", (first.status_code, again.status_code), (202, 202))
        checks.equal("the job of the second", again.json()["id"], first.json()["id"])
        checks.equal("another request", submit(b, "log_analysis", key=key, source="other").status_code, 422)
        checks.equal("jobs", len(all_results(a, JOBS)), 1)
        completed(site, a, first)
    return checks.measured("the same key twice on two servers: one job; with other parameters: 422")


def killed_worker(site: MeasuredSite) -> Measured:
    """SIGKILL to every worker while one scans. The pause before the retry is shortened: ten seconds prove nothing."""
    checks = Checks()
    site.browser.edit("jobpolicy", site.policy_id("JobPolicy", "security_scan"), retry_backoff="1")
    with socket.create_server(("127.0.0.5", 0)) as server, site.client(site.new_user("soc_analyst")) as client:
        port = server.getsockname()[1]
        location = submit(client, "security_scan", targets=["127.0.0.0/28"], ports=f"1-1000,{port}").headers["Location"]
        await_that(lambda: client.get(location).json()["status"] == "processing", "The scan did not begin")
        killed = [pid for pid in site.run.processes("rqworker") if parent(pid) == site.run.process.pid]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        job = site.await_job(client, location, within=90)
        checks.equal("status", job["status"], "completed")
        checks.expect(job["attempt"] >= 2, f"attempt {job['attempt']}")
        found = all_results(client, "/api/security/findings", check_id="open-port", port=port)
        checks.equal("findings of its open port", [row["asset"]["address"] for row in found], ["127.0.0.5"])
        (scan,) = [row for row in all_results(client, "/api/security/scans") if row["job"] == job["id"]]
        checks.equal("hosts of the scan", scan["hosts_total"], job["result"]["hosts_total"])
    return checks.measured(
        f"{len(killed)} workers killed, retried as attempt {job['attempt']}, completed "
        f"{time.monotonic() - began:.1f} s later, its finding is there once"
    )


def capacity(site: MeasuredSite) -> Measured:
    """Jobs beyond the capacity of the first release, while no worker takes any."""
    checks = Checks()
    admins = [site.new_user("security_admin") for _ in range(2)]
    with ExitStack() as stack:
        clients = [stack.enter_context(site.client(name, server=at)) for name, at in zip(admins, "ab", strict=True)]
        stack.enter_context(workers_asleep(site))
        accepted: list[str] = []
        for number in range(CAPACITY + 10):
            answer = submit(clients[number % 2], "log_analysis")
            if answer.status_code != 202:
                break
            accepted.append(answer.headers["Location"])
        body = problem(answer, 503)
        wait = int(answer.headers["Retry-After"])
        checks.equal("accepted", len(accepted), CAPACITY)
        checks.expect(wait >= 1, f"Retry-After {wait}")
        checks.expect(clients[0].delete(accepted[0]).is_success, "one could not be cancelled")
        freed = submit(clients[1], "log_analysis")
        checks.equal("after one was cancelled", freed.status_code, 202)
        for number, location in enumerate([*accepted[1:], freed.headers["Location"]]):
            checks.equal("cancelling", clients[number % 2].delete(location).status_code, 200)
    return checks.measured(
        f"{len(accepted)} accepted, then 503 “{body['title']}” with Retry-After {wait} s; room again after a cancel"
    )


def _took(job: dict[str, Any]) -> str:
    return f"job {job['type']} {job['status']} in attempt {job['attempt']}"


OBJECTIVES = (
    Objective(AREA, "security_scan", "A scan tells open and closed ports as they are.", security_scan, weight=2),
    Objective(
        AREA, "log_analysis", "An analysis finds the attackers in a log, and nobody else.", log_analysis, weight=2
    ),
    Objective(AREA, "cache_warm", "Warming fills what a role asks for next.", cache_warm, turn=Turn.ALONE),
    Objective(AREA, "progress", "A job tells how far it is while it runs.", progress),
    Objective(AREA, "cancel", "A waiting and a running job are cancelled, and stop.", cancel),
    Objective(AREA, "Idempotency-Key", "A request that is repeated with its key makes one job.", idempotency),
    Objective(
        AREA, "survives kill -9", "A job whose worker is killed is retried and completes; its effects are there once.",
        killed_worker, weight=2,
    ),
    Objective(
        AREA, "capacity", "100 jobs may wait; the next is refused with 503 and Retry-After.", capacity, turn=Turn.ALONE
    ),
)  # fmt: skip
