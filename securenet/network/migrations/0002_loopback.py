"""Loopback is an authorised scan target of the first release. From then on the targets are the admin's."""

from django.db import migrations

REASON = "First release: this machine, seen from itself."


def authorise_loopback(apps, schema_editor):
    target = apps.get_model("network", "ScanTarget")
    if not target.objects.exists():
        for network in ("127.0.0.0/8", "::1/128"):
            target.objects.create(network=network, ports="1-65535", rate=2000, reason=REASON)


class Migration(migrations.Migration):
    dependencies = [("network", "0001_initial")]
    operations = [migrations.RunPython(authorise_loopback, migrations.RunPython.noop)]
