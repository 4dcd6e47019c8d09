"""The library stands alone: the standard library and itself, no framework, no I/O at import."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import securenet.logs.analysis

LOGS = Path(securenet.logs.analysis.__file__).parent
MODULES = [
    LOGS / "analysis.py",
    LOGS / "settling.py",
    *sorted((LOGS / "parsers").glob("*.py")),
    *sorted((LOGS / "detectors").glob("*.py")),
]
OWN = ("securenet.logs.parsers", "securenet.logs.detectors")
CHOSEN = {"templates.py": ("drain3",)}  # libraries that a module is the only one to use


def imported(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_module_imports_the_standard_library_and_this_library_only(module: Path) -> None:
    foreign = {
        name
        for name in imported(module)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith((*OWN, *CHOSEN.get(module.name, ())))
    }
    assert foreign == set()


def test_parsers_know_nothing_of_detectors() -> None:
    for module in (LOGS / "parsers").glob("*.py"):
        assert not any(name.startswith("securenet.logs.detectors") for name in imported(module))
