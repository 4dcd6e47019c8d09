"""Identity versions: how a token without SQL still feels that its account changed.

A token carries the version its user had when it was made. A change raises the version in the database and announces
it here for as long as older tokens live; the gate compares the two in the same exchange as everything else.
"""

from __future__ import annotations

import logging

from django.utils.module_loading import import_string

from perf.conf import setting
from perf.gate import keys
from perf.gate.keeper import keeper
from perf.gate.scripts import load_script
from perf.gate.store import StoreUnavailable, store

log = logging.getLogger(__name__)


def announce(user_id: str, version: int) -> None:
    """Make every process ask the database about ``user_id`` if its token carries another version.

    Call it after the commit that raised the version. Where Redis is away it happens as soon as it is back; until
    then identities are checked in the database anyway.
    """
    try:
        _write(user_id, version)
    except StoreUnavailable:
        log.warning("Identity version %s of user %s is announced as soon as Redis is back.", version, user_id)
        keeper.deliver(f"identity:{user_id}", lambda: _write(user_id, version))


def announce_recent() -> None:
    """Announce again what changed within the life of a token: Redis came back empty. Raises `StoreUnavailable`."""
    if path := setting("IDENTITY_VERSIONS"):
        for user_id, version in import_string(path)():
            _write(user_id, version)


def _write(user_id: str, version: int) -> None:
    store.run(load_script("announce_identity"), [keys.identity(user_id)], [version, int(setting("IDENTITY_LIFETIME"))])
