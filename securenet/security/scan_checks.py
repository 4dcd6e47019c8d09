"""All that a scan judges by: the scanner's own checks, and the vulnerability data as they are now."""

from __future__ import annotations

from securenet.security.scanner.checks import Check, all_checks
from securenet.vulnerabilities.check import KnownVulnerabilities
from securenet.vulnerabilities.knowledge import load_catalogue


def checks_now() -> tuple[Check, ...]:
    """The checks for one scan. Loads the imported data: some megabytes."""
    return (*all_checks(), KnownVulnerabilities(load_catalogue()))
