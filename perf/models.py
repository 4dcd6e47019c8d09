"""The rows of perf: policies, revisions of them, and jobs. Rows only: what they mean is decided elsewhere.

Whatever changes a policy row goes through ``PolicyQuerySet`` or ``Policy.save``/``delete``, which open a
transaction, so that the change and its revision number are committed together.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from perf import validators

DAY = 24 * 3600
MAX_SECONDS = 31 * DAY
MAX_LIMIT = 1_000_000_000
MAX_COST = 1_000_000


# Sent within the transaction of a bulk change of policies, which sends none of Django's own signals.
changed_in_bulk = Signal()


class PolicyQuerySet(models.QuerySet[Any]):
    """Bulk changes of policies: each is one transaction and makes a revision, as a save does."""

    def update(self, **values: Any) -> int:
        with transaction.atomic(using=self.db, savepoint=False):
            changed = super().update(**values)
            changed_in_bulk.send(sender=self.model, using=self.db)
        return changed

    def bulk_create(self, *args: Any, **options: Any) -> list[Any]:
        with transaction.atomic(using=self.db, savepoint=False):
            created: list[Any] = super().bulk_create(*args, **options)
            changed_in_bulk.send(sender=self.model, using=self.db)
        return created

    def delete(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic(using=self.db, savepoint=False):
            return super().delete()


class Policy(models.Model):
    """What all policies share. ``name`` identifies a policy in headers, statistics and exports."""

    name = models.SlugField(_("name"), max_length=64, unique=True, help_text=_("Shown in headers and statistics."))
    enabled = models.BooleanField(_("enabled"), default=True)
    comment = models.TextField(_("comment"), blank=True, max_length=2000, help_text=_("Why this policy is here."))

    objects: ClassVar[models.Manager[Any]] = PolicyQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **options: Any) -> None:
        with transaction.atomic(using=options.get("using"), savepoint=False):
            super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic(using=options.get("using"), savepoint=False):
            return super().delete(*args, **options)


class RoutedPolicy(Policy):
    """A policy for requests: the first enabled one, by ``position``, whose route and methods match decides."""

    position = models.PositiveIntegerField(
        _("position"), default=100, help_text=_("Lower comes first; the first policy that matches decides.")
    )
    route = models.CharField(
        _("route"),
        max_length=200,
        validators=[validators.validate_route],
        help_text=_("A path pattern (/api/security/*), a view name (security:findings), or * for everything."),
    )

    class Meta:
        abstract = True
        ordering = ["position", "id"]


class CachePolicy(RoutedPolicy):
    """How long the responses of a route may be cached, for whom, and what else makes them differ."""

    class SharedBy(models.TextChoices):
        USER = "user", _("one user")
        ROLE = "role", _("all users with the same roles")
        EVERYONE = "everyone", _("everyone")

    methods = models.JSONField(
        _("methods"),
        default=validators.cached_methods,
        validators=[validators.validate_cached_methods],
        help_text=_("GET, HEAD or both."),
    )
    ttl = models.PositiveIntegerField(
        _("TTL"),
        default=300,
        validators=[MaxValueValidator(MAX_SECONDS)],
        help_text=_("Seconds a response is fresh. Counts for stored responses too; 0 caches nothing."),
    )
    ttl_jitter = models.PositiveSmallIntegerField(
        _("TTL jitter"),
        default=0,
        validators=[MaxValueValidator(50)],
        help_text=_("Percent by which entries expire earlier or later, so that they don't all expire at once."),
    )
    stale_while_revalidate = models.PositiveIntegerField(
        _("stale while revalidate"),
        default=0,
        validators=[MaxValueValidator(MAX_SECONDS)],
        help_text=_("Seconds after the TTL in which others get the old response while one request refreshes it."),
    )
    stale_if_error = models.PositiveIntegerField(
        _("stale if error"),
        default=0,
        validators=[MaxValueValidator(MAX_SECONDS)],
        help_text=_("Seconds after the TTL in which the old response is served when the view fails."),
    )
    negative_ttl = models.PositiveIntegerField(
        _("negative TTL"),
        default=0,
        validators=[MaxValueValidator(MAX_SECONDS)],
        help_text=_("Seconds for which 404 and 410 are remembered; 0 never."),
    )
    honour_origin_headers = models.BooleanField(
        _("honour origin headers"),
        default=False,
        help_text=_("The view's own Cache-Control or Expires decides, as RFC 9111 says; the TTL where it has none."),
    )
    shared_by = models.CharField(
        _("shared by"),
        max_length=8,
        choices=SharedBy.choices,
        default=SharedBy.USER,
        help_text=_("Who may see it."),
    )
    vary_on_headers = models.JSONField(
        _("vary on headers"),
        default=list,
        blank=True,
        validators=[validators.validate_header_names],
        help_text=_("Request headers that make responses differ, such as Accept-Language."),
    )
    ignore_params = models.JSONField(
        _("ignored parameters"),
        default=list,
        blank=True,
        validators=[validators.validate_parameter_patterns],
        help_text=_("Query parameters that change nothing, such as utm_*. The view does not see them."),
    )
    max_body_bytes = models.PositiveIntegerField(
        _("largest body"),
        default=1024 * 1024,
        validators=[MinValueValidator(1), MaxValueValidator(16 * 1024 * 1024)],
        help_text=_("Bytes; larger responses are not stored."),
    )
    tags = models.JSONField(
        _("tags"),
        default=list,
        blank=True,
        validators=[validators.validate_tags],
        help_text=_("Names by which these responses can be invalidated together."),
    )

    class Meta(RoutedPolicy.Meta):
        verbose_name = _("cache policy")
        verbose_name_plural = _("cache policies")


class RateLimitPolicy(RoutedPolicy):
    """How many requests a client may make. Within a scope the first match decides; all scopes must allow."""

    class Mode(models.TextChoices):
        ENFORCE = "enforce", _("enforce")
        OBSERVE = "observe", _("observe")

    class CountBy(models.TextChoices):
        USER_OR_IP = "user_or_ip", _("user, or address if not signed in")
        USER = "user", _("user")
        IP = "ip", _("client address")
        ROLE = "role", _("set of roles")
        EVERYONE = "everyone", _("everyone together")

    class Algorithm(models.TextChoices):
        SLIDING_WINDOW = "sliding_window", _("sliding window")
        FIXED_WINDOW = "fixed_window", _("fixed window")
        TOKEN_BUCKET = "token_bucket", _("token bucket")

    class OnStoreError(models.TextChoices):
        ALLOW = "allow", _("allow")
        DENY = "deny", _("deny with 503")
        LOCAL = "local", _("limit in each process")

    mode = models.CharField(
        _("mode"),
        max_length=8,
        choices=Mode.choices,
        default=Mode.ENFORCE,
        help_text=_("Observe counts what would have been blocked and blocks nothing."),
    )
    scope = models.SlugField(
        _("scope"), max_length=64, default="default", help_text=_("Policies of one scope exclude each other.")
    )
    methods = models.JSONField(
        _("methods"),
        default=list,
        blank=True,
        validators=[validators.validate_methods],
        help_text=_("HTTP methods; none chosen means all."),
    )
    roles = models.JSONField(
        _("roles"),
        default=list,
        blank=True,
        validators=[validators.validate_roles],
        help_text=_("Only users with one of these roles; none chosen means everybody."),
    )
    count_by = models.CharField(_("count by"), max_length=10, choices=CountBy.choices, default=CountBy.USER_OR_IP)
    algorithm = models.CharField(
        _("algorithm"), max_length=16, choices=Algorithm.choices, default=Algorithm.SLIDING_WINDOW
    )
    limit = models.PositiveIntegerField(
        _("limit"),
        validators=[MinValueValidator(1), MaxValueValidator(MAX_LIMIT)],
        help_text=_("Requests (or cost units) per period."),
    )
    period = models.PositiveIntegerField(
        _("period"),
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_SECONDS)],
        help_text=_("Seconds."),
    )
    burst = models.PositiveIntegerField(
        _("burst"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_LIMIT)],
        help_text=_("Token bucket only: how many may come at once; empty means as many as the limit."),
    )
    cost = models.PositiveIntegerField(
        _("cost"),
        default=1,
        validators=[MaxValueValidator(MAX_COST)],
        help_text=_("What one request costs; 0 looks without counting."),
    )
    penalty = models.BooleanField(
        _("penalty"),
        default=False,
        help_text=_("Refused requests count as well, so hammering prolongs the wait."),
    )
    on_store_error = models.CharField(
        _("when Redis fails"), max_length=5, choices=OnStoreError.choices, default=OnStoreError.ALLOW
    )

    class Meta(RoutedPolicy.Meta):
        verbose_name = _("rate limit policy")
        verbose_name_plural = _("rate limit policies")
        constraints = [
            # Bulk changes and fixtures pass no form, and a negative cost would mint budget.
            models.CheckConstraint(condition=Q(limit__range=(1, MAX_LIMIT)), name="perf_limit_in_range"),
            models.CheckConstraint(condition=Q(period__range=(1, MAX_SECONDS)), name="perf_period_in_range"),
            models.CheckConstraint(condition=Q(cost__range=(0, MAX_COST)), name="perf_cost_in_range"),
            models.CheckConstraint(
                condition=Q(burst=None) | Q(burst__range=(1, MAX_LIMIT)), name="perf_burst_in_range"
            ),
        ]

    @property
    def capacity(self) -> int:
        """The most that may be used at one moment: the burst of a token bucket, else the limit."""
        if self.algorithm == self.Algorithm.TOKEN_BUCKET and self.burst:
            return self.burst
        return self.limit

    def clean(self) -> None:
        super().clean()
        errors: dict[str, str] = {}
        if self.burst is not None and self.algorithm != self.Algorithm.TOKEN_BUCKET:
            errors["burst"] = str(_("Only a token bucket has a burst: choose that algorithm or leave this empty."))
        if self.limit and self.cost is not None and self.cost > self.capacity:
            errors["cost"] = str(
                _("One request would cost %(cost)s of at most %(capacity)s: every request would be refused.")
                % {"cost": self.cost, "capacity": self.capacity}
            )
        if errors:
            raise ValidationError(errors)


class AccessRule(Policy):
    """A network, user or role that is exempt from all limits, or blocked."""

    class Effect(models.TextChoices):
        EXEMPT = "exempt", _("exempt from limits")
        BLOCKED = "blocked", _("blocked")

    effect = models.CharField(_("effect"), max_length=8, choices=Effect.choices)
    network = models.CharField(
        _("network"),
        max_length=49,
        blank=True,
        validators=[validators.validate_network],
        help_text=_("Address or CIDR, such as 192.0.2.0/24."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
    )
    role = models.CharField(_("role"), max_length=150, blank=True)
    reason = models.CharField(_("reason"), max_length=500)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True, help_text=_("Empty: until removed."))

    class Meta:
        ordering = ["name"]
        verbose_name = _("access rule")
        constraints = [
            models.CheckConstraint(
                condition=(
                    (~Q(network="") & Q(user=None, role=""))
                    | (Q(network="", role="") & Q(user__isnull=False))
                    | (Q(network="", user=None) & ~Q(role=""))
                ),
                name="perf_access_rule_one_subject",
                violation_error_message=_("Name one of network, user or role; a rule concerns exactly one."),
            )
        ]


class JobPolicy(Policy):
    """Whether and how the jobs of one type run. ``name`` is the job type, or ``all`` (see `perf.jobs.policy`)."""

    ALL_TYPES: ClassVar[str] = "all"

    capacity = models.PositiveIntegerField(
        _("capacity"),
        default=100,
        validators=[MaxValueValidator(100_000)],
        help_text=_("Jobs of this type (of all types together: all) waiting or running; more are refused."),
    )
    timeout = models.PositiveIntegerField(
        _("time-out"),
        default=600,
        validators=[MinValueValidator(1), MaxValueValidator(DAY)],
        help_text=_("Seconds after which a run is stopped."),
    )
    max_attempts = models.PositiveSmallIntegerField(
        _("attempts"), default=3, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    retry_backoff = models.PositiveIntegerField(
        _("retry back-off"),
        default=5,
        validators=[MaxValueValidator(DAY)],
        help_text=_("Seconds before the second attempt; doubled for each further one."),
    )
    keep_results_for = models.PositiveIntegerField(
        _("keep results for"),
        default=7 * DAY,
        validators=[MinValueValidator(60), MaxValueValidator(366 * DAY)],
        help_text=_("Seconds after the end, then the row is deleted."),
    )
    roles = models.JSONField(
        _("roles"),
        default=list,
        blank=True,
        validators=[validators.validate_roles],
        help_text=_("Who may submit; none chosen means every signed-in user."),
    )
    cron = models.CharField(
        _("cron"),
        max_length=100,
        blank=True,
        validators=[validators.validate_cron],
        help_text=_("Submit on a schedule (UTC), such as */15 * * * *; empty: never by itself."),
    )

    class Meta:
        ordering = ["name"]
        verbose_name = _("job policy")
        verbose_name_plural = _("job policies")

    def clean(self) -> None:
        super().clean()
        if self.name == self.ALL_TYPES and self.cron:
            raise ValidationError({"cron": _("A schedule belongs to one job type; leave it empty here.")})


class PolicyHead(models.Model):
    """One row: the number of the newest committed revision. Raising it orders concurrent changes."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"revision {self.number}"


