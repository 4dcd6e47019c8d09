"""The tables of assets, services and scan targets."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import securenet.network.validators


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Asset",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("address", models.GenericIPAddressField(unique=True, unpack_ipv4=True, verbose_name="address")),
                ("hostname", models.CharField(blank=True, db_index=True, max_length=253, verbose_name="host name")),
                (
                    "name",
                    models.CharField(blank=True, help_text="What people call it.", max_length=100, verbose_name="name"),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("server", "server"),
                            ("workstation", "workstation"),
                            ("network", "network device"),
                            ("printer", "printer"),
                            ("iot", "IoT device"),
                            ("other", "other"),
                        ],
                        default="other",
                        max_length=12,
                        verbose_name="kind",
                    ),
                ),
                (
                    "owner",
                    models.CharField(blank=True, help_text="Who answers for it.", max_length=100, verbose_name="owner"),
                ),
                (
                    "criticality",
                    models.CharField(
                        choices=[("low", "low"), ("medium", "medium"), ("high", "high"), ("critical", "critical")],
                        default="medium",
                        max_length=8,
                        verbose_name="criticality",
                    ),
                ),
                (
                    "exposure",
                    models.CharField(
                        choices=[("internal", "internal"), ("dmz", "DMZ"), ("internet", "Internet")],
                        default="internal",
                        max_length=8,
                        verbose_name="exposure",
                    ),
                ),
                (
                    "tags",
                    models.JSONField(
                        blank=True,
                        default=list,
                        validators=[securenet.network.validators.validate_tags],
                        verbose_name="tags",
                    ),
                ),
                ("notes", models.TextField(blank=True, max_length=10000, verbose_name="notes")),
                (
                    "source",
                    models.CharField(
                        choices=[("manual", "entered by hand"), ("scan", "found by a scan")],
                        default="manual",
                        editable=False,
                        max_length=6,
                        verbose_name="source",
                    ),
                ),
                ("first_seen", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="first seen")),
                (
                    "last_seen",
                    models.DateTimeField(
                        blank=True, db_index=True, editable=False, null=True, verbose_name="last seen"
                    ),
                ),
            ],
            options={
                "verbose_name": "asset",
                "ordering": ["address"],
            },
        ),
        migrations.CreateModel(
            name="ScanTarget",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "network",
                    models.CharField(
                        help_text="CIDR, such as 10.0.0.0/24, or one address.",
                        max_length=49,
                        validators=[securenet.network.validators.validate_network],
                        verbose_name="network",
                    ),
                ),
                (
                    "ports",
                    models.TextField(
                        default="1-65535",
                        help_text="TCP ports that may be tried, such as 1-1024,8080.",
                        max_length=8192,
                        validators=[securenet.network.validators.validate_ports],
                        verbose_name="ports",
                    ),
                ),
                (
                    "rate",
                    models.PositiveIntegerField(
                        default=500,
                        help_text="Connections per second to each address, at most.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(100000),
                        ],
                        verbose_name="rate",
                    ),
                ),
                (
                    "valid_until",
                    models.DateTimeField(
                        blank=True,
                        help_text="When the authorisation ends; empty: never.",
                        null=True,
                        verbose_name="valid until",
                    ),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                (
                    "reason",
                    models.CharField(
                        blank=True, help_text="Who authorised it, and for what.", max_length=500, verbose_name="reason"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="created by",
                    ),
                ),
            ],
            options={
                "verbose_name": "scan target",
                "ordering": ["network", "id"],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("rate__gte", 1)), name="network_target_rate_positive")
                ],
            },
        ),
        migrations.CreateModel(
            name="Service",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "port",
                    models.PositiveIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(65535),
                        ],
                        verbose_name="port",
                    ),
                ),
                ("protocol", models.CharField(default="tcp", max_length=4, verbose_name="protocol")),
                ("name", models.CharField(blank=True, max_length=50, verbose_name="service")),
                ("product", models.CharField(blank=True, max_length=120, verbose_name="product")),
                ("version", models.CharField(blank=True, max_length=120, verbose_name="version")),
                ("banner", models.TextField(blank=True, verbose_name="banner")),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "open"), ("closed", "closed")],
                        default="open",
                        max_length=6,
                        verbose_name="state",
                    ),
                ),
                ("first_seen", models.DateTimeField(verbose_name="first seen")),
                ("last_seen", models.DateTimeField(verbose_name="last seen")),
                (
                    "asset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="services",
                        to="network.asset",
                        verbose_name="asset",
                    ),
                ),
            ],
            options={
                "verbose_name": "service",
                "ordering": ["asset_id", "port", "protocol"],
                "indexes": [models.Index(fields=["port", "state"], name="network_service_port")],
                "constraints": [
                    models.UniqueConstraint(fields=("asset", "port", "protocol"), name="network_service_unique")
                ],
            },
        ),
    ]
