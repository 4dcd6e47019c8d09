"""Each check on what it should find, on its clean twin, and on facts that do not suffice."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from securenet.security.scanner.certificates import read_certificate
from securenet.security.scanner.checks import Check, Verdict, all_checks, assess, register
from securenet.security.scanner.issue import Issue, Severity
from securenet.security.scanner.observation import (
    AnonymousAccess,
    Certificate,
    HttpResponse,
    Observation,
    TlsHandshake,
    TlsUpgrade,
)

from .certs import certificate, der

NOW = datetime.now(UTC)
SAFE_HEADERS = {
    "content-type": "text/html",
    "content-security-policy": "default-src 'self'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "strict-transport-security": "max-age=31536000",
}


def seen(service: str, *details: Any, port: int = 1234, address: str = "10.0.0.1", **kept: Any) -> Observation:
    return Observation(ip_address(address), port, NOW, service=service, details=details, **kept)


def issues(observation: Observation, check_id: str) -> dict[str, Issue]:
    """The check's issues by component."""
    found = [issue for issue in assess(observation).issues if issue.check_id == check_id]
    return {issue.component: issue for issue in found}


def is_assessed(observation: Observation, check_id: str) -> bool:
    return check_id in assess(observation).assessed


def page(status: int = 200, over_tls: bool = False, **headers: str | None) -> HttpResponse:
    wanted = {**SAFE_HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return HttpResponse(status, tuple((k, v) for k, v in wanted.items() if v is not None), over_tls)


def handshake(version: str = "TLSv1.3", **made: Any) -> TlsHandshake:
    return TlsHandshake(version, "cipher", read_certificate(der(certificate(**made))))


def test_every_open_port_is_an_observation_of_its_own():
    (issue,) = issues(seen("ssh", product="OpenSSH", version="9.2p1", port=22), "open-port").values()
    assert (issue.severity, issue.title) == (Severity.INFO, "Port 22/tcp is open: OpenSSH 9.2p1")


@pytest.mark.parametrize(("service", "severity"), [("redis", Severity.CRITICAL), ("memcached", Severity.HIGH)])
def test_a_data_store_that_serves_anybody_is_found(service: str, severity: Severity):
    (issue,) = issues(seen(service, AnonymousAccess(True, "PING", "+PONG")), "anonymous-access").values()
    assert issue.severity is severity
    assert issue.evidence == {"command": "PING", "reply": "+PONG"}


def test_on_loopback_it_weighs_less():
    open_redis = seen("redis", AnonymousAccess(True, "PING", "+PONG"), address="127.0.0.1")
    assert issues(open_redis, "anonymous-access")["redis"].severity is Severity.MEDIUM


def test_a_data_store_that_wants_a_password_is_fine_and_one_that_was_not_asked_is_not_judged():
    locked = seen("redis", AnonymousAccess(False, "PING", "-NOAUTH"))
    assert not issues(locked, "anonymous-access")
    assert is_assessed(locked, "anonymous-access")
    assert not is_assessed(seen("redis"), "anonymous-access")


def test_cleartext_protocols_are_found():
    assert issues(seen("telnet"), "cleartext-protocol")["telnet"].severity is Severity.HIGH
    assert issues(seen("ftp", TlsUpgrade(False)), "cleartext-protocol")["ftp"].severity is Severity.MEDIUM
    assert issues(seen("ftp", TlsUpgrade(True)), "cleartext-protocol")["ftp"].severity is Severity.LOW


def test_ftp_inside_tls_and_ssh_are_not_cleartext():
    assert not issues(seen("ftp", handshake()), "cleartext-protocol")
    assert not issues(seen("ssh"), "cleartext-protocol")


@pytest.mark.parametrize(
    "name", ["content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy"]
)
def test_each_missing_header_is_an_issue_of_its_own(name: str):
    without = page(**{name.replace("-", "_"): None})
    assert list(issues(seen("http", without), "http-security-headers")) == [name]


def test_a_page_with_all_headers_is_fine():
    for observation in (seen("http", page()), seen("https", page(over_tls=True))):
        assert not issues(observation, "http-security-headers")
        assert is_assessed(observation, "http-security-headers")


def test_strict_transport_security_is_wanted_over_tls_only():
    assert not issues(seen("http", page(strict_transport_security=None)), "http-security-headers")
    over_tls = page(over_tls=True, strict_transport_security=None)
    assert list(issues(seen("https", over_tls), "http-security-headers")) == ["strict-transport-security"]


def test_frame_ancestors_does_what_x_frame_options_does():
    framed = page(x_frame_options=None, content_security_policy="default-src 'self'; Frame-Ancestors 'none'")
    assert not issues(seen("http", framed), "http-security-headers")


def test_an_api_needs_no_headers_for_pages():
    answer = HttpResponse(200, (("content-type", "application/json"), ("x-content-type-options", "nosniff")))
    assert not issues(seen("http", answer), "http-security-headers")


@pytest.mark.parametrize("status", [301, 401, 404, 500])
def test_redirects_and_errors_are_not_judged_by_their_headers(status: int):
    answer = seen("http", HttpResponse(status, ()))
    assert not issues(answer, "http-security-headers")
    assert not is_assessed(answer, "http-security-headers")


@pytest.mark.parametrize(
    ("begins", "ends", "component", "severity"),
    [
        (-400, -1, "expired", Severity.HIGH),
        (1, 90, "not-yet-valid", Severity.MEDIUM),
        (-60, 29, "expiring", Severity.LOW),
    ],
)
def test_the_dates_of_a_certificate_are_judged(begins: int, ends: int, component: str, severity: Severity):
    tls = handshake(begins=timedelta(days=begins), ends=timedelta(days=ends), self_signed=False)
    found = issues(seen("https", tls), "tls-certificate")
    assert {name: issue.severity for name, issue in found.items()} == {component: severity}


def test_a_self_signed_certificate_is_found():
    assert list(issues(seen("tls", handshake()), "tls-certificate")) == ["self-signed"]


def test_a_good_certificate_is_fine():
    tls = seen("https", handshake(self_signed=False))
    assert not issues(tls, "tls-certificate") | issues(tls, "tls-strength")
    assert is_assessed(tls, "tls-certificate")


def test_equal_names_without_the_right_signature_are_not_self_signed():
    ours, _ = certificate()
    other, key = certificate()
    assert ours.issuer == other.subject
    forged = der((ours, key))[:-8] + b"\x00" * 8
    assert not read_certificate(forged).is_self_signed


def test_a_handshake_that_failed_is_not_judged():
    failed = seen("tls", TlsHandshake(failure="ALERT"))
    assert not is_assessed(failed, "tls-certificate")
    assert not is_assessed(failed, "tls-strength")


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1"])
def test_an_outdated_tls_version_is_found(version: str):
    assert list(issues(seen("tls", handshake(version, self_signed=False)), "tls-strength")) == ["version"]


def test_a_short_key_is_found():
    weak = handshake(key=rsa.generate_private_key(65537, 1024), self_signed=False)
    (issue,) = issues(seen("tls", weak), "tls-strength").values()
    assert (issue.component, issue.evidence["bits"]) == ("key", 1024)


def test_a_certificate_that_is_none_is_an_error_not_a_crash():
    for data in (b"", b"\x30\x82", b"\x00" * 100, der(certificate())[:-50]):
        with pytest.raises(ValueError, match=r".+"):
            read_certificate(data)


def test_checks_of_other_services_count_as_made_only_where_the_service_was_recognised():
    assert is_assessed(seen("ssh"), "anonymous-access")
    assert is_assessed(seen("ssh"), "tls-certificate")
    assert assess(seen("")).assessed == {"open-port"}


class Broken(Check):
    check_id = "test-broken"

    def judge(self, observation: Observation) -> Verdict:
        raise KeyError("boom")


class Healthy(Check):
    check_id = "test-healthy"

    def judge(self, observation: Observation) -> Verdict:
        return (Issue(self.check_id, observation.port, "t", Severity.INFO, "d", "a"),)


def test_a_broken_check_is_logged_counts_as_not_made_and_costs_the_others_nothing(
    caplog: pytest.LogCaptureFixture,
):
    with caplog.at_level(logging.ERROR):
        assessment = assess(seen("ssh"), [Broken(), Healthy()])
    assert assessment.assessed == {"test-healthy"}
    assert [issue.check_id for issue in assessment.issues] == ["test-healthy"]
    assert "test-broken" in caplog.text


def test_two_checks_cannot_share_an_id():
    class Twin(Check):
        check_id = "open-port"

        def judge(self, observation: Observation) -> Verdict:
            return ()

    all_checks()
    with pytest.raises(ValueError, match="registered twice"):
        register(Twin)


def test_every_module_of_the_package_is_found_and_its_check_registered():
    assert {check.check_id for check in all_checks()} == {
        "anonymous-access",
        "cleartext-protocol",
        "http-cookie-flags",
        "http-directory-listing",
        "http-exposed-files",
        "http-open-service",
        "http-security-headers",
        "open-port",
        "ssh-protocol-1",
        "ssh-weak-algorithms",
        "tls-certificate",
        "tls-strength",
    }


def test_evidence_is_plain_json():
    import json

    bad = HttpResponse(200, (("server", "x"),), True)
    everything = [
        seen("redis", AnonymousAccess(True, "PING", "+PONG")),
        seen("https", bad, handshake("TLSv1", ends=timedelta(days=-1))),
        seen("telnet"),
    ]
    found = [issue for observation in everything for issue in assess(observation).issues]
    assert len(found) > 8
    for issue in found:
        assert json.loads(json.dumps(issue.evidence)) == issue.evidence
        assert issue.title
        assert issue.description
        assert issue.advice


def test_confidence_is_a_percentage():
    with pytest.raises(ValueError, match="0 to 100"):
        Issue("x", 1, "t", Severity.LOW, "d", "a", confidence=101)


def test_certificate_facts_are_bounded():
    facts = read_certificate(der(certificate()))
    assert isinstance(facts, Certificate)
    assert (facts.subject, facts.key_type, facts.key_bits) == ("CN=test.example", "EC secp256r1", 256)
    assert len(facts.sha256) == 64
