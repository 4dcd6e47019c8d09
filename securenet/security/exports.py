"""Lists of findings as files: whole, not page by page, and sent as they are read.

DRF's renderers choose the format, by ``Accept`` or ``?format=``. Rows are read by some hundreds, each time with a query
of its own: a slow reader holds neither a cursor nor a snapshot of the database, and memory does not grow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework.renderers import BaseRenderer

from securenet.security.models import Finding
from securenet.security.sarif import sarif_text
from securenet.security.spreadsheet import csv_text

ROWS_AT_A_TIME: Final = 500
_BYTES_AT_A_TIME: Final = 64 * 1024


class ExportRenderer(BaseRenderer):
    """A format of files. ``text_of`` makes its text, in pieces, of findings."""

    charset = "utf-8"
    filename: ClassVar[str]
    text_of: ClassVar[Callable[[Iterable[Finding]], Iterator[str]]]

    def render(self, data: Iterable[Finding], accepted_media_type: str | None = None, context: Any = None) -> bytes:
        """The file in one piece."""
        return b"".join(self.pieces(data))

    def pieces(self, findings: Iterable[Finding]) -> Iterator[bytes]:
        """The file in pieces of some 64 KiB."""
        waiting: list[bytes] = []
        size = 0
        for text in type(self).text_of(findings):
            piece = text.encode("utf-8", "backslashreplace")  # half a surrogate pair is no reason to fail
            waiting.append(piece)
            size += len(piece)
            if size >= _BYTES_AT_A_TIME:
                yield b"".join(waiting)
                waiting, size = [], 0
        yield b"".join(waiting)


class SarifRenderer(ExportRenderer):
    """``application/sarif+json`` or ``?format=sarif``."""

    media_type = "application/sarif+json"
    format = "sarif"
    charset = None  # JSON is UTF-8 by definition
    filename = "findings.sarif"
    text_of = staticmethod(sarif_text)


class CsvRenderer(ExportRenderer):
    """``text/csv`` or ``?format=csv``."""

    media_type = "text/csv"
    format = "csv"
    filename = "findings.csv"
    text_of = staticmethod(csv_text)


def export(renderer: ExportRenderer, findings: QuerySet[Finding]) -> StreamingHttpResponse:
    """The findings as a file to download, the newest first."""
    pieces = renderer.pieces(newest_first(findings))
    first = next(pieces)  # here, so that a database that is away is a problem with a status of its own
    content_type = f"{renderer.media_type}; charset={renderer.charset}" if renderer.charset else renderer.media_type
    return StreamingHttpResponse(
        chain([first], pieces),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{renderer.filename}"', "Cache-Control": "no-store"},
    )


def newest_first(findings: QuerySet[Finding], rows_at_a_time: int = ROWS_AT_A_TIME) -> Iterator[Finding]:
    """All rows by falling id, none twice, however many come meanwhile."""
    ordered = findings.order_by("-pk")
    rows = list(ordered[:rows_at_a_time])
    while rows:
        yield from rows
        rows = list(ordered.filter(pk__lt=rows[-1].pk)[:rows_at_a_time])
