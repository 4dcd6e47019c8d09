"""The machines of the network, the services on them, and the networks that may be scanned. Rows only.

People write with ``save`` and ``delete``, which drops cached answers; scans write through `inventory`.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from securenet.network import validators

ALL_PORTS = "1-65535"


class Asset(models.Model):
    """A machine, known by its address."""

    class Kind(models.TextChoices):
        SERVER = "server", _("server")
        WORKSTATION = "workstation", _("workstation")
        NETWORK = "network", _("network device")
        PRINTER = "printer", _("printer")
        IOT = "iot", _("IoT device")
        OTHER = "other", _("other")

    class Criticality(models.TextChoices):
        LOW = "low", _("low")
        MEDIUM = "medium", _("medium")
        HIGH = "high", _("high")
        CRITICAL = "critical", _("critical")

    class Exposure(models.TextChoices):
        INTERNAL = "internal", _("internal")
        DMZ = "dmz", _("DMZ")
        INTERNET = "internet", _("Internet")

    class Source(models.TextChoices):
        MANUAL = "manual", _("entered by hand")
        SCAN = "scan", _("found by a scan")

    address = models.GenericIPAddressField(_("address"), unique=True, unpack_ipv4=True)
    hostname = models.CharField(_("host name"), max_length=253, blank=True, db_index=True)
    name = models.CharField(_("name"), max_length=100, blank=True, help_text=_("What people call it."))
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices, default=Kind.OTHER)
    owner = models.CharField(_("owner"), max_length=100, blank=True, help_text=_("Who answers for it."))
    criticality = models.CharField(
        _("criticality"), max_length=8, choices=Criticality.choices, default=Criticality.MEDIUM
    )
    exposure = models.CharField(_("exposure"), max_length=8, choices=Exposure.choices, default=Exposure.INTERNAL)
    tags = models.JSONField(_("tags"), default=list, blank=True, validators=[validators.validate_tags])
    notes = models.TextField(_("notes"), blank=True, max_length=10_000)
    source = models.CharField(_("source"), max_length=6, choices=Source.choices, default=Source.MANUAL, editable=False)
    first_seen = models.DateTimeField(_("first seen"), null=True, blank=True, editable=False)
    last_seen = models.DateTimeField(_("last seen"), null=True, blank=True, editable=False, db_index=True)

    class Meta:
        ordering = ["address"]
        verbose_name = _("asset")

    def __str__(self) -> str:
        called = self.name or self.hostname
        return f"{called} ({self.address})" if called else str(self.address)

    def clean(self) -> None:
        super().clean()
        if self.address:
            self.address = validators.canonical_address(self.address)


class Service(models.Model):
    """A port of an asset on which something listens, or listened."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        CLOSED = "closed", _("closed")

    asset = models.ForeignKey(Asset, verbose_name=_("asset"), on_delete=models.CASCADE, related_name="services")
    port = models.PositiveIntegerField(_("port"), validators=[MinValueValidator(1), MaxValueValidator(65535)])
    protocol = models.CharField(_("protocol"), max_length=4, default="tcp")
    name = models.CharField(_("service"), max_length=50, blank=True)
    product = models.CharField(_("product"), max_length=120, blank=True)
    version = models.CharField(_("version"), max_length=120, blank=True)
    banner = models.TextField(_("banner"), blank=True)
    state = models.CharField(_("state"), max_length=6, choices=State.choices, default=State.OPEN)
    first_seen = models.DateTimeField(_("first seen"))
    last_seen = models.DateTimeField(_("last seen"))

    class Meta:
        ordering = ["asset_id", "port", "protocol"]
        verbose_name = _("service")
        constraints = [models.UniqueConstraint(fields=["asset", "port", "protocol"], name="network_service_unique")]
        indexes = [models.Index(fields=["port", "state"], name="network_service_port")]

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol} {self.name}".rstrip()


class ScanTarget(models.Model):
    """A network that may be scanned. Whatever is in no enabled target that still holds is never scanned."""

    network = models.CharField(
        _("network"),
        max_length=49,
        validators=[validators.validate_network],
        help_text=_("CIDR, such as 10.0.0.0/24, or one address."),
    )
    ports = models.TextField(
        _("ports"),
        default=ALL_PORTS,
        max_length=8192,
        validators=[validators.validate_ports],
        help_text=_("TCP ports that may be tried, such as 1-1024,8080."),
    )
    rate = models.PositiveIntegerField(
        _("rate"),
        default=500,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text=_("Connections per second to each address, at most."),
    )
    valid_until = models.DateTimeField(
        _("valid until"), null=True, blank=True, help_text=_("When the authorisation ends; empty: never.")
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True, help_text=_("Who authorised it, and for what."))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        ordering = ["network", "id"]
        verbose_name = _("scan target")
        constraints = [models.CheckConstraint(condition=Q(rate__gte=1), name="network_target_rate_positive")]

    def __str__(self) -> str:
        return self.network

    def save(self, *args: Any, **options: Any) -> None:
        """Save with network and ports in their one spelling. Raises ValidationError where they have none."""
        self.network = validators.normalised_network(self.network)
        self.ports = validators.normalised_ports(self.ports)
        super().save(*args, **options)

    @property
    def is_live(self) -> bool:
        """Whether scans may use it now."""
        return self.enabled and (self.valid_until is None or self.valid_until > timezone.now())
