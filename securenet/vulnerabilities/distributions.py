"""Reads from a greeting which distribution built the program, and in which revision. Pure.

Distributions mend old releases instead of shipping new ones, so the upstream number in a greeting says little there;
the package's revision does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from securenet.vulnerabilities.products import Product

_NAMED = re.compile(
    r"\b(Debian|Ubuntu|Raspbian|FreeBSD|CentOS|Red Hat|RHEL|Rocky|AlmaLinux|Fedora|SUSE|Alpine)\b", re.IGNORECASE
)
# SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3, or 8.0.36-0ubuntu0.22.04.1, or 10.11.6-MariaDB-0+deb12u1
_SSH_REVISION = re.compile(r"\b(?:Debian|Ubuntu|Raspbian)-([0-9][0-9A-Za-z.+~]{0,40})")
_REVISION = re.compile(r"-(?:MariaDB-)?([0-9][0-9.+~]{0,20}(?:deb[0-9]{1,3}u|ubuntu)[0-9][0-9A-Za-z.+~]{0,20})")
_DEBIAN_RELEASE = re.compile(r"deb([0-9]{1,3})u")
_UBUNTU_RELEASE = re.compile(r"ubuntu[0-9]{1,2}\.([0-9]{2}\.[0-9]{2})")
_SPELT: Final = {
    "rhel": "Red Hat", "freebsd": "FreeBSD", "centos": "CentOS", "suse": "SUSE", "almalinux": "AlmaLinux",
}  # fmt: skip
# They tell their revisions in greetings, and their advisories come as OSV files.
WITH_ADVISORIES: Final = frozenset({"Debian", "Ubuntu"})


@dataclass(frozen=True, slots=True)
class Build:
    """Who built a program.

    Attributes:
        distribution: `Debian`, `Ubuntu`, ...
        release: `12`, `22.04`; empty where the greeting does not tell.
        revision: the package's revision (`2+deb12u3`); empty where the greeting does not tell.
    """

    distribution: str
    release: str = ""
    revision: str = ""

    def package_version(self, product: Product, upstream: str) -> str:
        """The version of the package as its distribution writes it; empty without a revision."""
        if not self.revision or not product.packages:
            return ""
        epoch = product.packages[0][1]
        return f"{epoch}:{upstream}-{self.revision}" if epoch else f"{upstream}-{self.revision}"


def build_of(banner: str, version: str = "") -> Build | None:
    """Who built the program that greets like this; None where it does not say.

    Args:
        banner: the greeting.
        version: what the program says its version is, where that is not in the greeting.
    """
    text = f"{banner} {version}"
    revision = _SSH_REVISION.search(text) or _REVISION.search(text)
    named = _NAMED.search(text)
    if revision is None and named is None:
        return None
    told = revision[1] if revision else ""
    distribution = _distribution(named[1] if named else "", told)
    release = _DEBIAN_RELEASE.search(told) or _UBUNTU_RELEASE.search(told)
    return Build(distribution, release[1] if release else "", told)


def upstream_of(version: str) -> str:
    """The upstream number in a version that may have a distribution's revision after a hyphen."""
    return version.partition("-")[0]


def _distribution(name: str, revision: str) -> str:
    if "ubuntu" in revision:
        return "Ubuntu"
    if "deb" in revision and name.lower() != "raspbian":
        return "Debian"
    return _SPELT.get(name.lower(), name.title())
