"""Ages: from which age members of a country may be used, by dated rows. 18 everywhere, unless a row asks for more."""

import datetime as dt
from collections.abc import Collection, Iterable

from django.db.models import Q

from consent.choices import ReviewVerdict
from consent.models import MAJORITY, AgeRule
from consent.rulebook.days import Days
from consent.rulebook.rules import Book


def in_force(on: dt.date, book: Book | None = None) -> dict[str, int]:
    """The age of each country that asks for more than 18 on a day.

    The latest date wins, then the row recorded last. A row that asks for less than the one before counts only if its
    approval knew every row of an earlier date that asks for more.
    """
    if book is not None:
        return _fold(row for row in book.ages if row.effective_from <= on)
    rows = AgeRule.objects.approved().filter(effective_from__lte=on).select_related("review")
    return _fold(rows.order_by("effective_from", "entry_id", "id"))


def at(when: Days, book: Book | None = None) -> dict[str, int]:
    """The age of each country that asks for more than 18, the highest of the days that it is there."""
    by_day = {day: in_force(day, book) for day in when.world}
    found = {
        country: max(by_day[day].get(country, MAJORITY) for day in when.of(country))
        for country in {country for ages in by_day.values() for country in ages}
    }
    return {country: age for country, age in found.items() if age > MAJORITY}


def _fold(rows: Iterable[AgeRule]) -> dict[str, int]:
    holding: dict[str, int] = {}
    known: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        approved_at = row.review.entry_id if row.needs_approval else 0
        for country in row.countries:
            higher = [entry for age, entry in known.get(country, []) if age > row.age]
            if row.age >= holding.get(country, MAJORITY) or approved_at > max(higher, default=0):
                holding[country] = row.age
            known.setdefault(country, []).append((row.age, approved_at or row.entry_id))
    return {country: age for country, age in holding.items() if age > MAJORITY}


def highest() -> dict[str, int]:
    """The highest age that any row asks for in each country, whenever it begins: an approved one, or one that waits.

    A date of majority is computed for it, so that it still counts when the row begins to.
    """
    rows = AgeRule.objects.exclude(
        Q(needs_approval=True) & Q(review__verdict=ReviewVerdict.REJECTED)
    )
    found: dict[str, int] = {}
    for countries, age in rows.order_by().values_list("countries", "age"):
        for country in countries:
            found[country] = max(age, found.get(country, MAJORITY))
    return found


def loosens(countries: Collection[str], age: int, effective_from: dt.date) -> bool:
    """Whether the age is lower than what a country asks for on that day."""
    before = in_force(effective_from)
    return any(age < before.get(country, MAJORITY) for country in countries)
