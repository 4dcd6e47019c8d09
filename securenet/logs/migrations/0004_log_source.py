# Additive: the version before this one may run beside it.

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("logs", "0003_followed_file"),
    ]

    operations = [
        migrations.CreateModel(
            name="LogSource",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "label",
                    models.CharField(
                        help_text="As its lines are labelled.", max_length=100, unique=True, verbose_name="source"
                    ),
                ),
                (
                    "time_zone",
                    models.CharField(
                        help_text="Of stamps that name none, such as syslog's: Europe/Berlin. Counts for lines that arrive from now on.",
                        max_length=64,
                        verbose_name="time zone",
                    ),
                ),
            ],
            options={
                "verbose_name": "log source",
                "ordering": ["label"],
            },
        ),
    ]
