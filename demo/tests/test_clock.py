import datetime as dt

import pytest
from django.utils import timezone

from demo.clock import TICK, PlayedClock, played

SPRING = dt.datetime(2026, 4, 1, 9, tzinfo=dt.UTC)


def test_the_portal_lives_by_the_played_clock_and_by_the_real_one_afterwards():
    with played(PlayedClock(SPRING)):
        seen = [timezone.now(), timezone.now()]

    assert seen == [SPRING + TICK, SPRING + 2 * TICK]
    assert abs(timezone.now() - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)


@pytest.mark.parametrize(
    ("moment", "seen"),
    [(SPRING + dt.timedelta(days=1), SPRING + dt.timedelta(days=1)), (SPRING - TICK, SPRING)],
    ids=["forwards", "backwards"],
)
def test_the_played_clock_never_runs_backwards(moment, seen):
    clock = PlayedClock(SPRING)

    clock.move_on_to(moment)

    assert clock.now() == seen + TICK
