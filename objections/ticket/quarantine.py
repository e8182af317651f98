"""Files of people whose address is not confirmed: until when they wait, and how they are kept.

They are stored in `QUARANTINE_DIR`; what a limit or a full disk refuses is decided where filings are taken in.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from objections.clock.days import today
from objections.models import Attachment
from objections.ticket import uploads


def waiting(files: Iterable[Attachment]) -> list[Attachment]:
    """Those of a ticket's files that wait."""
    return [file for file in files if file.waits_until is not None]


def last_day_of_link() -> dt.date:
    """The last day on which a confirmation link sent today can be opened."""
    return today() + dt.timedelta(days=settings.CONFIRMATION_DAYS)


def end_of_wait() -> dt.datetime:
    """Until when files wait that a link sent now would keep: through the last day on which it can be opened."""
    day = last_day_of_link() + dt.timedelta(days=1)
    return dt.datetime.combine(day, dt.time(), ZoneInfo(settings.CONTROLLER_TIME_ZONE))


def wait_for_link(files: Iterable[Attachment]) -> None:
    """Give a ticket's files as much time as a link that is sent now. Needs an open entry."""
    _wait_until(waiting(files), end_of_wait())


def last_day(files: Iterable[Attachment]) -> dt.date | None:
    """The last day of a ticket's files that wait; None when none waits."""
    days = [file.last_day for file in files if file.last_day]
    return min(days, default=None)


def keep(files: Iterable[Attachment]) -> int:
    """Keep those of a ticket's files that wait; returns how many. Needs an open entry, and the ticket locked."""
    found = waiting(files)
    _wait_until(found, None)
    keys = [file.key for file in found]
    # A file that cannot be moved is read where it is, and moved by `retention.sweep_files`.
    transaction.on_commit(lambda: _move(keys), robust=True)
    return len(keys)


def _wait_until(files: Sequence[Attachment], end: dt.datetime | None) -> None:
    """In the database, and in the rows that the caller has."""
    if files:
        Attachment.objects.filter(pk__in=[file.pk for file in files]).update(waits_until=end)
    for file in files:
        file.waits_until = end


def _move(keys: Sequence[str]) -> None:
    for key in keys:
        uploads.keep(key)
