# Additive, with defaults in the database: the version before this one may run beside it.

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("security", "0002_finding_life"),
    ]

    operations = [
        migrations.AddField(
            model_name="finding",
            name="cvss_score",
            field=models.FloatField(blank=True, null=True, verbose_name="CVSS score"),
        ),
        migrations.AddField(
            model_name="finding",
            name="cvss_vector",
            field=models.CharField(blank=True, db_default="", default="", max_length=200, verbose_name="CVSS vector"),
        ),
        migrations.AddField(
            model_name="scan",
            name="imported_from",
            field=models.CharField(
                blank=True,
                db_default="",
                db_index=True,
                default="",
                help_text="SHA-256 of the file it was imported from; empty for one that was carried out here.",
                max_length=64,
                verbose_name="imported from",
            ),
        ),
        migrations.AddConstraint(
            model_name="scan",
            constraint=models.UniqueConstraint(
                condition=models.Q(("imported_from", ""), _negated=True),
                fields=("imported_from",),
                name="security_scan_imported_once",
            ),
        ),
    ]
