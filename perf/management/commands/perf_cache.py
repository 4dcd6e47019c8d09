"""``manage.py perf_cache invalidate``: drops cached responses from the command line, in every process at once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from perf.caching import invalidate
from perf.caching.paths import routes_of_path
from perf.gate.store import store
from perf.models import CachePolicy


class Command(BaseCommand):
    """Operations on the response cache."""

    help = "Drop cached responses by tag, policy, view or path, or all of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        action = parser.add_subparsers(dest="action", required=True).add_parser("invalidate", help=self.help)
        for option, what in (
            ("--tag", "a tag of @cache_api_response or of a cache policy"),
            ("--policy", "the name of a cache policy"),
            ("--route", "a view name, such as security:findings"),
            ("--path", "a path, such as /api/security/findings"),
        ):
            action.add_argument(option, action="append", default=[], help=f"{what} (may be repeated)")
        action.add_argument("--everything", action="store_true", help="every cached response")

    def handle(self, *args: Any, **options: Any) -> None:
        routes = [*options["route"], *(route for path in options["path"] for route in _routes(path))]
        missing = set(options["policy"]) - set(CachePolicy.objects.values_list("name", flat=True))
        if missing:
            raise CommandError(f"There is no cache policy {', '.join(sorted(missing))}.")
        if not (options["tag"] or options["policy"] or routes or options["everything"]):
            raise CommandError("Say what to drop: --tag, --policy, --route, --path or --everything.")
        invalidate(tags=options["tag"], policies=options["policy"], routes=routes, everything=options["everything"])
        if store.is_open:
            raise CommandError(f"Redis is away ({store.reason}); nothing was dropped. Try again when it is back.")
        self.stdout.write("Dropped.")


def _routes(path: str) -> list[str]:
    routes = routes_of_path(path)
    if not routes:
        raise CommandError(f"{path} is the path of no cached view.")
    return routes
