"""``manage.py import_nmap FILE…``: takes in scans that an operator made with nmap."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from securenet.accounts.models import User
from securenet.security.imports import Imported, import_nmap
from securenet.security.nmap import NmapRefused

_GZIP_MAGIC: Final = b"\x1f\x8b"


class Command(BaseCommand):
    help = (
        "Takes in files that nmap -oX wrote (plain or gzip), each as a scan at the time it was made. Nothing is "
        "scanned, and a file that was taken in before changes nothing. Of several files give the oldest first. Use "
        "nmap -sV for products and versions."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--user", default="", metavar="NAME", help="Who is named as having started the scans.")

    def handle(self, *args: Any, **options: Any) -> None:
        user = _user_called(options["user"])
        problems: list[str] = []
        for path in options["files"]:
            try:
                with path.open("rb") as file:
                    imported = import_nmap(_unpacked(file), user)
            except (OSError, EOFError, zlib.error) as error:  # a broken gzip file raises any of them
                problems.append(f"{path} cannot be read: {error}.")
            except NmapRefused as error:
                problems.append(f"{path}: {error}")
            else:
                self.stdout.write(f"{path}: {_told(imported)}")
        if problems:
            raise CommandError("\n".join(problems))


def _user_called(name: str) -> User | None:
    if not name:
        return None
    user = User.objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"There is no user {name!r}.")
    return user


def _unpacked(file: io.BufferedReader) -> IO[bytes]:
    is_packed = file.peek(2)[:2] == _GZIP_MAGIC
    return gzip.GzipFile(fileobj=file) if is_packed else file


def _told(imported: Imported) -> str:
    scan, run = imported.scan, imported.run
    if run is None:
        return f"was imported before, as scan {scan.pk}."
    text = (
        f"scan {scan.pk} of {run.started_at:%Y-%m-%d %H:%M} UTC: {scan.hosts_up} of {scan.hosts_total} hosts up, "
        f"{scan.open_ports} open ports, {scan.findings_new} new findings, {scan.findings_resolved} resolved."
    )
    if run.udp_ports:
        text += f" Ports that are not TCP: {run.udp_ports}, left out."
    if run.left_out:
        text += f" Hosts left out, as their addresses are never scanned: {run.left_out}."
    return text
