"""Files of people whose address is not confirmed: until when they wait, and how they are kept.

They lie in `QUARANTINE_DIR`; what a limit or a full disk refuses is decided where filings are taken in.
"""

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from objections.clock.days import today
from objections.models import Attachment, Ticket
from objections.ticket import uploads


def waiting(ticket: Ticket) -> QuerySet[Attachment]:
    """The ticket's files that wait."""
    return Attachment.objects.filter(ticket=ticket, waits_until__isnull=False)


def last_day_of_link() -> dt.date:
    """The last day on which a confirmation link sent today can be opened."""
    return today() + dt.timedelta(days=settings.CONFIRMATION_DAYS)


def end_of_wait() -> dt.datetime:
    """Until when files wait that a link sent now would keep: through the last day on which it can be opened."""
    day = last_day_of_link() + dt.timedelta(days=1)
    return dt.datetime.combine(day, dt.time(), ZoneInfo(settings.CONTROLLER_TIME_ZONE))


def wait_for_link(ticket: Ticket) -> None:
    """Give the ticket's files as much time as a link that is sent now. Needs an open entry."""
    waiting(ticket).update(waits_until=end_of_wait())


def last_day(ticket: Ticket) -> dt.date | None:
    """The last day of the ticket's files that wait; None when none waits."""
    first = waiting(ticket).order_by("waits_until").first()
    return first.last_day if first else None


def keep(ticket: Ticket) -> int:
    """Keep the ticket's files that wait; returns how many. Needs an open entry, and the ticket locked."""
    files = waiting(ticket)
    keys = list(files.values_list("key", flat=True))
    files.update(waits_until=None)
    # A file that cannot be moved is read where it is, and moved by `retention.sweep_files`.
    transaction.on_commit(lambda: _move(keys), robust=True)
    return len(keys)


def _move(keys: Sequence[str]) -> None:
    for key in keys:
        uploads.keep(key)
