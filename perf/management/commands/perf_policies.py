"""``manage.py perf_policies``: policies as a file, and the switch for whoever was locked out by one."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from perf.gate.store import store
from perf.models import Policy
from perf.policies.documents import MAX_BYTES, MODELS, Document, Format, InvalidDocument, read
from perf.policies.revisions import attributed_to, head_number
from perf.policies.transfer import apply, changes, exported, in_words

DIFFERENT = 1
UNREADABLE = 2


class Command(BaseCommand):
    """Exports, imports and compares policies; switches them off and on."""

    help = "Export policies to a file, import or compare one, and disable or enable policies by name."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        export = actions.add_parser("export", help="write all policies to FILE, or standard output")
        export.add_argument("file", metavar="FILE", nargs="?", default="-")
        export.add_argument("--format", choices=("yaml", "json"), help="by default json for *.json, else yaml")
        for name, what in (
            ("import", "make the policies those of FILE, as one revision"),
            ("diff", f"show what an import would change; exit code {DIFFERENT} where that is anything"),
        ):
            action = actions.add_parser(name, help=what)
            action.add_argument("file", metavar="FILE", help="- is standard input")
            action.add_argument("--format", choices=("yaml", "json"), help="by default json for *.json, else yaml")
            action.add_argument("--prune", action="store_true", help="delete policies that FILE does not name")
            if name == "import":
                action.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")
                action.add_argument("--reason", metavar="TEXT", default="", help="kept with the revision")
        for name in ("disable", "enable"):
            action = actions.add_parser(name, help=f"{name} policies, as one revision")
            action.add_argument("names", metavar="NAME", nargs="*", help="a policy, or MODEL.NAME where two share one")
            action.add_argument("--all", action="store_true", help="all policies")
            action.add_argument(
                "--model", action="append", choices=list(MODELS), help="with --all: of this kind only (may be repeated)"
            )

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            match action:
                case "export":
                    self._export(options["file"], options["format"])
                case "import":
                    self._import(**options)
                case "diff":
                    self._diff(options["file"], options["format"], options["prune"])
                case _:
                    self._switch(action, options["names"], options["all"], options["model"])
        except InvalidDocument as error:
            raise CommandError(str(error), returncode=UNREADABLE) from error
        except OSError as error:
            what = f"{error.filename or options.get('file', action)}: {error.strerror or error}"
            raise CommandError(what, returncode=UNREADABLE) from error

    def _export(self, file: str, fmt: Format | None) -> None:
        text = exported(fmt or _format_of(file))
        if file == "-":
            self.stdout.write(text, ending="")
        else:
            Path(file).write_text(text, encoding="utf-8")

    def _import(self, file: str, format: Format | None, prune: bool, dry_run: bool, reason: str, **_: Any) -> None:
        document = _document(file, format)
        if dry_run:
            self._show(document, prune)
            return
        before = head_number()
        with attributed_to(None, f"perf_policies import {file}" + (f": {reason}" if reason else "")):
            number = apply(document, prune=prune)
        if number == before:
            self.stdout.write("Nothing to change.")
        else:
            self._announce("Imported", number)

    def _diff(self, file: str, fmt: Format | None, prune: bool) -> None:
        if self._show(_document(file, fmt), prune):
            sys.exit(DIFFERENT)

    def _show(self, document: Document, prune: bool) -> bool:
        found = changes(document, prune=prune)
        for change in found:
            self.stdout.write(f"{change.model} {in_words(change)}")
        if not found:
            self.stdout.write("No difference.")
        return bool(found)

    def _switch(self, action: str, names: list[str], everything: bool, model_names: list[str] | None) -> None:
        if bool(names) == everything or (model_names and not everything):
            raise CommandError(f"Say what to {action}: names of policies, or --all, which --model may narrow.")
        enabled = action == "enable"
        chosen = _all(model_names or list(MODELS)) if everything else [_named(name) for name in names]
        words = " ".join([action, *names] if names else [action, "--all", *(f"--model {m}" for m in model_names or ())])
        with attributed_to(None, f"perf_policies {words}"), transaction.atomic():
            changed = [policy for policy in chosen if policy.enabled != enabled]
            for model in MODELS.values():
                if own := [policy.pk for policy in changed if isinstance(policy, model)]:
                    model.objects.filter(pk__in=own).update(enabled=enabled)
        if not changed:
            self.stdout.write("Nothing to change.")
            return
        for policy in changed:
            self.stdout.write(f"{type(policy).__name__} {policy.name} {action}d")
        self._announce(f"{len(changed)} {action}d", head_number())

    def _announce(self, what: str, number: int) -> None:
        self.stdout.write(self.style.SUCCESS(f"{what}; this is revision {number}."))
        if store.is_open:
            self.stderr.write(
                f"Redis is away ({store.reason}). The revision is published when it is back, by the workers' recovery "
                "and by every server that saw Redis fail; then it holds."
            )


def _document(file: str, fmt: Format | None) -> Document:
    if file == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with Path(file).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) <= MAX_BYTES:
            raise InvalidDocument([f"{file} is not in UTF-8: {error}"]) from error
        text = " " * len(data)  # cut within a character; it is too long in any case
    return read(text, fmt or _format_of(file))


def _format_of(file: str) -> Format:
    return "json" if file.endswith(".json") else "yaml"


def _all(model_names: list[str]) -> list[Policy]:
    return [policy for name in model_names for policy in MODELS[name].objects.all()]


def _named(text: str) -> Policy:
    """The policy NAME or MODEL.NAME."""
    model_name, dot, name = text.partition(".")
    if dot and model_name not in MODELS:
        raise CommandError(f"{model_name} is no kind of policy; write one of {', '.join(MODELS)}.")
    models = [MODELS[model_name]] if dot else list(MODELS.values())
    found: list[Policy] = [policy for model in models for policy in model.objects.filter(name=name if dot else text)]
    if not found:
        raise CommandError(f"There is no policy {text}.")
    if len(found) > 1:
        choices = " or ".join(f"{type(policy).__name__}.{policy.name}" for policy in found)
        raise CommandError(f"{text} is the name of several policies; write {choices}.")
    return found[0]
