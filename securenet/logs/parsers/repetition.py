"""Equal messages that rsyslog folded into one: "message repeated 5 times: [ ... ]"."""

from __future__ import annotations

import re
from dataclasses import replace

from securenet.logs.parsers.event import MAX_COUNT, Reading

_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*?)\]?$")


def unfolded(message: str) -> tuple[str, int]:
    """Return the message that was folded and how often it came; any other message as it is, once."""
    match = _REPEATED.match(message)
    return (match[2], max(1, min(int(match[1]), MAX_COUNT))) if match else (message, 1)


def repeated(reading: Reading, times: int) -> Reading:
    """Return the reading of a message that came so often."""
    return replace(reading, count=min(reading.count * times, MAX_COUNT)) if times > 1 else reading
