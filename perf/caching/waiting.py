"""Threads of one process that wait for the same entry: one of them asks Redis, the others wait for that one."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Event, Lock
from typing import Generic, TypeVar

Found = TypeVar("Found")


class _Wait(Generic[Found]):
    def __init__(self) -> None:
        self.is_over = Event()
        self.found: Found | None = None


class Waits(Generic[Found]):
    """What is waited for in this process, by key."""

    def __init__(self) -> None:
        self._waits: dict[str, _Wait[Found]] = {}
        self._lock = Lock()

    def join(self, key: str, listen: Callable[[], Found | None], seconds: float) -> tuple[Found | None, bool]:
        """Wait for ``key``: the first to come runs ``listen``, those who come meanwhile get what it found.

        Returns:
            What was found, or None after ``seconds`` or where ``listen`` found nothing or failed; and whether this
            thread was the one that listened.
        """
        with self._lock:
            wait = self._waits.get(key)
            is_first = wait is None
            if wait is None:
                wait = self._waits[key] = _Wait()
        if not is_first:
            wait.is_over.wait(seconds)
            return wait.found, False
        try:
            wait.found = listen()
        finally:
            with self._lock:
                del self._waits[key]
            wait.is_over.set()
        return wait.found, True

    def forget(self) -> None:
        """In a forked child: nobody waits here."""
        self.__init__()  # type: ignore[misc]

    @classmethod
    def forgotten_at_fork(cls) -> Waits[Found]:
        """Waits that a forked child does not inherit."""
        waits: Waits[Found] = cls()
        os.register_at_fork(after_in_child=waits.forget)
        return waits
