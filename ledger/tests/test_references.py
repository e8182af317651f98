"""References go on, however many a year has."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from ledger import entries
from ledger.models import ReferenceCounter
from ledger.references import next_reference
from objections.models import Ticket

pytestmark = pytest.mark.django_db


def take(prefix: str = "OBJ", year: int = 2026) -> str:
    with entries.entry("test.taken", actor="test"):
        return next_reference(prefix, year)


def counted_to(number: int) -> None:
    ReferenceCounter.objects.create(prefix="OBJ", year=2026, last=number)


def test_references_of_a_prefix_and_a_year_follow_each_other():
    taken = [take(), take("TR"), take(), take(year=2027), take()]

    assert taken == [
        "OBJ-2026-000001",
        "TR-2026-000001",
        "OBJ-2026-000002",
        "OBJ-2027-000001",
        "OBJ-2026-000003",
    ]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (999_998, "OBJ-2026-999999"),
        (999_999, "OBJ-2026-1000000"),
        (1_000_000, "OBJ-2026-1000001"),
        (9_999_999, "OBJ-2026-10000000"),
    ],
)
def test_a_year_with_a_million_goes_on_with_a_digit_more(last, expected):
    counted_to(last)

    assert take() == expected


def test_an_entry_that_fails_takes_no_reference():
    with pytest.raises(ZeroDivisionError), entries.entry("test.taken", actor="test"):
        next_reference("OBJ", 2026)
        1 / 0  # noqa: B018

    assert take() == "OBJ-2026-000001"


def test_a_counter_that_was_set_back_gives_no_reference_twice():
    def file() -> None:
        with entries.entry("test.taken", actor="test"):
            Ticket(reference=next_reference("OBJ", 2026), received_at=timezone.now()).save()

    file()
    ReferenceCounter.objects.update(last=0)

    with pytest.raises(IntegrityError), transaction.atomic():
        file()

    assert Ticket.objects.count() == 1


def test_without_an_entry_no_reference_is_given():
    with pytest.raises(entries.LedgerError):
        next_reference("OBJ", 2026)
