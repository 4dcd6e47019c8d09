"""``manage.py import_vulnerabilities FILE…``: takes in vulnerability data that the operator has downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from securenet.vulnerabilities.feeds import NotAFeed
from securenet.vulnerabilities.importing import import_feed


class Command(BaseCommand):
    help = (
        "Takes in vulnerability data: NVD JSON 2.0, OSV (JSON, or the zip of an ecosystem such as Debian), CISA's KEV "
        "catalogue (JSON); each also with gzip. Nothing is downloaded. Only what concerns products that the scanner "
        "can tell is kept."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        problems: list[str] = []
        for path in options["files"]:
            try:
                imported = import_feed(path, on_read=self._tell)
            except NotAFeed as error:
                problems.append(str(error))
                continue
            older = f"; {imported.older} are known from newer data" if imported.older else ""
            feed = imported.feed
            age = f"{feed.age_days(timezone.now())} days old"
            self.stdout.write(
                f"{path}: {feed.get_kind_display()} of {feed.published_at:%Y-%m-%d} ({age}): "
                f"{imported.read} records read, {imported.kept} kept{older}."
            )
        if problems:
            raise CommandError("\n".join(problems))

    def _tell(self, records: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r{records} records …", ending="")
