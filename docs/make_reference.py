"""Writes docs/reference.md from the code: settings of perf, fields of policies, commands. See `make docs`."""

from __future__ import annotations

import io
import os
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("reference.md")
HEAD = """# Reference

Made from the code by `make docs`; the sentences stand there.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


def page() -> str:
    """The whole page as Markdown."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "securenet.settings")
    import django

    django.setup()
    parts = [HEAD, "## Settings of `perf`\n", *_settings(), "## Fields of policies\n", *_policies()]
    return "\n".join([*parts, "## Management commands\n", *_commands()])


def _settings() -> Iterator[str]:
    from perf import conf

    notes = dict(_comments(Path(conf.__file__)))
    yield "| setting | default | what it is |\n|---|---|---|"
    for name, default in conf.DEFAULTS.items():
        yield f"| `PERF_{name}` | `{_shown(default)}` | {notes.get(name, '')} |"
    yield ""


def _comments(file: Path) -> Iterator[tuple[str, str]]:
    """Each setting with the comment above it; one without a comment of its own shares that of the one before."""
    text, is_new = "", True
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        if token.type == tokenize.COMMENT:
            words = token.string.lstrip("# ")
            text, is_new = (words, False) if is_new else (f"{text} {words}", False)
        elif token.type == tokenize.STRING and token.string.strip('"').isupper():
            yield token.string.strip('"'), text
            is_new = True


def _policies() -> Iterator[str]:
    from perf.policies.revisions import POLICY_MODELS

    for model in POLICY_MODELS:
        yield f"### {model.__name__}\n\n{_first_line(model.__doc__)}\n"
        yield "| field | default | what it is |\n|---|---|---|"
        for field in model._meta.fields:
            if field.primary_key:
                continue
            default = f"`{_shown(field.get_default())}`" if field.has_default() else ""
            choices = " · ".join(f"`{value}` {words}" for value, words in field.choices or [])
            words = " ".join(filter(None, [str(field.help_text), choices])) or str(field.verbose_name)
            yield f"| `{field.name}` | {default} | {words} |"
        yield ""


def _commands() -> Iterator[str]:
    from django.core.management import get_commands, load_command_class

    yield "| command | what it does |\n|---|---|"
    for name, app in sorted(get_commands().items()):
        if str(app).startswith(("perf", "securenet")):
            yield f"| `manage.py {name}` | {load_command_class(str(app), name).help} |"


def _shown(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1024 and value % 1024 == 0:
        return f"{value // 1024**2} MiB" if value % 1024**2 == 0 else f"{value // 1024} KiB"
    return str(value) if value != "" else '""'


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


if __name__ == "__main__":
    main()
