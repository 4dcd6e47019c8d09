"""During an upgrade two versions use one database: a migration must leave the older one working.

So a column that comes may be left out of an INSERT, and nothing goes away or gets another name or meaning in the
release that stops using it: that is for the release after, whose migration is added to `CONTRACTED` when it is.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models import NOT_PROVIDED

# The last migrations of the first release. What is before has no version before it.
FIRST_RELEASE = {
    "accounts": "0002", "dashboard": "0000", "logs": "0004", "network": "0002", "notifications": "0001",
    "perf": "0005", "policies": "0001", "security": "0003", "vulnerabilities": "0001",
}  # fmt: skip
# Migrations that take away what no version in use still needs.
CONTRACTED: frozenset[tuple[str, str]] = frozenset()

HARMLESS = (
    migrations.CreateModel,
    migrations.AddIndex,
    migrations.RemoveIndex,
    migrations.RenameIndex,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
    migrations.RunPython,
)


def own_migrations() -> Iterator[tuple[str, str, migrations.Migration]]:
    """Those of this repository that came after the first release."""
    ours = {config.label for config in apps.get_app_configs() if config.name.split(".")[0] in ("perf", "securenet")}
    for (label, name), migration in MigrationLoader(None).disk_migrations.items():
        if label in ours and name[:4] > FIRST_RELEASE.get(label, "0000"):
            yield label, name, migration


def what_breaks_the_older_version(operation: Operation) -> str:
    """Why an older version could not go on after it; "" if it could."""
    match operation:
        case migrations.AddField(name=name, field=field):
            if isinstance(field, models.ManyToManyField) or field.null or field.db_default is not NOT_PROVIDED:
                return ""
            return f"{name}: an older version's INSERT leaves it out. Give it null=True or db_default."
        case _ if isinstance(operation, HARMLESS):
            return ""
        case _:
            return f"{operation.describe()}: an older version may rely on what was there."


@pytest.mark.parametrize(
    ("label", "name", "migration"), list(own_migrations()), ids=lambda part: part if isinstance(part, str) else ""
)
def test_the_older_version_goes_on_after_the_migration(label: str, name: str, migration: migrations.Migration) -> None:
    if (label, name) not in CONTRACTED:
        assert [why for operation in migration.operations if (why := what_breaks_the_older_version(operation))] == []


def test_there_are_migrations_to_look_at() -> None:
    assert ("perf", "0006_job_trace_parent") in [(label, name) for label, name, _ in own_migrations()]


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("job", "owner", models.CharField(max_length=10)),
        migrations.RemoveField("job", "message"),
        migrations.RenameField("job", "message", "text"),
        migrations.AlterField("job", "message", models.IntegerField()),
        migrations.DeleteModel("job"),
        migrations.AddConstraint("job", models.UniqueConstraint(fields=["message"], name="one")),
    ],
)
def test_what_would_break_it_is_found(operation: Operation) -> None:
    assert what_breaks_the_older_version(operation)


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("job", "owner", models.CharField(max_length=10, null=True)),
        migrations.AddField("job", "owner", models.CharField(max_length=10, db_default="")),
        migrations.AddIndex("job", models.Index(fields=["message"], name="by_message")),
    ],
)
def test_what_leaves_it_working_is_let_through(operation: Operation) -> None:
    assert what_breaks_the_older_version(operation) == ""
