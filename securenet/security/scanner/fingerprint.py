"""The identity of a finding over scans: the same problem at the same place has the same fingerprint.

Severity, title and description are left out on purpose: a finding that is rated or worded anew is no new
finding.
"""

from __future__ import annotations

import hashlib


def fingerprint(asset: str, check_id: str, protocol: str, port: int | None, component: str = "", cve: str = "") -> str:
    """64 hexadecimal digits (SHA-256). Each part goes in with its length, so that no two lists of parts run
    together.

    asset: the stable identifier of the machine; port: None for findings about the machine as a whole.
    """
    digest = hashlib.sha256()
    for part in (asset, check_id, protocol, "" if port is None else str(port), component, cve):
        encoded = part.encode()
        digest.update(b"%d:%b" % (len(encoded), encoded))
    return digest.hexdigest()
