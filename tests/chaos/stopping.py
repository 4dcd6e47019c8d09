"""How processes of the load end early."""

from __future__ import annotations

import signal


class Stopped:
    """Set by SIGTERM, looked at between requests, so that none is cut off."""

    def __init__(self) -> None:
        self.is_set = False
        signal.signal(signal.SIGTERM, self._set)

    def _set(self, *_: object) -> None:
        self.is_set = True
