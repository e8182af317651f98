"""One clock: the database's. What decides asks it, and never the clock of the machine it happens to run on.

An entry takes its time in the statement that locks the ledger's head (`ledger.entries.entry`). `now` and `today` are for
questions outside an entry: what holds on this day, who is of age.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, models
from django.utils import timezone

MAX_BACK = dt.timedelta(seconds=5)
"""By so much a clock may step back unmarked; the entries of these seconds take the time of the one before."""
MAX_APART = dt.timedelta(seconds=60)
"""By so much the database's clock and this process's may differ."""
_SQLITE_TICK = dt.timedelta(milliseconds=1)


class DatabaseNow(models.Func):
    """The database's clock at this moment, not at the beginning of the transaction."""

    arity = 0
    output_field = models.DateTimeField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="clock_timestamp()", **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "strftime(%s, 'now')", ["%Y-%m-%d %H:%M:%f"]


@dataclass(frozen=True, slots=True)
class Reading:
    """The database's clock, and how far from it the clock of this process is."""

    at: dt.datetime
    here: dt.datetime | None
    """This process's clock; None while the time is played."""
    apart: dt.timedelta
    """Zero where the database's time is between the moments of asking and of having the answer."""

    @property
    def agrees(self) -> bool:
        return self.apart <= MAX_APART


def reading(database: dt.datetime, asked: dt.datetime) -> Reading:
    """The database's answer to a statement that was sent at `asked` by this process's clock."""
    if (moment := _played()) is not None:
        return Reading(moment, None, dt.timedelta(0))
    here = timezone.now()
    if connection.vendor == "sqlite" and asked - _SQLITE_TICK <= database <= here:
        # SQLite reads this machine's clock, to the millisecond: what Python reads is the same, and finer.
        database = here
    apart = max(asked - database, database - here, dt.timedelta(0))
    return Reading(database, here, apart)


def read() -> Reading:
    """Ask the database, in one statement."""
    asked = timezone.now()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT clock_timestamp()")
            return reading(cursor.fetchone()[0].astimezone(dt.UTC), asked)
        cursor.execute("SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')")
        return reading(dt.datetime.fromisoformat(cursor.fetchone()[0]), asked)


def now() -> dt.datetime:
    """The database's time, in UTC."""
    return _played() or read().at


def today() -> dt.date:
    """The database's day, in UTC."""
    return now().astimezone(dt.UTC).date()


# --- Played time: the demo's past, and tests that travel ----------------------------------------

_source: Callable[[], dt.datetime | None] | None = None


def _played() -> dt.datetime | None:
    return _source() if _source is not None else None


def is_played() -> bool:
    """Whether the time is played at this moment: then no clock can disagree."""
    return _played() is not None


@contextmanager
def played_by(source: Callable[[], dt.datetime | None]) -> Iterator[None]:
    """Take the time from `source` instead of the database while the block runs; where it says None, from the database.

    For the demo's past and for tests, in this process alone. Raises ImproperlyConfigured unless PORTAL_ENV is
    `development`: in production nothing but the database says what time it is.
    """
    global _source  # noqa: PLW0603  one clock a process
    if not settings.DEVELOPMENT:
        raise ImproperlyConfigured("Time is played in development only.")
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
