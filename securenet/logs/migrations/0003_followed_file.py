# Additive: the version before this one may run beside it.

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("logs", "0002_received_at_index"),
    ]

    operations = [
        migrations.CreateModel(
            name="DetectorSettings",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("detector", models.CharField(editable=False, max_length=64, unique=True, verbose_name="detector")),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                ("thresholds", models.JSONField(blank=True, default=dict, verbose_name="thresholds")),
                ("changed_at", models.DateTimeField(auto_now=True, verbose_name="changed")),
            ],
            options={
                "verbose_name": "detector",
                "verbose_name_plural": "detectors",
                "ordering": ["detector"],
            },
        ),
        migrations.CreateModel(
            name="FollowedFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("path", models.CharField(max_length=1024, unique=True, verbose_name="path")),
                ("device", models.CharField(max_length=20, verbose_name="device")),
                ("inode", models.CharField(max_length=20, verbose_name="inode")),
                ("head_length", models.PositiveIntegerField(default=0, verbose_name="bytes of the head")),
                (
                    "head_digest",
                    models.CharField(
                        blank=True,
                        help_text="SHA-256 of its first bytes: tells the file.",
                        max_length=64,
                        verbose_name="digest of the head",
                    ),
                ),
                ("offset", models.BigIntegerField(default=0, verbose_name="bytes taken in")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated")),
            ],
            options={
                "verbose_name": "followed file",
                "ordering": ["path"],
            },
        ),
    ]
