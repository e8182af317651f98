"""Days in the controller's time zone."""

import datetime as dt
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from objections.clock import deadlines


def today() -> dt.date:
    """The day in the controller's time zone."""
    return day_of(timezone.now())


def day_of(moment: dt.datetime) -> dt.date:
    return deadlines.local_date(moment, settings.CONTROLLER_TIME_ZONE)


def ended_everywhere(day: dt.date) -> dt.datetime:
    """The moment at which a day is over wherever it began.

    >>> ended_everywhere(dt.date(2026, 3, 5)).isoformat()
    '2026-03-06T12:00:00+00:00'
    """
    # The last zone is UTC-12: its midnight is noon in UTC.
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(12), dt.UTC)


def moment_in_words(moment: dt.datetime) -> str:
    """2026-03-05 12:00 (Europe/Dublin)."""
    local = timezone.localtime(moment, ZoneInfo(settings.CONTROLLER_TIME_ZONE))
    return f"{local:%Y-%m-%d %H:%M} ({settings.CONTROLLER_TIME_ZONE})"
