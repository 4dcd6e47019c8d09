"""``manage.py first_start``: gives a new SecureNet something real to look at. Does nothing the second time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from perf.jobs import submit
from securenet.logs.files import NotALogFile, ingest_file
from securenet.logs.jobs import LOG_ANALYSIS
from securenet.logs.models import AnalysisRun, LogEvent
from securenet.security.models import Scan

# Logs that a machine may have, the most telling first; the last one SecureNet writes itself.
CANDIDATES = ("/var/log/auth.log", "/var/log/secure", "/var/log/nginx/access.log", "/var/log/apache2/access.log")
MOST_LINES = 50_000


class Command(BaseCommand):
    help = "Scans the loopback network and analyses a log of this machine, if that was never done."

    def handle(self, *args: Any, **options: Any) -> None:
        self._scan()
        self._analyse()

    def _scan(self) -> None:
        if Scan.objects.exists():
            return
        port = os.environ.get("PORT", "8000")
        job = submit("security_scan", {"targets": ["127.0.0.1"], "ports": f"1-1024,{port}"})
        self.stdout.write(f"First scan of 127.0.0.1 submitted: /api/performance/background-job/{job.pk}")

    def _analyse(self) -> None:
        if AnalysisRun.objects.exists():
            return
        if not LogEvent.objects.exists():
            self._ingest()
        job = submit(LOG_ANALYSIS, {}, unique=True)
        self.stdout.write(f"First log analysis submitted: /api/performance/background-job/{job.pk}")

    def _ingest(self) -> None:
        for path in (*map(Path, CANDIDATES), settings.DATA_DIR / "log" / "access.log"):
            try:
                summary = ingest_file(path, source=path.name, most_lines=MOST_LINES)
            except NotALogFile:
                continue  # not on this machine, or not for us to read
            if summary.accepted:
                self.stdout.write(f"{summary.accepted} lines taken in from {path}.")
                return
