"""Brings back what was lost: dead workers' jobs, messages that Redis forgot, capacity, old rows, missed publications.

Looks only at rows. Every step is a conditional update, so several passes at once do no harm; the leader's key only
keeps them from doing the same work twice.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from datetime import timedelta

from django import db
from django.db.models import Q
from django.utils import timezone
from redis.exceptions import RedisError

from perf.conf import setting
from perf.gate import keys, revision
from perf.gate.store import StoreUnavailable, store
from perf.jobs import admission, cron, states
from perf.jobs.policy import terms_of_types
from perf.jobs.publish import message_id, publish, waiting_messages
from perf.metrics import job_counts
from perf.models import Job
from perf.policies.revisions import head_number

log = logging.getLogger(__name__)

# Seconds a message may be on its way between queue and claim before it counts as lost.
ON_THE_WAY_SECONDS = 5
BATCH = 1000
SELDOM_PASSES = 120


def recover(seldom: bool = True) -> None:
    """One pass. ``seldom`` includes what need not happen every time."""
    take_back_expired()
    publish_again()
    cron.submit_due()
    publish_revision()
    if seldom:
        admission.recount()
        delete_old()


def take_back_expired() -> int:
    """Jobs whose worker stopped renewing its lease go back to the queue, or fail after the last attempt."""
    expired = Job.objects.filter(status=Job.Status.PROCESSING, lease_expires_at__lt=timezone.now())[:BATCH]
    taken_back = sum(states.retry_or_fail(job, "The worker died or lost its connection.") for job in expired)
    job_counts.count_recovery("taken_back", taken_back)
    return taken_back


def publish_again() -> int:
    """Waiting jobs that no message in Redis speaks of are published (again)."""
    now = timezone.now()
    due = Job.objects.filter(status=Job.Status.SUBMITTED).exclude(run_after__gt=now)
    overdue = Q(published_at=None) | Q(published_at__lt=now - timedelta(seconds=ON_THE_WAY_SECONDS))
    candidates = list(due.filter(overdue).order_by("submitted_at")[:BATCH])
    if not candidates or store.is_open:
        return 0
    try:
        waiting = waiting_messages()
    except (RedisError, OSError) as error:
        log.warning("Redis cannot be asked for its queues: %s", error)
        return 0
    published = publish([job for job in candidates if message_id(job) not in waiting])
    job_counts.count_recovery("published_again", published)
    return published


def delete_old() -> int:
    """Rows of ended jobs go when their policy's ``keep_results_for`` is over."""
    deleted = 0
    types = set(Job.objects.order_by().values_list("type", flat=True).distinct())
    for name, terms in terms_of_types(types).items():
        ended_before = timezone.now() - timedelta(seconds=terms.keep_results_for)
        old = Job.objects.filter(type=name, finished_at__lt=ended_before).exclude(status__in=Job.ACTIVE)
        while batch := list(old.values_list("pk", flat=True)[:BATCH]):
            deleted += old.filter(pk__in=batch).delete()[1].get(Job._meta.label, 0)
    return deleted


def publish_revision() -> None:
    """Redis was away at a save, and the process that saved is gone: publish for it."""
    try:
        revision.publish(head_number())
    except StoreUnavailable as reason:
        log.info("The policy revision could not be published: %s", reason)


class RecoveryLoop:
    """Passes at an interval, in the one process that holds the leader's key; without Redis, in each."""

    def __init__(self) -> None:
        self._me = f"{socket.gethostname()}:{os.getpid()}"
        self._stop = threading.Event()

    def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        passes = 0
        while not self._stop.is_set():
            try:
                if self._leads():
                    recover(seldom=passes % SELDOM_PASSES == 0)
                    passes += 1
            except db.DatabaseError as error:
                log.warning("Recovery could not read the database: %s", error)
                db.connections.close_all()
            self._stop.wait(float(setting("RECOVERY_SECONDS")))
        self._give_up()

    def _leads(self) -> bool:
        key, life = keys.leader("recovery"), int(float(setting("RECOVERY_SECONDS")) * 3000)
        try:
            holder = store.ask(lambda client: client.set(key, self._me, nx=True, px=life) or client.get(key))
            if holder is True:
                return True
            if holder != self._me.encode():
                return False
            store.ask(lambda client: client.pexpire(key, life))
        except StoreUnavailable:
            return True
        return True

    def _give_up(self) -> None:
        key = keys.leader("recovery")
        try:
            if store.ask(lambda client: client.get(key)) == self._me.encode():
                store.ask(lambda client: client.delete(key))
        except StoreUnavailable:
            log.info("The leader's key expires by itself.")
