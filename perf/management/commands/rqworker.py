"""``manage.py rqworker``: django-rq's command, with perf's worker, its intervals, and JSON messages."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django_rq.management.commands.rqworker import Command as RqWorker

from perf.jobs.publish import queue_names


class Command(RqWorker):
    help = "Runs a worker, by default for all queues of RQ_QUEUES in their order, with job recovery beside it."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(
            worker_class="perf.jobs.worker.PerfWorker", serializer="json", worker_ttl=30, with_scheduler=False
        )

    def handle(self, *queues: str, **options: Any) -> None:
        super().handle(*(queues or queue_names()), **options)
