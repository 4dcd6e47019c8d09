"""``manage.py securenet_setup``: what every start needs in the database. Doing it again changes nothing.

The password of a new administrator is printed once and kept nowhere else.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from securenet.accounts.models import User
from securenet.accounts.roles import PLATFORM_OWNER, install_roles
from securenet.environment import env

ADMIN = "admin"


class Command(BaseCommand):
    help = "Creates the roles with their permissions, and the first administrator where there is none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--reset-password",
            action="store_true",
            help="Give the user 'admin' a new password: SECURENET_ADMIN_PASSWORD, or one that is printed.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        install_roles()
        with transaction.atomic():
            admin = User.objects.select_for_update().filter(username=ADMIN).first()
            has_other = User.objects.filter(is_superuser=True, is_active=True).exists()
            if not options["reset_password"] and (admin is not None or has_other):
                return
            is_new = admin is None
            if admin is None:
                admin = User(username=ADMIN, is_staff=True, is_superuser=True)
            chosen = env.str("SECURENET_ADMIN_PASSWORD", default="")
            password = chosen or secrets.token_urlsafe(15)
            admin.set_password(password)
            admin.save()
            if is_new:
                admin.groups.add(Group.objects.get(name=PLATFORM_OWNER))
        if chosen:
            self._report_chosen(admin, password)
        else:
            self.stdout.write(f"Admin user: {ADMIN}   password: {password}   (shown only once)")

    def _report_chosen(self, admin: User, password: str) -> None:
        self.stdout.write(f"Admin user: {ADMIN}   password: as in SECURENET_ADMIN_PASSWORD")
        try:
            validate_password(password, admin)
        except ValidationError as error:
            self.stderr.write(f"SECURENET_ADMIN_PASSWORD is weak: {' '.join(error.messages)}")
