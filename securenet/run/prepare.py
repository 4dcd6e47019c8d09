"""Brings database, static files and first-time setup up to date, in one process, before the web server starts.

The one module here that knows Django. Everything it does can be done again without harm.
"""

import os
import sys

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from securenet.run.messages import complain, say, without_password


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "securenet.settings")
    # Seconds; without it a host that swallows packets would keep the start waiting for minutes.
    os.environ.setdefault("PGCONNECT_TIMEOUT", "5")
    try:
        django.setup()
    except ImproperlyConfigured as error:
        complain(str(error))
        sys.exit(1)
    connect()
    migrate()
    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("securenet_setup")


def connect() -> None:
    """Open the database, or end this process with a line that says why it cannot be opened."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        reason = " ".join(str(error).split())
        if url := os.environ.get("DATABASE_URL"):
            complain(
                f"The database cannot be reached at {without_password(url)} ({reason}). "
                "Start it, correct DATABASE_URL, or unset DATABASE_URL to use SQLite in the data folder."
            )
        else:
            complain(f"The database {settings.DATABASES[DEFAULT_DB_ALIAS]['NAME']} cannot be opened ({reason}).")
        sys.exit(1)


def migrate() -> None:
    """Apply the migrations that are missing, and say how many."""
    connection = connections[DEFAULT_DB_ALIAS]
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        say(f"Database ({connection.vendor}): applying {len(missing)} migrations …")
        call_command("migrate", interactive=False, verbosity=0)
    else:
        say(f"Database ({connection.vendor}): up to date.")


if __name__ == "__main__":
    main()
