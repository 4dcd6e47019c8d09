"""One background thread per process: brings Redis back into use, delivers notes when idle, renews leases.

It asks Redis only when there is something to do, and never the database. Started with the first exchange; a forked
child starts its own.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable

from perf.conf import setting
from perf.gate import keys
from perf.gate.notes import notes
from perf.gate.scripts import load_script
from perf.gate.store import StoreUnavailable, store

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
LEASE_TICKS_PER_LIFE = 4


class Keeper:
    """The thread and its duties. ``deliver`` functions run until they succeed, also across an outage."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._deliveries: dict[str, Callable[[], object]] = {}
        self._leases: dict[str, str] = {}
        self._lock = threading.Lock()

    def ensure_running(self) -> None:
        """Start the thread if this process has none."""
        if self._thread is None or not self._thread.is_alive():
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="perf-keeper", daemon=True)
                    self._thread.start()

    def watch_store(self) -> None:
        """Redis failed: look at it from now on, not only at the next idle tick."""
        self.ensure_running()
        self._wake.set()

    def deliver(self, name: str, action: Callable[[], object]) -> None:
        """Run ``action`` as soon as Redis takes writes; a later action of the same name replaces an earlier one."""
        with self._lock:
            self._deliveries[name] = action
        self.ensure_running()
        self._wake.set()

    def hold_lease(self, lease_key: str, token: str) -> None:
        """Renew the lease until `drop_lease`."""
        with self._lock:
            self._leases[lease_key] = token
        self.ensure_running()

    def drop_lease(self, lease_key: str) -> None:
        """Stop renewing; the lease itself is ended by whoever took it."""
        with self._lock:
            self._leases.pop(lease_key, None)

    def forget_deliveries(self) -> None:
        """Drop what waits for delivery and the leases held."""
        with self._lock:
            self._deliveries.clear()
            self._leases.clear()

    def forget(self) -> None:
        """In a forked child: threads and duties of the parent are not ours."""
        self.__init__()  # type: ignore[misc]

    def _run(self) -> None:
        while True:
            self._wake.wait(self._pause())
            self._wake.clear()
            try:
                self._look_after()
            except StoreUnavailable:
                continue
            except Exception:
                log.exception("perf's keeper thread failed; it goes on.")

    def _pause(self) -> float:
        if store.is_open:
            return float(setting("PROBE_SECONDS"))
        return min(IDLE_SECONDS, float(setting("LEASE_SECONDS")) / LEASE_TICKS_PER_LIFE)

    def _look_after(self) -> None:
        if store.is_open:
            if not store.probe():
                return
            store.close_breaker()
        self._deliver_all()
        self._renew_leases()
        flush_notes()

    def _deliver_all(self) -> None:
        for name, action in list(self._deliveries.items()):
            action()
            with self._lock:
                if self._deliveries.get(name) is action:
                    del self._deliveries[name]

    def _renew_leases(self) -> None:
        life = int(setting("LEASE_SECONDS") * 1000)
        for lease_key, token in list(self._leases.items()):
            if not store.run(load_script("renew_lease"), [lease_key], [token, life]):
                self.drop_lease(lease_key)


def flush_notes() -> None:
    """Deliver the notes now. What cannot be delivered is kept. Raises `StoreUnavailable`."""
    taken = notes.take()
    if not taken:
        return
    try:
        store.run(load_script("flush_statistics"), [keys.statistics(), keys.ranking()], taken)
    except StoreUnavailable:
        notes.put_back(taken)
        raise


def _flush_at_exit() -> None:
    try:
        flush_notes()
    except StoreUnavailable as reason:
        log.info("The last statistics of this process were not delivered: %s", reason)


keeper = Keeper()
store.on_open(keeper.watch_store)
os.register_at_fork(after_in_child=keeper.forget)
atexit.register(_flush_at_exit)
