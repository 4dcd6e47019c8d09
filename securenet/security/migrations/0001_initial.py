"""The tables of findings and scans."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("network", "0001_initial"),
        ("perf", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Scan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("targets", models.JSONField(verbose_name="targets")),
                ("ports", models.TextField(verbose_name="ports")),
                ("submitted_at", models.DateTimeField(auto_now_add=True, verbose_name="submitted")),
                ("hosts_total", models.PositiveIntegerField(default=0, verbose_name="hosts")),
                ("hosts_up", models.PositiveIntegerField(default=0, verbose_name="hosts up")),
                ("open_ports", models.PositiveIntegerField(default=0, verbose_name="open ports")),
                ("findings_new", models.PositiveIntegerField(default=0, verbose_name="new findings")),
                ("findings_resolved", models.PositiveIntegerField(default=0, verbose_name="resolved findings")),
                ("kept_state", models.CharField(blank=True, editable=False, max_length=10)),
                ("kept_started_at", models.DateTimeField(editable=False, null=True)),
                ("kept_finished_at", models.DateTimeField(editable=False, null=True)),
                (
                    "job",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="scan",
                        to="perf.job",
                        verbose_name="job",
                    ),
                ),
                (
                    "started_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="started by",
                    ),
                ),
            ],
            options={
                "verbose_name": "scan",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fingerprint", models.CharField(max_length=64, unique=True, verbose_name="fingerprint")),
                ("title", models.CharField(max_length=300, verbose_name="title")),
                ("description", models.TextField(blank=True, verbose_name="description")),
                ("advice", models.TextField(blank=True, verbose_name="advice")),
                (
                    "severity",
                    models.CharField(
                        choices=[
                            ("info", "info"),
                            ("low", "low"),
                            ("medium", "medium"),
                            ("high", "high"),
                            ("critical", "critical"),
                        ],
                        max_length=8,
                        verbose_name="severity",
                    ),
                ),
                (
                    "severity_rank",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(severity="info", then=models.Value(0)),
                            models.When(severity="low", then=models.Value(1)),
                            models.When(severity="medium", then=models.Value(2)),
                            models.When(severity="high", then=models.Value(3)),
                            models.When(severity="critical", then=models.Value(4)),
                        ),
                        output_field=models.SmallIntegerField(null=True),
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("acknowledged", "acknowledged"),
                            ("false_positive", "false positive"),
                            ("risk_accepted", "risk accepted"),
                            ("resolved", "resolved"),
                        ],
                        default="open",
                        max_length=14,
                        verbose_name="state",
                    ),
                ),
                (
                    "source",
                    models.CharField(choices=[("scan", "scan"), ("logs", "logs")], max_length=4, verbose_name="source"),
                ),
                ("check_id", models.CharField(db_index=True, max_length=64, verbose_name="check")),
                (
                    "subject",
                    models.CharField(
                        blank=True,
                        help_text="Whom or what it is about: a host, an attacker.",
                        max_length=255,
                        verbose_name="subject",
                    ),
                ),
                (
                    "port",
                    models.PositiveIntegerField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MaxValueValidator(65535)],
                        verbose_name="port",
                    ),
                ),
                ("protocol", models.CharField(blank=True, max_length=4, verbose_name="protocol")),
                ("evidence", models.JSONField(blank=True, default=dict, verbose_name="evidence")),
                (
                    "confidence",
                    models.PositiveSmallIntegerField(
                        default=100,
                        help_text="Percent.",
                        validators=[django.core.validators.MaxValueValidator(100)],
                        verbose_name="confidence",
                    ),
                ),
                ("first_seen", models.DateTimeField(verbose_name="first seen")),
                ("last_seen", models.DateTimeField(db_index=True, verbose_name="last seen")),
                ("times_seen", models.PositiveIntegerField(default=1, verbose_name="times seen")),
                ("resolved_at", models.DateTimeField(blank=True, null=True, verbose_name="resolved")),
                ("triaged_at", models.DateTimeField(blank=True, null=True, verbose_name="triaged")),
                ("triage_note", models.TextField(blank=True, max_length=5000, verbose_name="note")),
                (
                    "asset",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="findings",
                        to="network.asset",
                        verbose_name="asset",
                    ),
                ),
                (
                    "triaged_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="triaged by",
                    ),
                ),
            ],
            options={
                "verbose_name": "finding",
                "ordering": ["-severity_rank", "-last_seen"],
                "indexes": [
                    models.Index(fields=["state", "-severity_rank"], name="security_finding_state"),
                    models.Index(fields=["source", "asset", "state"], name="security_finding_scope"),
                ],
            },
        ),
    ]
