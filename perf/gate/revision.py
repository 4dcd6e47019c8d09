"""The snapshot this process decides by, and how it keeps up with the published revision."""

from __future__ import annotations

import logging
import os
import threading

from django.db import DatabaseError, router, transaction

from perf.gate import identities, keys
from perf.gate.keeper import keeper
from perf.gate.scripts import load_script
from perf.gate.store import StoreUnavailable, store
from perf.models import PolicyHead
from perf.policies import revisions
from perf.policies.compile import load_snapshot
from perf.policies.snapshot import Snapshot

log = logging.getLogger(__name__)


class CurrentSnapshot:
    """Holds the newest snapshot this process knows; at most one thread loads at a time."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._suspect = False
        self._lock = threading.Lock()

    def get(self) -> Snapshot:
        """The snapshot to decide by. Reads the database the first time, and after Redis was away."""
        if self._snapshot is None or (self._suspect and not store.is_open):
            return self._load(None)
        return self._snapshot

    def last_known(self) -> Snapshot:
        """The snapshot to decide by while Redis is away: no look at the database unless there is none yet."""
        return self._snapshot or self._load(None)

    def catch_up(self, behind: Snapshot, published: str) -> Snapshot:
        """Redis names ``published`` where we decided by ``behind``: load, and make both agree.

        Raises:
            StoreUnavailable: Redis or the database failed on the way.
        """
        with self._lock:
            if self._snapshot is not None and self._snapshot is not behind:
                return self._snapshot
        if not published:
            identities.announce_recent()
        snapshot = self._load(behind)
        if str(snapshot.number) != published:
            seen = published if not _reads_the_past() else "unknown"
            publish(snapshot.number, seen)
        return snapshot

    def suspect(self) -> None:
        """Redis failed: what it says on its return may be older than what was saved meanwhile."""
        self._suspect = True

    def forget(self) -> None:
        """Load anew at the next request."""
        self._snapshot = None
        self._suspect = False

    def _load(self, behind: Snapshot | None) -> Snapshot:
        with self._lock:
            if self._snapshot is not None and self._snapshot is not behind and not self._suspect:
                return self._snapshot
            suspect, self._suspect = self._suspect, False
            try:
                self._snapshot = load_snapshot()
            except DatabaseError as error:
                if self._snapshot is None:
                    raise
                self._suspect = True
                raise StoreUnavailable(f"policies cannot be read: {error}") from error
            if suspect:
                publish(self._snapshot.number, "")
            return self._snapshot


def publish(number: int, seen: str = "") -> None:
    """Make ``number`` the published revision, unless a newer one is. Raises `StoreUnavailable`."""
    store.run(load_script("publish_revision"), [keys.revision()], [number, seen])


def publish_after_commit(number: int) -> None:
    """The listener of committed changes: publish now, or as soon as Redis is back."""
    try:
        publish(number)
    except StoreUnavailable:
        log.warning("Revision %s is published as soon as Redis is back.", number)
        keeper.deliver("revision", lambda: publish(number))


def _reads_the_past() -> bool:
    """Inside a transaction the database may show an older state than the committed one."""
    return bool(transaction.get_connection(router.db_for_write(PolicyHead)).in_atomic_block)


current = CurrentSnapshot()
revisions.on_publish(publish_after_commit)
store.on_open(current.suspect)
os.register_at_fork(after_in_child=current.__init__)  # type: ignore[misc]
