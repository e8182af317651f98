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


def moment_in_words(moment: dt.datetime) -> str:
    """2026-03-05 12:00 (Europe/Dublin)."""
    local = timezone.localtime(moment, ZoneInfo(settings.CONTROLLER_TIME_ZONE))
    return f"{local:%Y-%m-%d %H:%M} ({settings.CONTROLLER_TIME_ZONE})"
