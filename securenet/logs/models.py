"""Log events as rows, and the analyses that were made of them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from perf.models import Job


class LogEvent(models.Model):
    """One line of a log, understood as far as a parser could."""

    time = models.DateTimeField(_("time"), help_text=_("When it happened, by the line itself."))
    received_at = models.DateTimeField(_("received"))
    source = models.CharField(_("source"), max_length=100, help_text=_("Where the line came from."))
    host = models.CharField(_("host"), max_length=255, blank=True)
    program = models.CharField(_("program"), max_length=64, blank=True)
    kind = models.CharField(_("kind"), max_length=32)
    source_ip = models.GenericIPAddressField(_("source address"), null=True, blank=True)
    user_name = models.CharField(_("user"), max_length=256, blank=True)
    count = models.PositiveIntegerField(_("count"), default=1)
    message = models.TextField(_("message"))
    fields = models.JSONField(_("fields"), default=dict, blank=True)

    class Meta:
        ordering = ["-time", "-id"]
        verbose_name = _("log event")
        indexes = [
            models.Index(fields=["-time", "-id"], name="log_event_newest"),
            models.Index(fields=["source", "-time"], name="log_event_source"),
            models.Index(fields=["kind", "-time"], name="log_event_kind"),
            models.Index(fields=["source_ip", "-time"], name="log_event_address"),
            models.Index(fields=["received_at"], name="log_event_received"),
        ]

    def __str__(self) -> str:
        return self.message[:80]


class AnalysisRun(models.Model):
    """One completed analysis."""

    job = models.OneToOneField(
        Job, verbose_name=_("job"), null=True, on_delete=models.SET_NULL, related_name="analysis_run"
    )
    since = models.DateTimeField(_("since"))
    source = models.CharField(_("source"), max_length=100, blank=True)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), db_index=True)
    events = models.PositiveIntegerField(_("events"), default=0)
    detections = models.PositiveIntegerField(_("detections"), default=0)
    findings_new = models.PositiveIntegerField(_("new findings"), default=0)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("analysis")
        verbose_name_plural = _("analyses")

    def __str__(self) -> str:
        return f"{self.events} events, {self.detections} detections"


class LogSource(models.Model):
    """What is known of a source beyond its lines. Sources without a row are as good."""

    label = models.CharField(_("source"), max_length=100, unique=True, help_text=_("As its lines are labelled."))
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        help_text=_(
            "Of stamps that name none, such as syslog's: Europe/Berlin. Counts for lines that arrive from now on."
        ),
    )

    class Meta:
        ordering = ["label"]
        verbose_name = _("log source")

    def __str__(self) -> str:
        return str(self.label)


class DetectorSettings(models.Model):
    """How a detector is set. A detector without a row is on, with its defaults."""

    detector = models.CharField(_("detector"), max_length=64, unique=True, editable=False)
    enabled = models.BooleanField(_("enabled"), default=True)
    thresholds = models.JSONField(_("thresholds"), default=dict, blank=True)
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        ordering = ["detector"]
        verbose_name = _("detector")
        verbose_name_plural = _("detectors")

    def __str__(self) -> str:
        return str(self.detector)


class FollowedFile(models.Model):
    """How far a log file has been taken in."""

    path = models.CharField(_("path"), max_length=1024, unique=True)
    device = models.CharField(_("device"), max_length=20)
    inode = models.CharField(_("inode"), max_length=20)
    head_length = models.PositiveIntegerField(_("bytes of the head"), default=0)
    head_digest = models.CharField(
        _("digest of the head"), max_length=64, blank=True, help_text=_("SHA-256 of its first bytes: tells the file.")
    )
    offset = models.BigIntegerField(_("bytes taken in"), default=0)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        ordering = ["path"]
        verbose_name = _("followed file")

    def __str__(self) -> str:
        return str(self.path)
