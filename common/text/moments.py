"""Times and days as others write them (RFC 3339, section 5.6): all that it allows, and nothing else."""

import calendar
import datetime as dt
import re

_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_TIME = re.compile(
    _DAY.pattern + r"[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:([Zz])|([+-])(\d{2}):(\d{2}))?",
    re.ASCII,
)

FIRST = dt.datetime.min.replace(tzinfo=dt.UTC)
LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


class NotATime(ValueError):
    """The text is no time or day of RFC 3339. The message says what would be right, and never repeats the text."""


def read_moment(text: str) -> dt.datetime:
    """A `date-time` with its offset, in UTC. Raises NotATime.

    T and Z may be small letters, and a space may stand for the T (section 5.6, note). Digits of a second beyond the
    sixth are cut off. A leap second (23:59:60 UTC at the end of a month, section 5.7) is the last microsecond before
    the next day. RFC 3339 has a year 0, and offsets lead out of the years 1 to 9999: such a time is taken as the
    nearest one in them, since it is as far away as a time can be, and no message is lost over it.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise NotATime(
            "A time with its offset from UTC, as 2025-11-03T09:30:00Z or 2025-11-03T10:30:00+01:00."
        )
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, zulu, sign, hours, minutes = found.groups()[6:]
    if not (zulu or sign):
        raise NotATime("The offset from UTC is missing: add Z for UTC, or for example +01:00.")
    if not (1 <= month <= 12 and 1 <= day <= _days_of(year, month)):
        raise NotATime("There is no such day in the calendar.")
    if hour > 23 or minute > 59 or second > 60:
        raise NotATime("A time of day is at most 23:59:59, and 23:59:60 in a leap second.")
    offset = dt.timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if sign and (int(hours) > 23 or int(minutes) > 59):
        raise NotATime("An offset from UTC is at most 23:59.")
    if year == 0:
        return FIRST
    micro = int((fraction or "")[:6].ljust(6, "0"))
    is_leap = second == 60
    local = dt.datetime(year, month, day, hour, minute, min(second, 59), micro, dt.UTC)
    try:
        moment = local + offset if sign == "-" else local - offset
    except OverflowError:
        moment = LAST if sign == "-" else FIRST
    if is_leap:
        if (moment.hour, moment.minute) != (23, 59) or moment.day != _days_of(
            moment.year, moment.month
        ):
            raise NotATime("A second 60 is a leap second: 23:59:60 UTC at the end of a month.")
        moment = moment.replace(second=59, microsecond=999_999)
    return moment


def read_day(text: str) -> dt.date:
    """A `full-date`. Raises NotATime."""
    found = _DAY.fullmatch(text)
    if found is None:
        raise NotATime("A date, as 2025-11-03.")
    year, month, day = map(int, found.groups())
    if not (year and 1 <= month <= 12 and 1 <= day <= _days_of(year, month)):
        raise NotATime("There is no such day in the calendar.")
    return dt.date(year, month, day)


def _days_of(year: int, month: int) -> int:
    # The calendar repeats after 400 years, and Python's has no year 0.
    return calendar.monthrange(year or 400, month)[1]
