"""A clock for a past that is played: months of work pass in seconds, in order, and never run backwards."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from django.utils import timezone

from ledger.clock import played_by

TICK = dt.timedelta(milliseconds=1)


class PlayedClock:
    """A clock that stands still except for a tick at each reading, so that the same play gives the same times."""

    def __init__(self, start: dt.datetime) -> None:
        self._now = start

    def move_on_to(self, moment: dt.datetime) -> None:
        self._now = max(self._now, moment)

    def wait(self, **time: float) -> None:
        self._now += dt.timedelta(**time)

    def now(self) -> dt.datetime:
        self._now += TICK
        return self._now


@contextmanager
def played(clock: PlayedClock) -> Iterator[None]:
    """The portal in this process lives by that clock while the block runs.

    The services ask the clocks of the database and of this process; they take no time from their callers, and should
    not. So the demo sets both, as a test would, and everything that is written in the block says the played time.
    """
    with mock.patch.object(timezone, "now", clock.now), played_by(clock.now):
        yield
