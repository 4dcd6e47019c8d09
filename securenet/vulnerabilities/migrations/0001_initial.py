"""The tables of imported vulnerability data."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Feed",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[("nvd", "NVD"), ("osv", "OSV"), ("kev", "CISA KEV")], max_length=3, verbose_name="kind"
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="file")),
                (
                    "published_at",
                    models.DateTimeField(
                        help_text="When the data were published, by the file itself.", verbose_name="data of"
                    ),
                ),
                ("imported_at", models.DateTimeField(verbose_name="imported")),
                ("records_read", models.PositiveIntegerField(verbose_name="records in the file")),
                ("records_kept", models.PositiveIntegerField(verbose_name="records kept")),
                (
                    "imported_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="imported by",
                    ),
                ),
            ],
            options={
                "verbose_name": "vulnerability feed",
                "ordering": ["-imported_at"],
            },
        ),
        migrations.CreateModel(
            name="ExploitedVulnerability",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("cve", models.CharField(max_length=40, unique=True, verbose_name="CVE number")),
                ("name", models.CharField(blank=True, max_length=300, verbose_name="name")),
                ("added", models.DateField(verbose_name="added")),
                ("due", models.DateField(blank=True, null=True, verbose_name="due")),
                ("by_ransomware", models.BooleanField(default=False, verbose_name="used by ransomware")),
                (
                    "feed",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="exploited",
                        to="vulnerabilities.feed",
                        verbose_name="feed",
                    ),
                ),
            ],
            options={
                "verbose_name": "exploited vulnerability",
                "verbose_name_plural": "exploited vulnerabilities",
                "ordering": ["-added", "cve"],
            },
        ),
        migrations.CreateModel(
            name="Vulnerability",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("identifier", models.CharField(max_length=80, unique=True, verbose_name="identifier")),
                ("cves", models.JSONField(default=list, verbose_name="CVE numbers")),
                ("summary", models.TextField(blank=True, verbose_name="summary")),
                ("cvss_vector", models.CharField(blank=True, max_length=200, verbose_name="CVSS vector")),
                ("cvss_score", models.FloatField(blank=True, null=True, verbose_name="CVSS score")),
                ("published_at", models.DateTimeField(blank=True, null=True, verbose_name="published")),
                (
                    "feed",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="vulnerabilities",
                        to="vulnerabilities.feed",
                        verbose_name="feed",
                    ),
                ),
            ],
            options={
                "verbose_name": "vulnerability",
                "verbose_name_plural": "vulnerabilities",
                "ordering": ["-published_at", "identifier"],
            },
        ),
        migrations.CreateModel(
            name="AffectedRange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("product", models.CharField(db_index=True, max_length=200, verbose_name="product")),
                ("start", models.CharField(blank=True, max_length=64, verbose_name="from")),
                ("start_included", models.BooleanField(default=True)),
                ("end", models.CharField(blank=True, max_length=64, verbose_name="to")),
                ("end_included", models.BooleanField(default=False)),
                (
                    "vulnerability",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ranges",
                        to="vulnerabilities.vulnerability",
                    ),
                ),
            ],
            options={
                "verbose_name": "affected versions",
                "verbose_name_plural": "affected versions",
                "ordering": ["product", "pk"],
            },
        ),
        migrations.AddConstraint(
            model_name="feed",
            constraint=models.UniqueConstraint(fields=("kind", "name"), name="vulnerabilities_feed_unique"),
        ),
    ]
