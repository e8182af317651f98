"""References go on, however many a year has."""

import pytest
from django.utils import timezone

from ledger import entries
from ledger.references import next_reference
from objections.models import Ticket

pytestmark = pytest.mark.django_db


def take(*numbers: int) -> None:
    with entries.entry("test.taken", actor="test"):
        for number in numbers:
            Ticket(reference=f"OBJ-2026-{number:06d}", received_at=timezone.now()).save()


def following() -> str:
    with entries.entry("test.asked", actor="test") as opened:
        found = next_reference("OBJ", 2026, Ticket)
        opened.abandon()
    return found


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ((), "OBJ-2026-000001"),
        ((1, 2), "OBJ-2026-000003"),
        ((999_998,), "OBJ-2026-999999"),
        ((999_999,), "OBJ-2026-1000000"),
        ((999_999, 1_000_000), "OBJ-2026-1000001"),
        (range(999_999, 1_000_014), "OBJ-2026-1000014"),
        (range(9_999_985, 10_000_003), "OBJ-2026-10000003"),
    ],
)
def test_the_next_reference_follows_the_last_also_where_it_has_a_digit_more(taken, expected):
    take(*taken)

    assert following() == expected


def test_a_year_with_a_million_goes_on():
    take(999_999)

    for _ in range(9):
        with entries.entry("test.taken", actor="test"):
            Ticket(reference=next_reference("OBJ", 2026, Ticket), received_at=timezone.now()).save()

    assert following() == "OBJ-2026-1000009"
