"""Imports all modules of a package, so that what they register is known: adding a check or a service is one
file."""

from __future__ import annotations

import importlib
import pkgutil


def import_all(package: str) -> None:
    """Import every module directly inside the package. An error in one of them is raised, not hidden."""
    path = importlib.import_module(package).__path__
    for module in sorted(pkgutil.iter_modules(path), key=lambda module: module.name):
        importlib.import_module(f"{package}.{module.name}")
