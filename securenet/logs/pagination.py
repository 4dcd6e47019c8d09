"""Pages of log events by their time and id together.

Events of one moment come by the thousand (a batch of lines without stamps has one time), so a cursor that knows the
time alone would have to count its way through them; this one names the last event of the page.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from django.db.models import Q, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from perf.api.pagination import ResultPages
from securenet.logs.models import LogEvent

LARGEST_ID = 2**63 - 1


class NewestEventsFirst(ResultPages):
    """Newest first by the events' own time; ``cursor`` is the last event of the page before."""

    ordering = ("-time", "-id")

    def paginate_queryset(
        self, queryset: QuerySet[LogEvent], request: Request, view: APIView | None = None
    ) -> list[LogEvent]:
        """The events after the request's cursor, at most ``page_size``."""
        self.base_url = request.build_absolute_uri()
        size = self.get_page_size(request)
        cursor = request.query_params.get(self.cursor_query_param)
        if cursor is not None:
            time, pk = self._position(cursor)
            queryset = queryset.filter(Q(time__lt=time) | Q(id__lt=pk), time__lte=time)
        found = list(queryset.order_by(*self.ordering)[: size + 1])
        self.page = found[:size]
        self.has_next = len(found) > size
        return self.page

    def get_next_link(self) -> str | None:
        """Where the next page is; None on the last one."""
        if not self.has_next:
            return None
        last = self.page[-1]
        cursor = urlsafe_b64encode(f"{last.time.isoformat()}|{last.pk}".encode()).decode()
        link: str = replace_query_param(self.base_url, self.cursor_query_param, cursor)
        return link

    def get_previous_link(self) -> None:
        """Answers name only the next page."""
        return

    def _position(self, cursor: str) -> tuple[datetime, int]:
        try:
            time_text, _, pk_text = urlsafe_b64decode(cursor.encode("ascii")).decode("ascii").partition("|")
            time, pk = datetime.fromisoformat(time_text), int(pk_text)
        except ValueError as error:
            raise NotFound(self.invalid_cursor_message) from error
        if time.utcoffset() is None or time.utcoffset() or not 0 < pk <= LARGEST_ID:
            raise NotFound(self.invalid_cursor_message)
        return time, pk