class Revision(models.Model):
    """All policies together as they were after one committed change."""

    number = models.PositiveBigIntegerField(_("number"), primary_key=True)
    created_at = models.DateTimeField(_("time"), auto_now_add=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("author"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    policies = models.JSONField(_("policies"), null=True, editable=False, encoder=DjangoJSONEncoder)

    class Meta:
        ordering = ["-number"]
        permissions = [
            ("publish_revision", "Can put policies in force"),
            ("bring_back_revision", "Can bring back an earlier revision"),
        ]

    def __str__(self) -> str:
        return f"revision {self.number}"


class Job(models.Model):
    """A piece of work that a worker carries out. This row is the truth; RQ's job only wakes a worker.

    ``attempt`` is the fencing token: it rises with each claim, and nothing is written for an older one.
    """

    class Status(models.TextChoices):
        SUBMITTED = "submitted", _("submitted")
        PROCESSING = "processing", _("processing")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    ACTIVE: ClassVar[tuple[str, ...]] = (Status.SUBMITTED.value, Status.PROCESSING.value)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    type = models.CharField(_("type"), max_length=64)
    params = models.JSONField(_("parameters"), default=dict)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("submitted by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.SUBMITTED)
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    progress = models.FloatField(_("progress"), default=0.0)
    message = models.CharField(_("message"), max_length=500, blank=True)
    result = models.JSONField(_("result"), null=True)
    error = models.TextField(_("error"), blank=True)
    submitted_at = models.DateTimeField(_("submitted"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    run_after = models.DateTimeField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    published_at = models.DateTimeField(null=True)
    queue = models.CharField(_("queue"), max_length=64, default="default")
    unique_key = models.CharField(max_length=64, null=True)
    idempotency_key = models.CharField(max_length=64, null=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    # With a default in the database, so that processes of an older version can still submit beside the new one's.
    trace_parent = models.CharField(max_length=55, blank=True, db_default="")

    class Meta:
        ordering = ["-submitted_at", "-id"]
        indexes = [
            models.Index(fields=["status", "type"], name="perf_job_status_type"),
            models.Index(fields=["submitted_by", "-submitted_at"], name="perf_job_submitter"),
            models.Index(fields=["-submitted_at", "-id"], name="perf_job_newest"),
            models.Index(fields=["finished_at"], name="perf_job_finished"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["unique_key"],
                condition=Q(status__in=("submitted", "processing")),
                name="perf_job_unique_active",
            ),
            models.UniqueConstraint(fields=["idempotency_key"], name="perf_job_idempotency"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"

    @property
    def is_active(self) -> bool:
        """Waiting or running."""
        return self.status in self.ACTIVE


class JobEvent(models.Model):
    """Something that happened to a job, or that it said. Written with the change it tells of, and never changed."""

    class Kind(models.TextChoices):
        SUBMITTED = "submitted", _("submitted")
        STARTED = "started", _("started")
        MESSAGE = "message", _("message")
        RETRY = "retry", _("to be tried again")
        RERUN = "rerun", _("run again by hand")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    job = models.ForeignKey(Job, verbose_name=_("job"), on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(_("time"), default=timezone.now)
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    kind = models.CharField(_("event"), max_length=10, choices=Kind.choices)
    text = models.TextField(_("text"), blank=True)

    class Meta:
        ordering = ["at", "id"]
        verbose_name = _("job event")
        verbose_name_plural = _("job events")

    def __str__(self) -> str:
        return f"{self.kind} {self.text}".strip()


class JobCapacity(models.Model):
    """Active jobs per type, and of all types under the name ``""``: what admission decides on, in one update."""

    type = models.CharField(primary_key=True, max_length=64)
    active = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.type or 'all types'}: {self.active}"
