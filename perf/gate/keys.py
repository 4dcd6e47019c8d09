"""Every Redis key of perf is made here, and nowhere else.

Revision, limits and statistics carry one hash tag, so that a script touches one slot of a Redis Cluster. Entries, with
all that belongs to them, carry the same one, or are spread over ``PERF_CACHE_SHARDS`` of their own. What clients send
never stands in a key: names, addresses, paths and parameters go through a keyed hash whose input is length-prefixed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

from django.conf import settings

from perf.conf import setting

SHARED_COUNTERS = 1024
_ALGORITHM_LETTERS = {"sliding_window": "s", "fixed_window": "f", "token_bucket": "t"}


def _key(name: str) -> str:
    return f"{{{setting('KEY_PREFIX')}}}:{name}"


def revision() -> str:
    """The published revision number."""
    return _key("revision")


def identity(user_id: str) -> str:
    """The identity version of a user that changed within the life of a token."""
    return _key(f"identity:{_identity_digest(user_id)}")


def counter(rule_id: int | str, algorithm: str, identity_parts: tuple[str, ...]) -> str:
    """What one client used of one limit. The limit itself is not in the key: a changed one keeps the count."""
    return _key(f"limit:{rule_id}:{_ALGORITHM_LETTERS[algorithm]}:{digest(identity_parts)}")


def tally(rule_id: int | str, algorithm: str) -> str:
    """How many clients have counters of their own under a limit."""
    return _key(f"clients:{rule_id}:{_ALGORITHM_LETTERS[algorithm]}")


def shared_counter(rule_id: int | str, algorithm: str, identity_parts: tuple[str, ...]) -> str:
    """The counter of a client that comes when too many have one of their own: a few for all, by its digest."""
    number = int.from_bytes(digest(identity_parts)[:4].encode(), "big") % SHARED_COUNTERS
    return _key(f"limit:{rule_id}:{_ALGORITHM_LETTERS[algorithm]}:shared:{number}")


def entry(parts: Iterable[str]) -> str:
    """A cached response; ``parts`` are everything that makes responses differ."""
    name, shards = digest(parts), cache_tags()
    number = int.from_bytes(name[:4].encode(), "big")
    return f"{shards[number % len(shards)]}:entry:{name}"


def cache_tags() -> tuple[str, ...]:
    """The hash tags over which entries are spread."""
    return _cache_tags(setting("KEY_PREFIX"), int(setting("CACHE_SHARDS")))


@lru_cache(maxsize=8)
def _cache_tags(prefix: str, shards: int) -> tuple[str, ...]:
    if shards == 1:
        return (f"{{{prefix}}}",)
    return tuple(f"{{{prefix}:{number}}}" for number in range(shards))


def cache_tag(entry_key: str) -> str:
    """The hash tag that an entry shares with its lease, its shard's invalidations and its shard's budget."""
    return entry_key.partition("}")[0] + "}"


def lease(entry_key: str) -> str:
    """Who computes the entry."""
    return f"{entry_key}:lease"


def wake(entry_key: str, token: str) -> str:
    """The list on which requests wait for the holder of the lease with this token."""
    return f"{entry_key}:wake:{token}"


def invalidations(cache_tag: str) -> str:
    """Tags and the times of their last invalidation."""
    return f"{cache_tag}:invalidations"


def budget(cache_tag: str) -> tuple[str, str, str]:
    """Accounts of the entries: expiries, sizes, bytes in all."""
    return f"{cache_tag}:entries:expiries", f"{cache_tag}:entries:sizes", f"{cache_tag}:entries:bytes"


def statistics() -> str:
    """Prefix of the statistics; a minute since the epoch follows."""
    return _key("statistics:")


def totals() -> str:
    """Running totals of the statistics."""
    return _key("totals")


def traffic() -> str:
    """Prefix of the record of traffic; the number of five minutes since the epoch follows."""
    return f"{statistics()}traffic:"


def preview(token: str) -> str:
    """Scratch of one replay of recorded traffic."""
    return _key(f"preview:{token}")


def ranking() -> str:
    """Prefix of the rankings of blocked clients; an hour since the epoch follows."""
    return _key("blocked:")


def probe() -> str:
    """Written to see whether Redis takes writes."""
    return _key("probe")


def in_flight(user_id: str, idempotency_key: str) -> str:
    """Held while the first request with a user's Idempotency-Key is being answered."""
    return _key(f"in-flight:{digest((user_id, idempotency_key))}")


def leader(duty: str) -> str:
    """Held by the one process that carries out a duty."""
    return _key(f"leader:{duty}")


def digest(parts: Iterable[str]) -> str:
    """A 128-bit keyed BLAKE2b (RFC 7693) of ``parts``, 22 characters. No two lists of parts run together."""
    hasher = blake2b(digest_size=16, key=secret("keys"))
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hasher.update(len(data).to_bytes(4, "big"))
        hasher.update(data)
    return base64.urlsafe_b64encode(hasher.digest())[:22].decode("ascii")


@lru_cache(maxsize=1024)
def _identity_digest(user_id: str) -> str:
    return digest(("identity", user_id))


def secret(purpose: str) -> bytes:
    """A 32-byte key derived from ``SECRET_KEY``, different for each purpose."""
    return _derive(settings.SECRET_KEY, purpose)


@lru_cache(maxsize=16)
def _derive(secret_key: str, purpose: str) -> bytes:
    seed = blake2b(secret_key.encode(), digest_size=32).digest()
    return blake2b(purpose.encode(), key=seed, digest_size=32, person=b"perf").digest()
