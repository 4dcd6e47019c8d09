"""The clients that limits block most, and from each the way to a new access rule that blocks it altogether.

The ranking knows clients by the labels of `perf.gate.callers.Caller.label`. Only those of addresses and of users stand
for one client that a rule can name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2s
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from perf.gate.callers import UNKNOWN_ADDRESS
from perf.gate.labels import open_label, seal_label
from perf.models import AccessRule

# The value of this parameter is sealed, so that no name and no address gets into the log of a web server.
PARAMETER = "client"
BLOCKED_FOR = timedelta(days=1)
_NAME_LENGTH = 60

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a rule would name: a network, or else the key of a user."""

    network: Network | None = None
    user_pk: Any = None

    @property
    def fields(self) -> dict[str, Any]:
        """As the form of a rule takes it."""
        if self.network is None:
            return {"user": self.user_pk}
        is_one_address = self.network.prefixlen == self.network.max_prefixlen
        return {"network": str(self.network.network_address if is_one_address else self.network)}


@dataclass(frozen=True, slots=True)
class BlockedClient:
    """A row of the ranking. ``block_url`` is empty where no rule can be made; ``rule`` blocks the client already."""

    label: str
    blocked: int
    block_url: str
    rule: AccessRule | None

    @property
    def key(self) -> str:
        """Names the client in ids of the page."""
        return blake2s(self.label.encode(), digest_size=6).hexdigest()


def blocked_clients(ranking: Sequence[tuple[str, int]], may_block: bool) -> list[BlockedClient]:
    """The rows of ``ranking``, as `perf.metrics.read.read_ranking` gives it."""
    users = _users_named([label for label, _count in ranking])
    rules = list(_rules_in_force()) if ranking else []
    rows = []
    for label, count in ranking:
        subject = subject_of(label, users)
        rule = next((rule for rule in rules if subject is not None and _covers(rule, subject)), None)
        is_open = may_block and subject is not None and rule is None
        rows.append(BlockedClient(label, count, _block_url(label) if is_open else "", rule))
    return rows


def initial_rule(request: HttpRequest) -> dict[str, Any]:
    """What the form of a new rule begins with, where a client's button led to it; else nothing."""
    label = open_label(request.GET.get(PARAMETER, ""))
    subject = subject_of(label, _users_named([label]))
    if subject is None:
        return {}
    return {
        "name": _free_name(label),
        "effect": AccessRule.Effect.BLOCKED,
        "reason": _("Was over its limits again and again."),
        "expires_at": timezone.now().replace(microsecond=0) + BLOCKED_FOR,
        **subject.fields,
    }


def subject_of(label: str, users: Mapping[str, Any]) -> Subject | None:
    """Whom a label means; None where it is nobody whom a rule can name.

    Args:
        users: keys of the accounts there are, by name.
    """
    kind, _colon, rest = label.partition(":")
    if kind == "user" and rest in users:
        return Subject(user_pk=users[rest])
    if kind == "ip":
        try:
            network = ipaddress.ip_network(rest)
        except ValueError:
            return None
        # All those whose address is not known have this one, and loopback is its neighbour.
        is_nobody = network.version == UNKNOWN_ADDRESS.version and UNKNOWN_ADDRESS in network
        return None if is_nobody else Subject(network=network)
    return None


def _users_named(labels: Sequence[str]) -> dict[str, Any]:
    """The keys of the accounts that labels mean, by name."""
    users = get_user_model()
    field = users.USERNAME_FIELD
    names = [label.removeprefix("user:") for label in labels if label.startswith("user:")]
    return dict(users._default_manager.filter(**{f"{field}__in": names}).values_list(field, "pk")) if names else {}


def _rules_in_force() -> Any:
    is_in_time = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return AccessRule.objects.filter(is_in_time, enabled=True, effect=AccessRule.Effect.BLOCKED, role="")


def _covers(rule: AccessRule, subject: Subject) -> bool:
    if subject.network is None:
        return bool(rule.user_id == subject.user_pk)
    if not rule.network:
        return False
    network: Any = ipaddress.ip_network(rule.network, strict=False)
    return network.version == subject.network.version and bool(subject.network.subnet_of(network))


def _block_url(label: str) -> str:
    return f"{reverse('admin:perf_accessrule_add')}?{urlencode({PARAMETER: seal_label(label)})}"


def _free_name(label: str) -> str:
    """``block-ip-192-0-2-7``, with a number where there is such a rule already, such as one that has expired."""
    name = slugify("block-" + label.translate(str.maketrans(".:/@", "----")))[:_NAME_LENGTH].strip("-")
    taken = set(AccessRule.objects.filter(name__startswith=name[: _NAME_LENGTH - 4]).values_list("name", flat=True))
    free, number = name, 2
    while free in taken:
        free, number = f"{name[: _NAME_LENGTH - 4]}-{number}", number + 1
    return free
