"""``manage.py ingest_logs``: takes in log files, whole or from where the last run stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from securenet.logs.files import NotALogFile, Progress, Report, ingest_file, ingest_stream
from securenet.logs.followed import TakenIn, followed_paths, take_in
from securenet.logs.ingest import IngestSummary
from securenet.logs.management.progress_bar import ProgressBar
from securenet.logs.parsers.text import clean_text
from securenet.logs.source import LABEL_HINT, is_label, label_for

STDIN = "-"


class Command(BaseCommand):
    help = (
        "Takes in log files. Without FILE: those named in LOG_FILES, with --resume. "
        "Symbolic links and special files are refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="*", metavar="FILE", help="A log file, plain or .gz; - is standard input.")
        parser.add_argument("--source", default="", help="Where the lines come from; by default the file's name.")
        parser.add_argument(
            "--resume",
            action="store_true",
            help="Go on where the last run with --resume stopped, over rotations; only whole lines are taken in.",
        )

    def handle(self, *args: Any, files: list[str], source: str, resume: bool, **options: Any) -> None:
        if source and not is_label(source):
            raise CommandError(f"{source!r} cannot be a source. {LABEL_HINT}")
        errors = []
        names, resume = (files, resume) if files else (self._followed(), True)
        for name in names:
            try:
                if resume:
                    self._take_in(name, source)
                else:
                    self._ingest(name, source)
            except NotALogFile as error:
                errors.append(str(error))
        if errors:
            raise CommandError("\n".join(errors))

    def _followed(self) -> list[str]:
        paths, missing = followed_paths()
        for text in missing:
            self.stderr.write(text)
        if not paths and not missing:
            raise CommandError("Name a file, or set LOG_FILES to the files that are to be followed.")
        return [str(path) for path in paths]

    def _ingest(self, name: str, source: str) -> None:
        with self._bar(name) as report:
            if name == STDIN:
                summary = ingest_stream(
                    sys.stdin.buffer, name="standard input", source=source or "stdin", report=report
                )
            else:
                path = Path(name)
                summary = ingest_file(path, source=source or label_for(path.name), report=report)
        self._say(name, summary)

    def _take_in(self, name: str, source: str) -> None:
        if name == STDIN:
            raise NotALogFile("Standard input cannot be resumed. Leave --resume out.")
        path = Path(name)
        with self._bar(name) as report:
            taken: TakenIn = take_in(path, source=source or label_for(path.name), report=report)
        if taken.summary.accepted or not taken.error:
            self._say(name, taken.summary)
        for warning in taken.warnings:
            self.stderr.write(warning)
        if taken.error:
            raise NotALogFile(taken.error)

    def _say(self, name: str, summary: IngestSummary) -> None:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(summary.by_kind.items()))
        where = "standard input" if name == STDIN else name
        self.stdout.write(f"{summary.accepted} lines from {where} ({kinds}); {summary.unparsed} not understood.")

    @contextmanager
    def _bar(self, name: str) -> Iterator[Report | None]:
        """Shows progress on a terminal, and nothing elsewhere."""
        if not self.stderr.isatty():
            yield None
            return
        bar = ProgressBar(self.stderr, "standard input" if name == STDIN else clean_text(Path(name).name))
        bar.show(Progress(0, None, 0))
        try:
            yield bar.show
        finally:
            bar.clear()
