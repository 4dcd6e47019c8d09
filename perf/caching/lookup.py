"""One request's dealings with the cache: what it asks, what it got, and how it stores what it computes."""

from __future__ import annotations

import functools
import random
import time
import uuid
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponseBase

from perf.caching import identity
from perf.caching.entry import Entry, make_entry, open_entry, seal_entry
from perf.caching.invalidation import SHARED_BY_ROLE
from perf.caching.local_copies import Copy, local_copies
from perf.caching.origin import OriginFreshness, origin_freshness
from perf.caching.storable import NEGATIVE_STATUSES, entry_of, unstorable_reason
from perf.caching.waiting import Waits
from perf.conf import setting
from perf.gate import keys
from perf.gate.callers import Caller
from perf.gate.exchange import enter, give_back_later
from perf.gate.inquiry import EntryQuery, Inquiry
from perf.gate.keeper import keeper
from perf.gate.outcome import CacheAnswer, CacheState, IdentityChanged
from perf.gate.scripts import load_script
from perf.gate.store import StoreUnavailable, store
from perf.gate.wire import SECOND, release_call
from perf.models import MAX_SECONDS
from perf.policies.snapshot import CacheRule
from perf.records import django_request

DEFAULT_MAX_BODY_BYTES = 1024 * 1024
# Kinds of entries, as entry.lua knows them.
ORDINARY, NEGATIVE, NEVER_STALE = range(3)
# Marks an entry that stands for an exception; no header has such a name.
RAISED = ":raised"
UNSTORABLE_SECONDS = 5
# A lease is over for sure so many seconds after it ends.
LEASE_END_SECONDS = 0.01


Heard = tuple[CacheAnswer, Entry | None]

_waits: Waits[Heard] = Waits.forgotten_at_fork()


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """What ``@cache_api_response`` was given; a cache policy that matches overrides all but the tags."""

    ttl: int | None = None
    tags: tuple[str, ...] = ()
    shared_by: str = "user"
    vary_on_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """The policy or the decorator's settings, whichever counts for this request. Times in seconds."""

    rule_id: str
    ttl: int
    ttl_jitter: int
    stale_while_revalidate: int
    stale_if_error: int
    negative_ttl: int
    honours_origin: bool
    shared_by: str
    vary_on_headers: tuple[str, ...]
    ignore_params: tuple[str, ...]
    max_body_bytes: int
    tags: tuple[str, ...]


def terms_of(rule: CacheRule | None, settings: CacheSettings, view_name: str) -> Terms:
    """Merge policy and decorator. Entries can also be invalidated by ``policy:<name>`` and ``route:<view name>``.

    What is shared by role carries `SHARED_BY_ROLE` as well, for the moment when a role changes its meaning.
    """
    route_tags: tuple[str, ...] = (f"route:{view_name}",) if view_name else ()
    if (settings if rule is None else rule).shared_by == "role":
        route_tags += (SHARED_BY_ROLE,)
    if rule is None:
        ttl = setting("DEFAULT_TTL") if settings.ttl is None else settings.ttl
        return Terms(
            "default", ttl, 0, 0, 0, 0, False, settings.shared_by, settings.vary_on_headers, (), DEFAULT_MAX_BODY_BYTES,
            (*settings.tags, *route_tags),
        )  # fmt: skip
    return Terms(
        rule_id=str(rule.id),
        ttl=rule.ttl,
        ttl_jitter=rule.ttl_jitter,
        stale_while_revalidate=rule.stale_while_revalidate,
        stale_if_error=rule.stale_if_error,
        negative_ttl=rule.negative_ttl,
        honours_origin=rule.honour_origin_headers,
        shared_by=rule.shared_by,
        vary_on_headers=rule.vary_on_headers,
        ignore_params=rule.ignore_params,
        max_body_bytes=rule.max_body_bytes,
        tags=tuple(dict.fromkeys((*settings.tags, *rule.tags, f"policy:{rule.name}", *route_tags))),
    )


