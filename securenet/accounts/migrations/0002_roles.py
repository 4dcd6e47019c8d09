"""Creates the roles of the first release. Their permissions follow in `securenet_setup`, when all models exist."""

from django.db import migrations

ROLES = ["platform_owner", "security_admin", "soc_analyst", "viewer"]


def create_roles(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunPython(create_roles, migrations.RunPython.noop)]
