"""Installs the policies of the first release as revision 1. What they are called and do may be changed afterwards."""

from django.db import migrations

from securenet.policies.first_release import install


def install_policies(apps, schema_editor):
    install(apps)
    head, _ = apps.get_model("perf", "PolicyHead").objects.get_or_create(id=1)
    head.number += 1
    head.save()
    apps.get_model("perf", "Revision").objects.create(number=head.number, reason="Policies of the first release")


class Migration(migrations.Migration):
    dependencies = [("perf", "0001_initial")]
    operations = [migrations.RunPython(install_policies, migrations.RunPython.noop)]
