"""Writes the web server's access log in the combined format that log analysers know.

Whatever a client sends is escaped, so that no request can forge a line of its own.
"""

import logging
import time
from functools import lru_cache
from typing import Any, cast
from urllib.parse import quote

# Granian fills these in; asking for the two headers is what makes it hand them over.
FIELDS = (
    "%(addr)s %(method)s %(path)s %(query_string)s %(protocol)s %(status)d %(header{referer})s %(header{user-agent})s"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PATH_SAFE = "/:@!$&'()*+,;=~-._"


class CombinedFormatter(logging.Formatter):
    """``address - - [time] "request" status bytes "referer" "user agent"``.

    Granian does not tell the size of the answer: bytes are ``-``.
    """

    def format(self, record: logging.LogRecord) -> str:
        facts = cast(dict[str, Any], record.args)  # a record made with one mapping keeps it as it is
        received = record.created - facts["dt_ms"] / 1000
        # The path was decoded before it came here.
        target = quote(facts["path"], safe=_PATH_SAFE, encoding="latin-1", errors="replace")
        if facts["query_string"]:
            target = f"{target}?{facts['query_string']}"
        request = _escaped(f"{facts['method']} {target} {facts['protocol']}")
        return (
            f'{facts["addr"]} - - [{_clock(int(received))}] "{request}" {facts["status"]} - '
            f'"{_escaped(facts["_h0"])}" "{_escaped(facts["_h1"])}"'
        )


@lru_cache(maxsize=4)
def _clock(second: int) -> str:
    moment = time.localtime(second)
    month = _MONTHS[moment.tm_mon - 1]
    return f"{moment.tm_mday:02}/{month}/{moment.tm_year}:{time.strftime('%H:%M:%S %z', moment)}"


def _escaped(text: str) -> str:
    """Write quotes, backslashes and all that is not printable ASCII as ``\\xHH``, as nginx does."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    printable = range(0x20, 0x7F)
    return "".join(
        chr(byte) if byte in printable and byte not in b'"\\' else f"\\x{byte:02X}"
        for byte in text.encode("utf-8", errors="surrogateescape")
    )
