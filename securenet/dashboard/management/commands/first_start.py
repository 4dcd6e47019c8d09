"""``manage.py first_start``: gives a new SecureNet something real to look at. Does nothing the second time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.urls import reverse

from perf.jobs import Job, QueueFull, submit
from perf.jobs.errors import JobTypeDisabled
from securenet.logs.files import NotALogFile, ingest_file
from securenet.logs.followed import followed_paths
from securenet.logs.jobs import LOG_ANALYSIS
from securenet.logs.models import AnalysisRun, LogEvent
from securenet.logs.source import label_for
from securenet.security.models import Scan
from securenet.security.scan_params import DEFAULT_PORTS
from securenet.security.signals import SECURITY_SCAN

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
        self._submit("First scan of 127.0.0.1", SECURITY_SCAN, targets=["127.0.0.1"], ports=f"{DEFAULT_PORTS},{port}")

    def _analyse(self) -> None:
        if AnalysisRun.objects.exists():
            return
        if not LogEvent.objects.exists():
            self._ingest()
        self._submit("First log analysis", LOG_ANALYSIS)

    def _submit(self, what: str, job_type: str, **params: Any) -> None:
        try:
            job: Job = submit(job_type, params, unique=True)
        except (QueueFull, JobTypeDisabled) as refusal:
            self.stdout.write(f"{what} not submitted: {refusal}")
        else:
            self.stdout.write(f"{what} submitted: {reverse('performance:background-job', args=[job.pk])}")

    def _ingest(self) -> None:
        followed, _ = followed_paths()  # the analysis takes those in, and remembers how far
        for path in (*map(Path, CANDIDATES), settings.DATA_DIR / "log" / "access.log"):
            if path in followed:
                continue
            try:
                summary = ingest_file(path, source=label_for(path.name), most_lines=MOST_LINES)
            except NotALogFile:
                continue  # not on this machine, or not for us to read
            if summary.accepted:
                self.stdout.write(f"{summary.accepted} lines taken in from {path}.")
                return
