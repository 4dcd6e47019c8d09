"""Reads the files in deploy/: what they set, what they start, and which mistakes are in the Dockerfile."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from securenet.run.config import PROJECT_DIR

DEPLOY = PROJECT_DIR / "deploy"
# Units of systemd that start something.
SERVICES = ("securenet-migrate.service", "securenet-web@.service", "securenet-worker@.service")
# What programs other than SecureNet read: Python, pip, Django's manage.py.
OTHERS_READ = re.compile(r"PATH|PYTHON[A-Z]+|PIP_[A-Z_]+|DJANGO_SETTINGS_MODULE")
# Values for what Compose insists on.
GIVEN = {
    "SECRET_KEY": "k3y-" * 16,
    "POSTGRES_PASSWORD": "postgres0",
    "REDIS_PASSWORD": "redis0",
    "ALLOWED_HOSTS": "securenet.example.org",
    "TRUSTED_PROXIES": "172.16.0.0/12",
}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile, with continued lines joined; ``stage`` counts its FROM."""

    keyword: str
    value: str
    stage: int


def instructions(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile; stage 0 is what stands before the first FROM."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: list[Instruction] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            keyword, _, value = line.strip().partition(" ")
            stage = (found[-1].stage if found else 0) + (keyword.upper() == "FROM")
            found.append(Instruction(keyword.upper(), value.strip(), stage))
    return found


def dockerfile_mistakes(text: str) -> list[str]:
    """What is wrong with a Dockerfile, by the rules that matter here; a linter knows more."""
    found = instructions(text)
    last = [part for part in found if part.stage == max(other.stage for other in found)]
    defaults = dict(part.value.split("=", 1) for part in found if part.keyword == "ARG" and "=" in part.value)
    mistakes = list(_mistakes_in_instructions(found, defaults))
    users = [part.value for part in last if part.keyword == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1]):
        mistakes.append("USER: the last stage ends as a user whose number is not above zero")
    for keyword in ("CMD", "STOPSIGNAL", "HEALTHCHECK"):
        if not any(part.keyword == keyword for part in last):
            mistakes.append(f"{keyword}: is missing")
    return mistakes


def _mistakes_in_instructions(found: list[Instruction], defaults: Mapping[str, str]) -> Iterator[str]:
    stages = {part.value.split()[-1] for part in found if part.keyword == "FROM" and " AS " in part.value.upper()}
    for part in found:
        value = part.value
        match part.keyword:
            case "FROM":
                image = re.sub(r"\$\{?(\w+)\}?", lambda name: defaults.get(name[1], ""), value.split()[0])
                tag = image.rpartition("/")[2].partition(":")[2]
                if image not in stages and (not tag or tag.startswith("latest")):
                    yield f"FROM {image}: has no tag that stays what it is"
            case "ADD":
                yield f"ADD {value}: COPY says what it does"
            case "CMD" | "ENTRYPOINT" if not value.startswith("["):
                yield f"{part.keyword}: a shell would stand between the signal and the server"
            case "RUN" if "apt-get" in value and "rm -rf /var/lib/apt/lists" not in value:
                yield "RUN apt-get: leaves the lists of packages in the layer"
            case "RUN" if "pip install" in value and "--require-hashes" not in value:
                yield "RUN pip install: takes whatever has the name"
            case "ENV" | "ARG" if re.search(r"\b\w*(SECRET|PASSWORD|TOKEN)\w*=", value):
                yield f"{part.keyword}: a secret in a layer"


def interpolate(text: str, given: Mapping[str, str] = GIVEN) -> str:
    """Replace ``${NAME:-default}`` and ``${NAME:?message}``, as Compose does.

    Raises:
        KeyError: ``given`` lacks what the text insists on.
    """

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if chosen := given.get(name):
            return chosen
        if kind == ":-":
            return str(rest)
        raise KeyError(f"{name}: {rest}")

    return re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", value, text)


def compose() -> dict[str, Any]:
    """The Compose file with values; anchors and merges resolved."""
    loaded: dict[str, Any] = yaml.safe_load(interpolate((DEPLOY / "compose.yml").read_text()))
    return loaded


def image_environment() -> dict[str, str]:
    """What the image's last stage sets for every command."""
    found = instructions((DEPLOY / "Dockerfile").read_text())
    last = max(part.stage for part in found)
    pairs = [shlex.split(part.value) for part in found if part.keyword == "ENV" and part.stage == last]
    return dict(pair.split("=", 1) for words in pairs for pair in words)


def image_command(keyword: str = "CMD") -> list[str]:
    """The words of the image's CMD, or of the command that its HEALTHCHECK runs."""
    (part,) = [part for part in instructions((DEPLOY / "Dockerfile").read_text()) if part.keyword == keyword]
    words: list[str] = json.loads(part.value[part.value.index("[") :])
    return words


def unit(name: str) -> dict[str, list[str]]:
    """All directives of a file in deploy/systemd, each with its values in order."""
    directives: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text().splitlines():
        key, is_directive, value = line.partition("=")
        if is_directive and not line.startswith("#"):
            directives.setdefault(key, []).append(value)
    return directives


def env_file(path: Path) -> dict[str, str]:
    """Variables of a file of ``NAME=value`` lines."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def manifests() -> list[dict[str, Any]]:
    """All objects of deploy/kubernetes, the secret's example included, without the kustomization."""
    paths = [path for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) if path.stem != "kustomization"]
    return [manifest for path in paths for manifest in yaml.safe_load_all(path.read_text())]


def manifest(kind: str, name: str) -> dict[str, Any]:
    """The one object of that kind and name."""
    (found,) = [one for one in manifests() if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def pod_of(workload: Mapping[str, Any]) -> dict[str, Any]:
    """The specification of the pods that a Deployment or Job makes."""
    pod: dict[str, Any] = workload["spec"]["template"]["spec"]
    return pod


def kubernetes_environment() -> dict[str, str]:
    """What the pods get from ConfigMap and Secret."""
    return {**manifest("ConfigMap", "securenet")["data"], **manifest("Secret", "securenet")["stringData"]}


READERS = {"get", "str", "int", "bool", "list", "float", "db_url", "setdefault", "time_zone", "_number"}


def variables_read() -> set[str]:
    """Names of the environment variables that settings, commands and `securenet.run` ask for."""
    names: set[str] = set()
    for path in [*sorted((PROJECT_DIR / "securenet").rglob("*.py")), PROJECT_DIR / "manage.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr=reader) | ast.Name(id=reader)) if reader in READERS:
                    values = [argument.value for argument in node.args[:2] if isinstance(argument, ast.Constant)]
                    names |= {value for value in values if isinstance(value, str) and value.isupper()}
    return names
