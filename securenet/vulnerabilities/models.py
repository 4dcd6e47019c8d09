"""Imported vulnerability data as rows. Only what concerns products that the scanner can tell is kept."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

DAY = 86400  # seconds


class Feed(models.Model):
    """A file that was imported. How old its data are decides what can be said with them."""

    class Kind(models.TextChoices):
        NVD = "nvd", "NVD"
        OSV = "osv", "OSV"
        KEV = "kev", "CISA KEV"

    kind = models.CharField(_("kind"), max_length=3, choices=Kind.choices)
    name = models.CharField(_("file"), max_length=200)
    published_at = models.DateTimeField(_("data of"), help_text=_("When the data were published, by the file itself."))
    imported_at = models.DateTimeField(_("imported"))
    imported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("imported by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    records_read = models.PositiveIntegerField(_("records in the file"))
    records_kept = models.PositiveIntegerField(_("records kept"))

    class Meta:
        ordering = ["-imported_at"]
        verbose_name = _("vulnerability feed")
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="vulnerabilities_feed_unique")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.name}"

    def age_days(self, now: datetime) -> int:
        """Whole days since its data were published."""
        return max(0, int((now - self.published_at).total_seconds() // DAY))


class Vulnerability(models.Model):
    """What one feed says of one vulnerability."""

    feed = models.ForeignKey(Feed, verbose_name=_("feed"), on_delete=models.CASCADE, related_name="vulnerabilities")
    identifier = models.CharField(_("identifier"), max_length=80, unique=True)
    cves = models.JSONField(_("CVE numbers"), default=list)
    summary = models.TextField(_("summary"), blank=True)
    cvss_vector = models.CharField(_("CVSS vector"), max_length=200, blank=True)
    cvss_score = models.FloatField(_("CVSS score"), null=True, blank=True)
    published_at = models.DateTimeField(_("published"), null=True, blank=True)

    class Meta:
        ordering = ["-published_at", "identifier"]
        verbose_name = _("vulnerability")
        verbose_name_plural = _("vulnerabilities")

    def __str__(self) -> str:
        return str(self.identifier)


class AffectedRange(models.Model):
    """Versions of a product that a vulnerability concerns; see `feeds.records.AffectedRange`."""

    vulnerability = models.ForeignKey(Vulnerability, on_delete=models.CASCADE, related_name="ranges")
    product = models.CharField(_("product"), max_length=200, db_index=True)
    start = models.CharField(_("from"), max_length=64, blank=True)
    start_included = models.BooleanField(default=True)
    end = models.CharField(_("to"), max_length=64, blank=True)
    end_included = models.BooleanField(default=False)

    class Meta:
        ordering = ["product", "pk"]
        verbose_name = _("affected versions")
        verbose_name_plural = _("affected versions")

    def __str__(self) -> str:
        start = f"{self.start}{'' if self.start_included else ' (without)'}" if self.start else "the first"
        end = f"{self.end}{'' if self.end_included else ' (without)'}" if self.end else "all later"
        return f"{self.product}: {start} to {end}"


class ExploitedVulnerability(models.Model):
    """A vulnerability that attackers are known to use."""

    feed = models.ForeignKey(Feed, verbose_name=_("feed"), on_delete=models.CASCADE, related_name="exploited")
    cve = models.CharField(_("CVE number"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=300, blank=True)
    added = models.DateField(_("added"))
    due = models.DateField(_("due"), null=True, blank=True)
    by_ransomware = models.BooleanField(_("used by ransomware"), default=False)

    class Meta:
        ordering = ["-added", "cve"]
        verbose_name = _("exploited vulnerability")
        verbose_name_plural = _("exploited vulnerabilities")

    def __str__(self) -> str:
        return str(self.cve)
