"""``manage.py import_log FILE --source NAME``: takes in a log file, plain or gzip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from securenet.logs.files import NotALogFile, ingest_file
from securenet.logs.source import LABEL_HINT, is_label, label_for


class Command(BaseCommand):
    help = "Takes in a log file (plain or .gz). Links and special files are refused."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--source", default="", help="Where the lines come from; by default the file's name.")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        source: str = options["source"] or label_for(path.name)
        if not is_label(source):
            raise CommandError(f"{source!r} cannot be a source. {LABEL_HINT}")
        try:
            summary = ingest_file(path, source=source)
        except NotALogFile as error:
            raise CommandError(str(error)) from error
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(summary.by_kind.items()))
        self.stdout.write(f"{summary.accepted} lines from {path} ({kinds}); {summary.unparsed} not understood.")
