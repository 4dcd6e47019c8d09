"""The files in deploy/ give SecureNet no more rights than it needs, and start things in an order that is safe."""

from __future__ import annotations

import pytest

from tests.unit import deployment
from tests.unit.deployment import DEPLOY, SERVICES


@pytest.mark.parametrize("name", SERVICES)
def test_services_of_systemd_can_do_little(name: str) -> None:
    unit = deployment.unit(name)
    assert unit["User"] == ["securenet"]
    assert unit["NoNewPrivileges"] == ["yes"]
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert unit["PrivateTmp"] == ["yes"]
    environment = deployment.env_file(DEPLOY / "systemd" / "securenet.env.example")
    assert environment["SECURENET_DATA_DIR"] == "/var/lib/" + unit["StateDirectory"][0].split()[0]


def test_containers_of_compose_can_do_little() -> None:
    for service in deployment.compose()["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service["image"].endswith(":latest") and ":" in service["image"]
    published = [port for service in deployment.compose()["services"].values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert all(deployment.compose()["services"][name]["networks"] == ["data"] for name in ("postgres", "redis"))
    assert deployment.compose()["networks"]["data"] == {"internal": True}


def test_pods_can_do_little() -> None:
    for workload in deployment.manifests():
        if workload["kind"] not in ("Deployment", "Job"):
            continue
        pod = deployment.pod_of(workload)
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            restricted = container["securityContext"]
            assert restricted["allowPrivilegeEscalation"] is False
            assert restricted["readOnlyRootFilesystem"] is True
            assert restricted["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_redis_of_compose_keeps_limits_and_queues() -> None:
    options = " ".join(deployment.compose()["services"]["redis"]["command"])
    assert "--appendonly yes" in options
    assert "--maxmemory-policy noeviction" in options


def test_nothing_starts_before_the_migrations() -> None:
    services = deployment.compose()["services"]
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        pod = deployment.pod_of(deployment.manifest("Deployment", f"securenet-{name}"))
        assert [container["command"] for container in pod["initContainers"]] == [
            ["python", "manage.py", "migrate", "--check"]
        ]
        assert "securenet-migrate.service" in deployment.unit(f"securenet-{name}@.service")["After"][0]


def test_pods_are_found_by_what_selects_them() -> None:
    for name in ("web", "worker"):
        workload = deployment.manifest("Deployment", f"securenet-{name}")
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"] == labels
        assert deployment.manifest("NetworkPolicy", f"securenet-{name}")["spec"]["podSelector"] == {
            "matchLabels": labels
        }
    web = deployment.manifest("Deployment", "securenet-web")["spec"]
    assert web["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    labels = web["template"]["metadata"]["labels"]
    assert deployment.manifest("Service", "securenet-web")["spec"]["selector"] == labels
    assert deployment.manifest("PodDisruptionBudget", "securenet-web")["spec"]["selector"] == {"matchLabels": labels}
