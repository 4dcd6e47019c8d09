"""``manage.py perf_limits CLIENT``: where a client stands with every limit, and a fresh start for it."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import replace
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from perf.gate.callers import Caller, caller_of_user, parse_address
from perf.gate.revision import current
from perf.gate.standings import Standing, forget_standings, read_standings
from perf.gate.store import StoreUnavailable
from perf.policies.snapshot import LimitRule
from perf.rate_limiting import limits_in_code

KINDS = "user:NAME, ip:ADDRESS, role:ROLE+ROLE, key:TEXT, or everyone"


class Command(BaseCommand):
    """Shows and resets the counters of one client."""

    help = "Show what a client used of every limit it is counted by; with --reset, forget it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("client", metavar="CLIENT", help=f"{KINDS}. A bare word is an address or a user's name.")
        parser.add_argument("--policy", action="append", default=[], help="only this limit (may be repeated)")
        parser.add_argument("--reset", action="store_true", help="forget what the client used of the limits shown")

    def handle(self, *args: Any, client: str, policy: list[str], reset: bool, **options: Any) -> None:
        kind, caller = find_client(client)
        rules = _rules_counting(kind, caller)
        if unknown := set(policy) - {rule.name for rule in rules}:
            raise CommandError(f"No limit named {', '.join(sorted(unknown))} counts by {kind}.")
        rules = [rule for rule in rules if not policy or rule.name in policy]
        try:
            self._show(read_standings(rules, caller))
            if reset:
                forgotten = forget_standings(rules, caller)
                self.stdout.write(f"Forgotten: {forgotten} counter{'' if forgotten == 1 else 's'}.")
        except StoreUnavailable as reason:
            raise CommandError(f"Redis cannot be asked: {reason}. Counters are there alone.") from reason

    def _show(self, standings: list[Standing]) -> None:
        if not standings:
            self.stdout.write("No enabled limit counts this client.")
            return
        width = max(len(standing.rule.name) for standing in standings)
        self.stdout.write(f"{'limit':<{width}}  {'used':>6}  {'left':>6}  {'of':>6}  {'in':>8}  comes back in")
        for standing in standings:
            rule = standing.rule
            back = f"{standing.reset:.1f} s" if standing.used else "-"
            self.stdout.write(
                f"{rule.name:<{width}}  {standing.used:>6}  {standing.remaining:>6}  {rule.capacity:>6}  "
                f"{f'{rule.period} s':>8}  {back}"
            )


def find_client(text: str) -> tuple[str, Caller]:
    """Read a CLIENT: how it is counted, and the caller that is counted so. Raises `CommandError`."""
    kind, colon, value = text.partition(":")
    if text == "everyone":
        return "everyone", Caller(None, frozenset(), None)
    if not colon or kind not in ("user", "ip", "role", "key"):
        kind, value = ("ip" if parse_address(text) else "user"), text
    match kind:
        case "ip":
            address = parse_address(value)
            if address is None:
                raise CommandError(f"{value!r} is no address.")
            return kind, Caller(None, frozenset(), address)
        case "role":
            return kind, Caller(None, frozenset(value.split("+")), None)
        case "key":
            return kind, Caller(None, frozenset(), None, key=value)
        case _:
            users = get_user_model()
            user = users._default_manager.filter(**{users.USERNAME_FIELD: value}).first()
            if user is None:
                raise CommandError(f"There is no user {value!r}. Write {KINDS}.")
            return kind, caller_of_user(user)


def _rules_counting(kind: str, caller: Caller) -> list[LimitRule]:
    """The limits that count clients of this kind, in their order; code may count by a key under any policy."""
    import_module(settings.ROOT_URLCONF)  # limits written in code are known once the views are
    by_default = "everyone" if kind == "everyone" else "user_or_ip"
    rules = sorted(current.get().by_name.values(), key=lambda rule: (rule.position, rule.name))
    rules += [replace(rule, count_by=rule.count_by or by_default) for rule in limits_in_code.values()]
    if kind == "key":
        return [replace(rule, count_by="key") for rule in rules]
    return [rule for rule in rules if rule.count_by != "key" and caller.counted_as(rule.count_by)[0] == kind]
