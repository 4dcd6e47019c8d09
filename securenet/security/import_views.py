"""``POST /api/security/scans/import``: a file of nmap's becomes a scan. Its body has bounds of its own."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import IO, Any, Final

from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.api.schema_headers import location
from perf.problems import Problem
from securenet.accounts.permissions import MayScan
from securenet.security.imports import import_nmap
from securenet.security.models import Scan
from securenet.security.nmap import NmapFileTooLarge, NmapRefused
from securenet.security.serializers import ScanSerializer

# More than DATA_UPLOAD_MAX_MEMORY_SIZE: a file holds a whole network. Larger ones are imported on the server.
MAX_IMPORT_BYTES: Final = 16 * 1024 * 1024
# Hosts and open ports together. Somebody waits for the answer, and SQLite has one writer at a time.
MAX_ROWS: Final = 1500
_PLAIN: Final = frozenset({"", "identity"})
_GZIP: Final = frozenset({"gzip", "x-gzip"})


class XmlFileParser(BaseParser):
    """``application/xml``, plain or as gzip, of at most `MAX_IMPORT_BYTES` before and after unpacking. Reads no XML."""

    media_type = "application/xml"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> IO[bytes]:
        """The unpacked file.

        Raises:
            Problem: 413 where it is too large; 415 for another content coding.
            ParseError: the gzip stream is broken.
        """
        encoding = parser_context["request"].headers.get("Content-Encoding", "")
        coding = encoding.strip().lower()
        if coding not in _PLAIN | _GZIP:
            raise Problem(415, "Unsupported encoding", f"Content-Encoding {encoding!r} is not supported; send gzip.")
        data = _bounded(stream)
        if coding in _GZIP:
            try:
                with gzip.open(io.BytesIO(data)) as members:
                    data = _bounded(members)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise ParseError(f"The gzip body is broken: {error}.") from error
        return io.BytesIO(data)


class TextXmlFileParser(XmlFileParser):
    """The same as ``text/xml``."""

    media_type = "text/xml"


class ImportView(APIView):
    """Import a scan that was made with nmap."""

    permission_classes = [MayScan]
    parser_classes = [XmlFileParser, TextXmlFileParser]

    @extend_schema(
        request={parser.media_type: OpenApiTypes.BINARY for parser in parser_classes},
        parameters=[
            OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip", "identity"]),
            location(200, 201, description="Path of the scan."),
        ],
        responses={
            201: OpenApiResponse(ScanSerializer, "The scan that the file became; `Location` is its address."),
            200: OpenApiResponse(ScanSerializer, "The scan that the same file became before; nothing has changed."),
            400: OpenApiResponse(description="No complete file of a scan of TCP ports, or one from the future."),
            413: OpenApiResponse(description="Too large."),
            415: OpenApiResponse(description="Neither XML nor XML as gzip."),
        },
    )
    def post(self, request: Request) -> Response:
        """Take in what `nmap -oX` wrote, at the time that the file tells. The same file again changes nothing."""
        try:
            imported = import_nmap(_file_in(request), request.user, most=MAX_ROWS)
        except NmapFileTooLarge as error:
            raise Problem(413, "File too large", str(error)) from error
        except NmapRefused as error:
            raise Problem(400, "File not imported", str(error)) from error
        scan = Scan.objects.with_state().select_related("job", "started_by").get(pk=imported.scan.pk)
        return Response(
            ScanSerializer(scan).data,
            status=201 if imported.is_new else 200,
            headers={"Location": reverse("security:scan", args=[scan.pk])},
        )


def _file_in(request: Request) -> IO[bytes]:
    """The body; for one without any DRF asks no parser."""
    body = request.data
    return body if isinstance(body, io.BytesIO) else io.BytesIO()


def _bounded(stream: Any) -> bytes:
    data: bytes = stream.read(MAX_IMPORT_BYTES + 1)
    if len(data) > MAX_IMPORT_BYTES:
        detail = f"A file has at most {MAX_IMPORT_BYTES} bytes, unpacked; use manage.py import_nmap on the server."
        raise Problem(413, "File too large", detail)
    return data
