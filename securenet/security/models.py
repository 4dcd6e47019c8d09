"""Findings and scans. Rows only: how findings come and go is decided in `findings`, what a scan does in `jobs`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from perf.models import Job
from securenet.network.models import Asset


class Severity(models.TextChoices):
    """How bad a finding is; the members stand in their order."""

    INFO = "info", _("info")
    LOW = "low", _("low")
    MEDIUM = "medium", _("medium")
    HIGH = "high", _("high")
    CRITICAL = "critical", _("critical")


SEVERITY_RANKS: Final = {severity.value: rank for rank, severity in enumerate(Severity)}


class Finding(models.Model):
    """Something that is wrong, or worth knowing. One row for as long as it is the same thing at the same place."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        ACKNOWLEDGED = "acknowledged", _("acknowledged")
        FALSE_POSITIVE = "false_positive", _("false positive")
        RISK_ACCEPTED = "risk_accepted", _("risk accepted")
        RESOLVED = "resolved", _("resolved")

    class Source(models.TextChoices):
        SCAN = "scan", _("scan")
        LOGS = "logs", _("logs")

    # Somebody has to do something about findings in these states.
    ACTIVE: Final = (State.OPEN.value, State.ACKNOWLEDGED.value)

    fingerprint = models.CharField(_("fingerprint"), max_length=64, unique=True)
    title = models.CharField(_("title"), max_length=300)
    description = models.TextField(_("description"), blank=True)
    advice = models.TextField(_("advice"), blank=True)
    severity = models.CharField(_("severity"), max_length=8, choices=Severity.choices)
    severity_rank = models.GeneratedField(
        expression=Case(*(When(severity=name, then=Value(rank)) for name, rank in SEVERITY_RANKS.items())),
        output_field=models.SmallIntegerField(null=True),
        db_persist=True,
    )
    state = models.CharField(_("state"), max_length=14, choices=State.choices, default=State.OPEN)
    source = models.CharField(_("source"), max_length=4, choices=Source.choices)
    check_id = models.CharField(_("check"), max_length=64, db_index=True)
    asset = models.ForeignKey(
        Asset, verbose_name=_("asset"), null=True, blank=True, on_delete=models.SET_NULL, related_name="findings"
    )
    subject = models.CharField(
        _("subject"), max_length=255, blank=True, help_text=_("Whom or what it is about: a host, an attacker.")
    )
    port = models.PositiveIntegerField(_("port"), null=True, blank=True, validators=[MaxValueValidator(65535)])
    protocol = models.CharField(_("protocol"), max_length=4, blank=True)
    evidence = models.JSONField(_("evidence"), default=dict, blank=True)
    confidence = models.PositiveSmallIntegerField(
        _("confidence"), default=100, validators=[MaxValueValidator(100)], help_text=_("Percent.")
    )
    cvss_vector = models.CharField(_("CVSS vector"), max_length=200, blank=True, db_default="", default="")
    cvss_score = models.FloatField(_("CVSS score"), null=True, blank=True)
    first_seen = models.DateTimeField(_("first seen"))
    last_seen = models.DateTimeField(_("last seen"), db_index=True)
    times_seen = models.PositiveIntegerField(_("times seen"), default=1)
    regressions = models.PositiveIntegerField(
        _("regressions"), db_default=0, default=0, help_text=_("How often it came back after it was resolved.")
    )
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)
    accepted_until = models.DateTimeField(
        _("accepted until"),
        null=True,
        blank=True,
        help_text=_("When the acceptance of the risk ends, and the finding is open again; empty: never."),
    )
    triaged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("triaged by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    triaged_at = models.DateTimeField(_("triaged"), null=True, blank=True)
    triage_note = models.TextField(_("note"), blank=True, max_length=5000)

    class Meta:
        ordering = ["-severity_rank", "-last_seen"]
        verbose_name = _("finding")
        indexes = [
            models.Index(fields=["state", "-severity_rank"], name="security_finding_state"),
            models.Index(fields=["source", "asset", "state"], name="security_finding_scope"),
            models.Index(
                fields=["accepted_until"],
                name="security_finding_accepted",
                condition=Q(accepted_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_active(self) -> bool:
        """Whether somebody has to do something about it."""
        return self.state in self.ACTIVE

    def is_acceptance_over(self, now: datetime) -> bool:
        """Whether its risk was accepted for a time that has passed. Until that is written, it still says "accepted"."""
        return self.state == self.State.RISK_ACCEPTED and self.accepted_until is not None and self.accepted_until <= now


class ScanQuerySet(models.QuerySet["Scan"]):
    """Scans with what their jobs say of them."""

    def with_state(self) -> ScanQuerySet:
        """Add ``state``, ``started_at`` and ``finished_at``: the job's, or what is kept of it."""
        return self.annotate(
            state=Coalesce(F("job__status"), F("kept_state")),
            started_at=Coalesce(F("job__started_at"), F("kept_started_at")),
            finished_at=Coalesce(F("job__finished_at"), F("kept_finished_at")),
        )


class Scan(models.Model):
    """Who scanned what, and what came of it. Outlives its job, which is deleted when its results expire."""

    job = models.OneToOneField(Job, verbose_name=_("job"), null=True, on_delete=models.SET_NULL, related_name="scan")
    targets = models.JSONField(_("targets"))
    ports = models.TextField(_("ports"))
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("started by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    submitted_at = models.DateTimeField(_("submitted"), auto_now_add=True)
    hosts_total = models.PositiveIntegerField(_("hosts"), default=0)
    hosts_up = models.PositiveIntegerField(_("hosts up"), default=0)
    open_ports = models.PositiveIntegerField(_("open ports"), default=0)
    findings_new = models.PositiveIntegerField(_("new findings"), default=0)
    findings_resolved = models.PositiveIntegerField(_("resolved findings"), default=0)
    imported_from = models.CharField(
        _("imported from"),
        max_length=64,
        blank=True,
        db_default="",
        default="",
        db_index=True,
        help_text=_("SHA-256 of the file it was imported from; empty for one that was carried out here."),
    )
    kept_state = models.CharField(max_length=10, blank=True, editable=False)
    kept_started_at = models.DateTimeField(null=True, editable=False)
    kept_finished_at = models.DateTimeField(null=True, editable=False)

    objects: Any = ScanQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("scan")
        constraints = [
            models.UniqueConstraint(
                fields=["imported_from"], condition=~Q(imported_from=""), name="security_scan_imported_once"
            )
        ]

    def __str__(self) -> str:
        return ", ".join(self.targets[:3]) + (" …" if len(self.targets) > 3 else "")


class ScanHost(models.Model):
    """What a scan saw of one address that answered; what scans are compared by, and findings are resolved by."""

    scan = models.ForeignKey(Scan, verbose_name=_("scan"), on_delete=models.CASCADE, related_name="hosts")
    address = models.GenericIPAddressField(_("address"), unpack_ipv4=True)
    open_ports = models.JSONField(_("open ports"), default=list, help_text=_("TCP ports."))
    seen = models.JSONField(_("findings seen"), default=list, help_text=_("Ids of findings."))
    gone = models.JSONField(
        _("findings gone"), default=list, help_text=_("Ids of findings that it looked for and did not see.")
    )

    class Meta:
        ordering = ["scan_id", "address"]
        verbose_name = _("host of a scan")
        verbose_name_plural = _("hosts of scans")
        constraints = [models.UniqueConstraint(fields=["scan", "address"], name="security_scanhost_unique")]

    def __str__(self) -> str:
        return str(self.address)
