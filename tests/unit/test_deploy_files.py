"""The files in deploy/: each is what its tool accepts, and says of SecureNet what SecureNet is."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.urls import resolve

from securenet.policies.first_release import JOB_POLICIES
from securenet.run.config import PROJECT_DIR
from securenet.run.draining import HAND_OVER
from securenet.run.web import DRAIN_SECONDS, LAST_GRACE, WORKER_GRACE
from tests.unit import deployment
from tests.unit.deployment import DEPLOY, SERVICES

UNITS = (*SERVICES, "securenet-web.socket")
LONGEST_JOB = max(policy["timeout"] for policy in JOB_POLICIES)
WEB_DRAIN = DRAIN_SECONDS + LAST_GRACE


def tool(name: str) -> str:
    """Where a linter is; skips the test where it is not."""
    installed = PROJECT_DIR / ".venv" / "deploy" / "bin" / name
    if found := str(installed) if installed.exists() else shutil.which(name):
        return found
    pytest.skip(f"{name} is not installed here; `make test-deploy` installs it")


def output(*command: str | Path, directory: Path = PROJECT_DIR) -> str:
    """What a linter has to complain about; "" if nothing."""
    done = subprocess.run(
        list(map(str, command)), cwd=directory, capture_output=True, text=True, timeout=120, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


# Linters


def test_hadolint_accepts_the_dockerfile() -> None:
    assert output(tool("hadolint"), DEPLOY / "Dockerfile") == ""


def test_hadolint_is_one_that_complains(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian:latest\nRUN apt-get update && apt-get install -y curl\n")
    assert "DL3007" in output(tool("hadolint"), tmp_path / "Dockerfile")


def test_compose_file_follows_the_schema_of_the_specification() -> None:
    lint = (tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec")
    assert output(*lint, DEPLOY / "compose.yml") == ""


@pytest.mark.parametrize("mistake", [("read_only:", "readonly:"), ("interval: 10s", "interval: [10]")])
def test_mistake_in_the_compose_file_is_found(mistake: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text((DEPLOY / "compose.yml").read_text().replace(*mistake))
    assert output(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", tmp_path / "compose.yml")


MANIFESTS = sorted(path.name for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.stem != "kustomization")


@pytest.mark.parametrize("version", ["1.31", "1.37"])
@pytest.mark.parametrize("name", MANIFESTS)
def test_manifest_follows_the_schema_of_kubernetes(name: str, version: str) -> None:
    path = DEPLOY / "kubernetes" / name
    assert output(tool("kubernetes-validate"), "--strict", "--kubernetes-version", version, path) == ""


@pytest.mark.parametrize("mistake", [("httpGet:", "httpget:"), ("replicas: 2", "replicas: two")])
def test_mistake_in_a_manifest_is_found(mistake: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text((DEPLOY / "kubernetes" / "web.yaml").read_text().replace(*mistake))
    assert output(tool("kubernetes-validate"), "--strict", tmp_path / "web.yaml")


def test_kustomization_can_be_built() -> None:
    done = subprocess.run(
        [tool("kubectl"), "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    built = {(one["kind"], one["metadata"]["name"]) for one in yaml.safe_load_all(done.stdout)}
    assert built == {(one["kind"], one["metadata"]["name"]) for one in deployment.manifests()} - {
        ("Secret", "securenet")
    }


def verified(folder: Path, replaced: tuple[str, str] = ("", "")) -> str:
    """What `systemd-analyze verify` says of the units, with the Python and the folder of this checkout in them."""
    places = {"/opt/securenet/.venv/bin/python": sys.executable, "=/opt/securenet": f"={PROJECT_DIR}"}
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        for there, here in [*places.items(), replaced]:
            text = text.replace(there, here) if there else text
        (folder / name).write_text(text)
    names = [f"./{name.replace('@.', '@1.')}" for name in UNITS]
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", *names],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    assert verified(tmp_path) == ""


@pytest.mark.parametrize(
    "mistake",
    [
        ("ProtectSystem=strict", "ProtectSytem=strict"),
        ("TimeoutStopSec=80", "TimeoutStopSec=soon"),
        ("Sockets=securenet-web.socket", "Sockets=securenet-web"),
    ],
)
def test_mistake_in_a_unit_is_found(mistake: tuple[str, str], tmp_path: Path) -> None:
    assert verified(tmp_path, mistake)


# Rules that hold without a linter


def test_dockerfile_has_no_mistake_that_matters() -> None:
    assert deployment.dockerfile_mistakes((DEPLOY / "Dockerfile").read_text()) == []


@pytest.mark.parametrize(
    ("line", "worse", "why"),
    [
        ("python:3.11-slim-bookworm", "python:latest", "FROM"),
        ("python:3.11-slim-bookworm", "python", "FROM"),
        ("USER 10001:10001", "USER nobody", "USER"),
        ("USER 10001:10001", "USER 0", "USER"),
        ("USER 10001:10001", "", "USER"),
        ('CMD ["python", "-m", "securenet.run.web"]', "CMD python -m securenet.run.web", "CMD"),
        ("COPY manage.py ./", "ADD https://example.org/manage.py ./", "ADD"),
        ("--require-hashes ", "", "RUN pip install"),
        ("WORKDIR /app", "ENV SECRET_KEY=abc", "ENV"),
        ("WORKDIR /app", "RUN apt-get update && apt-get install --yes curl", "RUN apt-get"),
        ("STOPSIGNAL SIGTERM", "", "STOPSIGNAL"),
    ],
)
def test_mistake_in_the_dockerfile_is_found(line: str, worse: str, why: str) -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert line in text
    assert any(found.startswith(why) for found in deployment.dockerfile_mistakes(text.replace(line, worse)))


def test_image_has_the_packages_of_the_product_in_the_versions_that_are_tested() -> None:
    product = (PROJECT_DIR / "requirements.in").read_text().partition("# The product")[2].partition("\n\n")[0]
    wanted = {name.lower() for name in re.findall(r"^([\w-]+)(?:\[[\w,]+\])?==", product, re.MULTILINE)}
    image = (DEPLOY / "requirements.in").read_text()
    assert wanted <= {name.lower() for name in re.findall(r"^([\w-]+)", image, re.MULTILINE)}
    tested = pinned(PROJECT_DIR / "requirements.txt")
    shipped = pinned(DEPLOY / "requirements.txt")
    assert {name: version for name, version in shipped.items() if tested.get(name) != version} == {}


def pinned(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w-]+)==(\S+)", path.read_text(), re.MULTILINE))


def test_builder_sees_what_the_dockerfile_copies_and_no_secret() -> None:
    ignored = (PROJECT_DIR / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source
        for part in deployment.instructions((DEPLOY / "Dockerfile").read_text())
        if part.keyword == "COPY" and "--from" not in part.value
        for source in part.value.split()[:-1]
    }
    assert copied == let_in
    assert all((PROJECT_DIR / source).exists() for source in copied)


# What the files say of SecureNet

ENVIRONMENTS = {
    "image": deployment.image_environment(),
    "compose": deployment.compose()["services"]["web"]["environment"],
    "compose migrate": deployment.compose()["services"]["migrate"]["environment"],
    "systemd": deployment.env_file(DEPLOY / "systemd" / "securenet.env.example"),
    "kubernetes": deployment.kubernetes_environment(),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_variable_that_is_set_is_read(name: str) -> None:
    known = deployment.variables_read()
    unknown = {
        variable
        for variable in ENVIRONMENTS[name]
        if variable.removesuffix("_FILE") not in known and not deployment.OTHERS_READ.fullmatch(variable)
    }
    assert unknown == set()


def test_example_for_compose_names_what_compose_reads() -> None:
    read = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yml").read_text()))
    required = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yml").read_text()))
    example = set(deployment.env_file(DEPLOY / ".env.example"))
    assert required <= example <= read
    assert required == set(deployment.GIVEN)


@pytest.mark.parametrize("name", ["compose", "systemd", "kubernetes"])
def test_settings_for_production_accept_the_environment(name: str, tmp_path: Path) -> None:
    """`manage.py check --deploy` with the very variables; only secrets, which the files leave out, are made up."""
    environment = {**ENVIRONMENTS["image"], **ENVIRONMENTS[name], "SECRET_KEY": "a1B2c3D4e5-" * 6}
    environment |= {"PATH": os.environ["PATH"], "SECURENET_DATA_DIR": str(tmp_path)}
    check = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(check, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert environment["SECURENET_ENV"] == "production"
    assert environment["DATABASE_URL"].startswith("postgres://")
    assert environment["TLS_AT_PROXY"] == "on"
    assert environment["TRUSTED_PROXIES"]


def commands() -> dict[str, list[str]]:
    """Every command line in the files, by where it stands."""
    found = {"image": deployment.image_command(), "image's health check": deployment.image_command("HEALTHCHECK")}
    for name, service in deployment.compose()["services"].items():
        if name not in ("postgres", "redis"):
            found[f"compose {name}"] = service["command"]
            if test := service["healthcheck"].get("test"):
                found[f"compose {name}'s health check"] = test[1:]
    for name in SERVICES:
        (start,) = deployment.unit(name)["ExecStart"]
        found[name] = start.split()
    for workload in deployment.manifests():
        if workload["kind"] in ("Deployment", "Job"):
            pod = deployment.pod_of(workload)
            for container in [*pod.get("initContainers", []), *pod["containers"]]:
                found[f"kubernetes {container['name']}"] = container["command"]
            found |= {f"kubernetes {name}": words for name, words in hooks(pod["containers"][0]).items()}
    return found


def hooks(container: dict[str, Any]) -> dict[str, list[str]]:
    places = {**{name: container.get(name, {}) for name in container}, **container.get("lifecycle", {})}
    return {name: part["exec"]["command"] for name, part in places.items() if isinstance(part, dict) and "exec" in part}


@pytest.mark.parametrize("place", commands())
def test_every_command_exists(place: str) -> None:
    python, *words = commands()[place]
    assert python in ("python", "/opt/securenet/.venv/bin/python")
    match words:
        case ["-m", module]:
            assert importlib.util.find_spec(module)
        case ["manage.py", command, *_]:
            assert command in get_commands()
        case [script, *_]:
            assert (PROJECT_DIR / Path(script).relative_to("/app")).is_file()


def test_web_server_worker_and_migrations_are_the_same_everywhere() -> None:
    found = commands()
    for what, words in {
        "web": ["-m", "securenet.run.web"],
        "worker": ["manage.py", "rqworker"],
        "migrate": ["-m", "securenet.run.prepare"],
    }.items():
        unit = next(name for name in SERVICES if what in name)
        assert [found[f"compose {what}"][1:], found[unit][1:], found[f"kubernetes {what}"][1:]] == [words] * 3
    assert found["image"][1:] == ["-m", "securenet.run.web"]


def test_probes_ask_paths_and_ports_that_exist_by_a_name_that_is_allowed() -> None:
    container = deployment.pod_of(deployment.manifest("Deployment", "securenet-web"))["containers"][0]
    (port,) = container["ports"]
    environment = deployment.kubernetes_environment()
    assert port["containerPort"] == int(environment["PORT"])
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert [asked[name]["path"] for name in asked] == ["/livez", "/livez", "/readyz"]
    for probe in asked.values():
        assert resolve(probe["path"]).url_name == probe["path"].strip("/")
        assert probe["port"] == port["name"]
        assert [header["name"] for header in probe["httpHeaders"]] == ["Host"]
        assert probe["httpHeaders"][0]["value"] in environment["ALLOWED_HOSTS"].split(",")


def test_ports_are_those_that_the_web_server_listens_on() -> None:
    port = deployment.image_environment()["PORT"]
    (exposed,) = [
        part.value for part in deployment.instructions((DEPLOY / "Dockerfile").read_text()) if part.keyword == "EXPOSE"
    ]
    web = deployment.compose()["services"]["web"]
    (published,) = web["ports"]
    first, last = map(int, published.split(":")[1].split("-"))
    assert (exposed, published.split(":")[2]) == (port, port)
    assert last - first + 1 == web["deploy"]["replicas"]
    (listened,) = deployment.unit("securenet-web.socket")["ListenStream"]
    assert listened.endswith(":" + deployment.env_file(DEPLOY / "systemd" / "securenet.env.example")["PORT"])
    (service_port,) = deployment.manifest("Service", "securenet-web")["spec"]["ports"]
    assert service_port["targetPort"] == "http"


def test_everything_is_given_longer_to_end_than_it_needs() -> None:
    unrouted_after = runpy.run_path(str(DEPLOY / "drain.py"))["UNROUTED_AFTER"]
    web, worker = (deployment.manifest("Deployment", f"securenet-{name}") for name in ("web", "worker"))
    assert deployment.pod_of(web)["terminationGracePeriodSeconds"] > unrouted_after + WEB_DRAIN
    assert deployment.pod_of(worker)["terminationGracePeriodSeconds"] > LONGEST_JOB
    services = deployment.compose()["services"]
    assert seconds(services["web"]["stop_grace_period"]) > 2 * WORKER_GRACE
    assert seconds(services["worker"]["stop_grace_period"]) > LONGEST_JOB
    assert seconds(deployment.unit("securenet-web@.service")["TimeoutStopSec"][0]) > WEB_DRAIN
    assert seconds(deployment.unit("securenet-worker@.service")["TimeoutStopSec"][0]) > LONGEST_JOB


def seconds(text: str) -> int:
    """Seconds of "90", "20s", "61m" or "1h"."""
    units = {"": 1, "s": 1, "m": 60, "h": 3600}
    return int(text.rstrip("smh")) * units[text.lstrip("0123456789")]


def test_signals_are_those_that_web_servers_and_workers_obey() -> None:
    assert deployment.unit("securenet-web@.service")["KillSignal"] == [HAND_OVER.name]
    assert deployment.unit("securenet-worker@.service")["KillSignal"] == ["SIGTERM"]
    # A work-horse ends with its job, not with a signal.
    assert deployment.unit("securenet-worker@.service")["KillMode"] == ["mixed"]
    assert "stop_signal" not in deployment.compose()["services"]["worker"]
