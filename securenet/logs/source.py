"""The label that says where events come from: letters, digits and ``. _ : @ / -``, at most 100 characters."""

from __future__ import annotations

import re

SOURCE_LENGTH = 100
LABEL = re.compile(rf"[\w.:@/-]{{1,{SOURCE_LENGTH}}}")
LABEL_HINT = f"Write a label of letters, digits and . _ : @ / - only, at most {SOURCE_LENGTH} of them."
_OTHER = re.compile(r"[^\w.:@/-]+")


def is_label(text: str) -> bool:
    """Say whether ``text`` may stand as a source."""
    return LABEL.fullmatch(text) is not None


def label_for(name: str) -> str:
    """The label for a file's name: what no label may hold becomes ``-``."""
    return _OTHER.sub("-", name)[:SOURCE_LENGTH]