class CacheLookup:
    """Asks for, hands out and stores the entry of one request."""

    def __init__(self, request: Any, caller: Caller, settings: CacheSettings) -> None:
        self.request = request
        self.caller = caller
        self.settings = settings
        self.terms: Terms | None = None
        self.key = ""
        self.token = uuid.uuid4().hex
        self.holds_lease = False
        self.asked_at = 0
        self.stored_lifetime = 0.0
        self._copy: Copy | None = None
        self._started = 0.0

    def query(self, rule: CacheRule | None) -> EntryQuery | None:
        """What to ask under ``rule``; None where this request is not for the cache."""
        plain = django_request(self.request)
        match = plain.resolver_match
        terms = terms_of(rule, self.settings, match.view_name if match else "")
        self.terms = terms
        if terms.ttl <= 0 or plain.method not in ("GET", "HEAD") or _has_body(plain):
            self.key = ""
            return None
        self.key = identity.entry_key(
            self.request,
            self.caller,
            shared_by=terms.shared_by,
            vary_on_headers=terms.vary_on_headers,
            ignore_params=terms.ignore_params,
        )
        self._copy = local_copies.get(self.key)
        serves = not self._must_refresh(plain)
        return EntryQuery(
            key=self.key,
            rule_id=terms.rule_id,
            ttl=self.lifetime if serves else 0,
            stale_while_revalidate=terms.stale_while_revalidate if serves else 0,
            stale_if_error=terms.stale_if_error,
            negative_ttl=terms.negative_ttl if serves else 0,
            honours_origin=terms.honours_origin and serves,
            early=random.expovariate(1.0) * setting("EARLY_REFRESH") if serves else 0.0,
            known_etag=self._copy.entry.etag if self._copy else b"",
            token=self.token,
            tags=terms.tags,
        )

    @property
    def lifetime(self) -> float:
        """Seconds this entry is fresh: the TTL, moved by the jitter that is this entry's own."""
        if self.terms is None:
            return 0.0
        spread = int.from_bytes(self.key[-4:].encode(), "big") % 2001 / 1000 - 1
        return self.terms.ttl * (1 + spread * self.terms.ttl_jitter / 100)

    @property
    def _retention(self) -> float:
        """Seconds in which this entry may be served at all, fresh or stale."""
        if self.terms is None:
            return 0.0
        spare = max(self.terms.stale_while_revalidate, self.terms.stale_if_error)
        return max(self.terms.ttl, self.lifetime, self.stored_lifetime) + spare

    def accept(self, answer: CacheAnswer) -> Entry | None:
        """Take the gate's answer: notes a lease that came with it, returns the entry it brought, if any."""
        self.note_lease(answer)
        if answer.state is CacheState.STORE_DOWN:
            return self._copy_while_store_is_down()
        if answer.state is CacheState.WAIT or not answer.blob:
            return None
        if answer.blob == b"=":
            return self._copy.entry if self._copy else None
        entry = open_entry(answer.blob, self.key)
        if entry is not None:
            local_copies.put(self.key, entry, answer.age, self._retention)
        return entry

    def note_lease(self, answer: CacheAnswer) -> None:
        """If a lease came with the answer, keep it alive until it is released."""
        self.asked_at = answer.asked_at
        if answer.state in (CacheState.MISS, CacheState.REFRESH) and not self.holds_lease:
            self.holds_lease = True
            keeper.hold_lease(keys.lease(self.key), self.token)

    def wait(self, answer: CacheAnswer) -> tuple[CacheAnswer, Entry | None]:
        """Wait until the lease-holder has stored the entry, or this request may compute it itself."""
        deadline = time.monotonic() + float(setting("WAIT_SECONDS"))
        entry: Entry | None = None
        while answer.state is CacheState.WAIT and (left := deadline - time.monotonic()) > 0:
            heard, is_own = _waits.join(self.key, functools.partial(self._listen, answer, left), left)
            if heard is None or not (is_own or _is_for_all(heard)):
                heard = self._ask_again()
            answer, entry = heard
        if answer.state is CacheState.WAIT:
            return CacheAnswer(CacheState.UNSTORABLE), None
        return answer, entry

    def begin(self) -> None:
        """The view starts computing; what it may not see is taken away."""
        if self.terms is not None:
            identity.hide_ignored_parameters(self.request, self.terms.ignore_params)
        self._started = time.perf_counter()

    def finish(self, response: HttpResponseBase) -> tuple[Entry | None, str]:
        """Store what the view returned; returns the entry where it may be kept, and what became of it."""
        if not self.key or self.terms is None:
            return None, ""
        reason = unstorable_reason(
            self.request,
            response,
            vary_on_headers=self.terms.vary_on_headers,
            max_body_bytes=self.terms.max_body_bytes,
            shared=self.terms.shared_by != "user",
            negative=self.terms.negative_ttl > 0,
            honours_origin=self.terms.honours_origin,
        )
        if reason:
            self.release(unstorable=response.status_code < 500)
            return None, reason
        entry = entry_of(response, self.terms.honours_origin)
        origin = origin_freshness(response) if self.terms.honours_origin else OriginFreshness(None, may_be_stale=True)
        return entry, self._keep(entry, self.terms, origin)

    def remember_missing(self, status: int, detail: str) -> bool:
        """The view raised that there is nothing: keep that as long as the policy says. False where it does not."""
        if not self.key or self.terms is None or not self.terms.negative_ttl:
            return False
        entry = make_entry(status, [(RAISED, "1")], detail.encode())
        return self._keep(entry, self.terms, OriginFreshness(None, may_be_stale=True)) == "stored"

    def release(self, unstorable: bool = False) -> None:
        """End a lease without storing; ``unstorable`` lets followers run side by side for a while."""
        if not self.holds_lease:
            return
        self.holds_lease = False
        lease_key = keys.lease(self.key)
        keeper.drop_lease(lease_key)
        marker_ms = UNSTORABLE_SECONDS * 1000 if unstorable else 0
        try:
            store.run(*release_call(self.key, self.token, marker_ms))
        except StoreUnavailable:
            give_back_later(self.key, self.token)

    def _keep(self, entry: Entry, terms: Terms, origin: OriginFreshness) -> str:
        negative = entry.status in NEGATIVE_STATUSES
        if negative:
            self.stored_lifetime = terms.negative_ttl
        else:
            self.stored_lifetime = self.lifetime if origin.lifetime is None else min(origin.lifetime, MAX_SECONDS)
        if not self.holds_lease or django_request(self.request).method != "GET":
            self.release()
            return ""
        kind = NEGATIVE if negative else ORDINARY if origin.may_be_stale else NEVER_STALE
        own = -1 if origin.lifetime is None else round(self.stored_lifetime * SECOND)
        return self._store(entry, terms, kind, own)

    def _store(self, entry: Entry, terms: Terms, kind: int, own_lifetime: int) -> str:
        self.holds_lease = False
        keeper.drop_lease(keys.lease(self.key))
        retention = max(float(setting("ENTRY_RETENTION")), self._retention)
        took = round((time.perf_counter() - self._started) * SECOND)
        tags, cache_tag = " ".join(terms.tags), keys.cache_tag(self.key)
        budget = int(setting("CACHE_BUDGET_BYTES")) // len(keys.cache_tags())
        try:
            reply = store.run(
                load_script("store_entry"),
                [
                    self.key, keys.lease(self.key), keys.wake(self.key, self.token), keys.invalidations(cache_tag),
                    *keys.budget(cache_tag),
                ],
                [
                    self.token, self.asked_at, took, entry.etag, tags, seal_entry(entry, self.key),
                    round(retention * 1000), budget, kind, own_lifetime,
                ],
            )  # fmt: skip
        except StoreUnavailable:
            give_back_later(self.key, self.token)
            return "store down"
        stored: str = reply.decode()
        if stored == "stored":
            local_copies.put(self.key, entry, 0.0, self._retention)
        return stored

    def _must_refresh(self, plain: Any) -> bool:
        """``Cache-Control: no-cache`` is obeyed for admins only: for others it would be a way around the cache."""
        if "no-cache" not in plain.headers.get("Cache-Control", ""):
            return False
        return self.caller.is_admin

    def _copy_while_store_is_down(self) -> Entry | None:
        if self._copy is None or self.terms is None or not self.terms.stale_if_error:
            return None
        if self._copy.entry.status in NEGATIVE_STATUSES or self.terms.honours_origin:
            return None  # how long these may be served is not the TTL's to say, and Redis cannot be asked
        if self._copy.age() < self.terms.ttl + self.terms.stale_if_error:
            return self._copy.entry
        return None

    def _listen(self, answer: CacheAnswer, most: float) -> Heard:
        """Until the holder wakes who waits, its lease ends, or ``most`` seconds are over; then ask again."""
        seconds = min(most, max(0.0, answer.age) + LEASE_END_SECONDS)
        try:
            store.await_wake(keys.wake(self.key, answer.blob.decode()), seconds)
        except StoreUnavailable:
            return CacheAnswer(CacheState.UNSTORABLE), None
        return self._ask_again()

    def _ask_again(self) -> Heard:
        plain = django_request(self.request)
        outcome = enter(Inquiry.about(plain, self.caller, query_for=self.query, quiet=True))
        if isinstance(outcome, IdentityChanged) or outcome.cache is None:
            return CacheAnswer(CacheState.UNSTORABLE), None
        return outcome.cache, self.accept(outcome.cache)


def _is_for_all(heard: Heard) -> bool:
    """A fresh entry is every waiting request's; a lease is only that of the request that got it."""
    return heard[0].state is CacheState.HIT and heard[1] is not None


def _has_body(request: Any) -> bool:
    return request.META.get("CONTENT_LENGTH", "") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in request.META
