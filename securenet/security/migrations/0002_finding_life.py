# Additive, and the counter has its default in the database: the version before this one may run beside it.

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("security", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="finding",
            name="accepted_until",
            field=models.DateTimeField(
                blank=True,
                help_text="When the acceptance of the risk ends, and the finding is open again; empty: never.",
                null=True,
                verbose_name="accepted until",
            ),
        ),
        migrations.AddField(
            model_name="finding",
            name="regressions",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text="How often it came back after it was resolved.",
                verbose_name="regressions",
            ),
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(
                condition=models.Q(("accepted_until__isnull", False)),
                fields=["accepted_until"],
                name="security_finding_accepted",
            ),
        ),
        migrations.CreateModel(
            name="ScanHost",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("address", models.GenericIPAddressField(unpack_ipv4=True, verbose_name="address")),
                ("open_ports", models.JSONField(default=list, help_text="TCP ports.", verbose_name="open ports")),
                ("seen", models.JSONField(default=list, help_text="Ids of findings.", verbose_name="findings seen")),
                (
                    "gone",
                    models.JSONField(
                        default=list,
                        help_text="Ids of findings that it looked for and did not see.",
                        verbose_name="findings gone",
                    ),
                ),
                (
                    "scan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hosts",
                        to="security.scan",
                        verbose_name="scan",
                    ),
                ),
            ],
            options={
                "verbose_name": "host of a scan",
                "verbose_name_plural": "hosts of scans",
                "ordering": ["scan_id", "address"],
                "constraints": [
                    models.UniqueConstraint(fields=("scan", "address"), name="security_scanhost_unique"),
                ],
            },
        ),
    ]
