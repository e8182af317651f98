"""The effect of another book of rules on a purpose: two answers of the freeze's own code, and what lies between them."""

import datetime as dt
from collections.abc import Collection

from pyroaring import BitMap

from consent.models import Member
from consent.rulebook import days
from consent.rulebook.effects import Effect, InCountry
from consent.rulebook.rules import Book
from training_runs.eligibility.exclusions import (
    NO_NOTICE,
    NOT_OPTED_IN,
    OBJECTED,
    REGION,
    Eligibility,
    ask,
    decide,
    fingerprint,
)
from training_runs.manifests import country_sets
from training_runs.manifests.packing import pack_by


def effect(
    purpose: str,
    on: dt.date,
    categories: Collection[str],
    *,
    countries: Collection[str],
    without: Book,
    with_row: Book,
) -> Effect:
    """The members who get in and who get out in these countries. Call it inside a snapshot. Raises FreezeRefused."""
    before, after = (ask(purpose, days.on(on), categories, book) for book in (without, with_row))
    by_country: list[InCountry] = []
    # Of equal questions only members' own facts could differ, and they are the same here.
    if fingerprint(before) != fingerprint(after):
        now, then = (
            decide(question, kept=country_sets.load(question.excluded))
            for question in (before, after)
        )
        by_country = _between(now, then, countries)
    return Effect(purpose, on, tuple(categories), tuple(by_country))


def _between(
    before: Eligibility, after: Eligibility, countries: Collection[str]
) -> list[InCountry]:
    let_in = after.included - before.included
    kept_out = before.included - after.included
    # Whom the rules leave out now and would not: they are in, unless something of their own keeps them out.
    staying = _out_by_rules(before) - _out_by_rules(after) - let_in
    objected = staying & BitMap.union(
        BitMap(), *(answer for code, answer in after.excluded.items() if code in OBJECTED)
    )
    rows = Member.objects.in_countries(countries).values_list("country", "pk")
    found = []
    for country, members in sorted(pack_by(rows, after.population).items()):
        row = InCountry(
            country=country,
            let_in=len(members & let_in),
            kept_out=len(members & kept_out),
            objected=len(members & objected),
            out_otherwise=len(members & (staying - objected)),
        )
        if row.let_in or row.kept_out or row.objected or row.out_otherwise:
            found.append(row)
    return found


def _out_by_rules(answer: Eligibility) -> BitMap:
    return BitMap.union(
        BitMap(), *(answer.excluded[code] for code in (REGION, NO_NOTICE, NOT_OPTED_IN))
    )
