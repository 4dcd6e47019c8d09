"""In which time zone does a source write stamps that do not say it?"""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from securenet.logs.models import LogSource


def time_zone_of(source: str) -> tzinfo:
    """The zone that an admin gave the source; else that of ``LOG_TIME_ZONE``, which is UTC unless set."""
    name = LogSource.objects.filter(label=source).values_list("time_zone", flat=True).first()
    try:
        return ZoneInfo(name or settings.SECURENET_LOG_TIME_ZONE)
    except (ZoneInfoNotFoundError, ValueError):  # a machine with other zone data than the one it was chosen on
        return ZoneInfo(settings.SECURENET_LOG_TIME_ZONE)


def validate_time_zone(name: str) -> None:
    """Refuse what is no zone of the IANA time zone database."""
    if name not in available_timezones():
        raise ValidationError(_("“%(name)s” is no time zone; write one such as Europe/Berlin."), params={"name": name})
