"""What may be scanned, as the database has it now; and the refusals of the scanner as problems for a client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from ipaddress import ip_network
from typing import Any, Final

from perf.problems import Problem
from securenet.network.models import ScanTarget
from securenet.security.asset_targets import with_addresses
from securenet.security.scanner import PinnedAddress, PortSet, Refusal, Scope, TargetRefused, authorise
from securenet.security.scanner.targets import HostTarget, Resolver, parse_targets, system_resolver

RESOLVE_SECONDS: Final = 5.0
_LOOKUPS_AT_ONCE: Final = 16
# What the client got wrong, not what it may not do.
_BAD_REQUESTS: Final = frozenset({Refusal.INVALID, Refusal.UNRESOLVED, Refusal.TOO_MANY})


def current_scopes() -> tuple[Scope, ...]:
    """The enabled scan targets. Expired ones are among them, so that a refusal can say so."""
    return tuple(
        Scope(
            network=ip_network(target.network),
            ports=PortSet.parse(target.ports),
            rate=float(target.rate),
            valid_until=target.valid_until,
        )
        for target in ScanTarget.objects.filter(enabled=True).order_by("pk")
    )


def authorised_hosts(targets: Sequence[str], ports: str) -> tuple[PinnedAddress, ...]:
    """The addresses to scan. Host names are looked up side by side, each once, within `RESOLVE_SECONDS`.

    Args:
        targets: addresses, blocks, host names, and stored assets (``asset:12``).
        ports: as `PortSet` reads them.

    Raises:
        TargetRefused: for the first target that may not be scanned; it is named as it was given.
    """
    named = with_addresses(targets)
    names = {target.name for target in parse_targets(named) if isinstance(target, HostTarget)}
    try:
        return authorise(named, current_scopes(), PortSet.parse(ports), resolver=_looked_up(names))
    except TargetRefused as refused:
        if refused.target in targets or refused.target not in named:
            raise
        given = targets[named.index(refused.target)]
        raise TargetRefused(given, refused.reason, f"{refused.target}: {refused.detail}") from refused


def refuse_withdrawn(hosts: Iterable[PinnedAddress], ports: str, scopes: Sequence[Scope]) -> None:
    """Raise TargetRefused if ``scopes`` do not allow all of these addresses any more. Looks nothing up."""
    addresses = list(dict.fromkeys(str(host.address) for host in hosts))
    authorise(addresses, scopes, PortSet.parse(ports))


def problem_of(refused: TargetRefused, targets: Sequence[str]) -> Problem:
    """400 for a target that cannot be understood, 403 for one that may not be scanned; both name it and say why."""
    field = f"targets.{targets.index(refused.target)}" if refused.target in targets else "targets"
    if refused.reason in _BAD_REQUESTS:
        error = {"field": field, "detail": refused.detail, "code": refused.reason.value}
        return Problem(400, "Invalid input", str(refused), errors=[error])
    return Problem(403, "Target not authorised", str(refused), target=refused.target, reason=refused.reason.value)


def _looked_up(names: Iterable[str]) -> Resolver:
    """A resolver that knows the answers for ``names``; a name without an answer in time has none."""
    answers: Mapping[str, Future[Any]] = {}
    if names:
        pool = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="lookup")
        answers = {name: pool.submit(system_resolver, name) for name in names}
        wait(answers.values(), timeout=RESOLVE_SECONDS)
        pool.shutdown(wait=False, cancel_futures=True)

    def resolver(name: str) -> Sequence[str]:
        answer = answers[name]
        if not answer.done() or answer.cancelled():
            raise OSError(f"no answer within {RESOLVE_SECONDS:g} s")
        result: Sequence[str] = answer.result()
        return result

    return resolver
