"""Names of blocked clients, encrypted: Redis ranks them, only a process with the secret can read them.

AES-SIV (RFC 5297) is deterministic, so the same client is the same member of the ranking.
"""

from __future__ import annotations

import base64
from binascii import Error as Base64Error
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from perf.gate import keys

UNREADABLE = "unknown"


@lru_cache(maxsize=1024)
def seal_label(label: str) -> str:
    """Encrypt ``label`` to printable text; the same label gives the same text."""
    return base64.urlsafe_b64encode(_cipher(keys.secret("labels")).encrypt(label.encode(), None)).decode("ascii")


def open_label(sealed: str) -> str:
    """Decrypt what `seal_label` made; `UNREADABLE` where it was made with another secret."""
    try:
        return _cipher(keys.secret("labels")).decrypt(base64.urlsafe_b64decode(sealed), None).decode()
    except (InvalidTag, Base64Error, ValueError):
        return UNREADABLE


@lru_cache(maxsize=4)
def _cipher(secret: bytes) -> AESSIV:
    return AESSIV(secret)
