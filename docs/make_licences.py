"""Writes docs/licences.md: the packages of requirements.txt and their licences, as their metadata tell.

``python -m docs.make_licences --check`` writes nothing, and fails where a licence needs a decision or the page is old.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
REQUIREMENTS: Final = ROOT / "requirements.txt"
PAGE: Final = ROOT / "docs" / "licences.md"
HEAD: Final = """# Licences of the packages

Made by `python -m docs.make_licences` from requirements.txt and the metadata of what is installed. Packages of
other platforms, which are not installed here, are not listed.

| package | version | licence |
|---|---|---|
"""
# A copyleft licence is fine where it is listed here, with the reason.
ACCEPTED: Final[dict[str, str]] = {
    "psycopg": "LGPL-3.0: used as a library, unchanged, and exchangeable",
    "psycopg-binary": "LGPL-3.0: used as a library, unchanged, and exchangeable",
}
_PINNED: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")
_COPYLEFT: Final = re.compile(r"\b(A?GPL|LGPL|GNU|EUPL|SSPL)", re.IGNORECASE)
_PERMISSIVE: Final = re.compile(r"\b(MIT|BSD|Apache|ISC|PSF|Python-2|MPL|Zlib|Unlicense|0BSD)", re.IGNORECASE)
_CLASSIFIER: Final = "License :: OSI Approved :: "


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package and its licence, in the words of its metadata; empty where they say nothing."""

    name: str
    version: str
    licence: str

    @property
    def problem(self) -> str:
        """Why somebody has to decide; empty where nobody has to."""
        if not self.licence:
            return f"{self.name} does not tell its licence"
        is_copyleft = _COPYLEFT.search(self.licence) and not _PERMISSIVE.search(self.licence)
        return f"{self.name} is under {self.licence}" if is_copyleft and self.name not in ACCEPTED else ""


def packages(requirements: str) -> list[Package]:
    """The packages that ``requirements`` pins and that are installed, by name."""
    names = sorted({match[1].lower() for line in requirements.splitlines() if (match := _PINNED.match(line))})
    found = []
    for name in names:
        try:
            told = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        found.append(Package(name, told["Version"], _licence(told)))
    return found


def _licence(told: metadata.PackageMetadata) -> str:
    """The SPDX expression, else the classifiers, else the first line of the free text."""
    if expression := told.get("License-Expression"):
        return str(expression)
    classifiers = [text.removeprefix(_CLASSIFIER) for text in told.get_all("Classifier") or ()]
    approved = [text for text in classifiers if not text.startswith(("License ::",)) and " :: " not in text]
    if approved:
        return " or ".join(sorted(approved))
    lines = str(told.get("License") or "").strip().splitlines()
    return lines[0][:80] if lines else ""


def page(found: list[Package]) -> str:
    """The page as Markdown."""
    rows = "".join(f"| {package.name} | {package.version} | {package.licence} |\n" for package in found)
    accepted = "".join(f"- `{name}`: {why}\n" for name, why in ACCEPTED.items() if name in {p.name for p in found})
    return HEAD + rows + (f"\nCopyleft, and accepted:\n\n{accepted}" if accepted else "")


def main(arguments: list[str]) -> int:
    """Write the page, or check it; the exit code."""
    found = packages(REQUIREMENTS.read_text())
    problems = [package.problem for package in found if package.problem]
    if "--check" not in arguments:
        PAGE.write_text(page(found))
    elif not PAGE.exists() or PAGE.read_text() != page(found):
        problems.append("docs/licences.md is old; run python -m docs.make_licences")
    for problem in problems:
        print(f"licences: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
