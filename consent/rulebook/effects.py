"""Effects of a rule or notice: how many members it lets in or keeps out, by country, before it is approved.

The figures are those of a freeze: `training_runs` computes them with the code that freezes (`common.registry.Brings.hooks`),
once by the rules as they are and once as if the row were approved now.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from common import registry
from consent import countries
from consent.choices import DataCategory, Purpose, ReviewVerdict
from consent.models import AgeRule, Notice, NoticeWithdrawal, RegionRule, Review
from consent.rulebook.rules import Book, notices_in_force
from ledger import clock, entries
from ledger.errors import LedgerError, Refusal
from ledger.models import Entry

Counted = RegionRule | Notice | AgeRule
Row = Counted | NoticeWithdrawal


@dataclass(frozen=True)
class InCountry:
    """The effect on the members of one country."""

    country: str
    let_in: int
    kept_out: int
    objected: int
    """Members whom the row would let in, and whose opt-out or objection keeps them out."""
    out_otherwise: int
    """Members whom the row would let in, and whose age or account keeps them out."""

    @property
    def name(self) -> str:
        return countries.name(self.country)


@dataclass(frozen=True)
class Effect:
    """The effect on one purpose, for some data categories, on a day."""

    purpose: str
    on: dt.date
    categories: tuple[str, ...]
    """Empty where no notice names a category."""
    by_country: tuple[InCountry, ...]
    """Countries where something changes."""

    @property
    def let_in(self) -> int:
        return sum(row.let_in for row in self.by_country)

    @property
    def kept_out(self) -> int:
        return sum(row.kept_out for row in self.by_country)

    @property
    def objected(self) -> int:
        return sum(row.objected for row in self.by_country)

    @property
    def about(self) -> str:
        """The purpose and the data that the figures are about."""
        labels = [DataCategory(one).label for one in self.categories]
        data = f", with {', '.join(labels)}" if labels else ""
        return f"{Purpose(self.purpose).label}{data}"

    @property
    def sentence(self) -> str:
        parts = []
        if self.let_in or self.objected:
            parts.append(
                f"lets in {_members(self.let_in)} in"
                f" {_countries(sum(1 for row in self.by_country if row.let_in or row.objected))}"
            )
        if self.kept_out:
            parts.append(
                f"keeps out {_members(self.kept_out)} in"
                f" {_countries(sum(1 for row in self.by_country if row.kept_out))}"
            )
        if self.objected:
            parts.append(f"{self.objected:,} more objected and stay out")
        return "; ".join(parts) or "lets in no member and keeps out none"


def _members(count: int) -> str:
    return f"{count:,} member{'s' * (count != 1)}"


def _countries(count: int) -> str:
    return f"{count:,} countr{'y' if count == 1 else 'ies'}"


@dataclass(frozen=True)
class Effects:
    """The figures that are shown of a row: its effects, or why they cannot be counted now."""

    found: tuple[Effect, ...] = ()
    refusal: str = ""


def effects_of(row: Row) -> Effects:
    """The effects of a row, recorded or not, by one snapshot of the members; cannot be called inside a transaction.

    On the day it takes effect, or today if that has passed. A purpose is counted once for data categories that the
    notices treat alike. A refusal of the freeze's own guards is a sentence here: nothing is decided by these figures.
    """
    sources = registry.hooks("consent.effect_on_members")
    if not sources:
        raise LedgerError("No source of the members' eligibility is registered.")
    try:
        with entries.snapshot() as head:
            without, with_row = with_and_without(row, head.size)
            on = max(_takes_effect(row), clock.today())
            found = [
                source(
                    purpose,
                    on,
                    categories,
                    countries=_touched(row),
                    without=without,
                    with_row=with_row,
                )
                for purpose in _purposes(row)
                for categories in _alike(purpose, on, (without, with_row))
                for source in sources
            ]
    except Refusal as refusal:
        return Effects(refusal=str(refusal))
    return Effects(found=tuple(found))


def _takes_effect(row: Row) -> dt.date:
    if isinstance(row, NoticeWithdrawal):
        return row.withdrawn_from
    return row.in_force_from if isinstance(row, Notice) else row.effective_from


def with_and_without(row: Row, size: int) -> tuple[Book, Book]:
    """The book without the row, and with it as if it were approved now: knowing every entry up to `size`."""
    book = Book.read()
    if isinstance(row, NoticeWithdrawal):
        return book, replace(book, withdrawn={**book.withdrawn, row.notice_id: row.withdrawn_from})
    if isinstance(row, RegionRule):
        rest = [one for one in book.rules if one.pk != row.pk]
        rules = [*rest, _approved(row, size)]
        rules.sort(key=lambda one: (one.effective_from, one.entry_id, one.pk))
        return replace(book, rules=rest), replace(book, rules=rules)
    if isinstance(row, AgeRule):
        without = [one for one in book.ages if one.pk != row.pk]
        ages = [*without, _approved(row, size)]
        ages.sort(key=lambda one: (one.effective_from, one.entry_id, one.pk))
        return replace(book, ages=without), replace(book, ages=ages)
    others = [one for one in book.notices if one.pk != row.pk]
    return replace(book, notices=others), replace(book, notices=[*others, _approved(row, size)])


def _approved(row: Any, size: int) -> Any:
    """A copy of the row as it would count: recorded now unless it is already, approved now unless it is already."""
    copy = type(row)(**{field.attname: getattr(row, field.attname) for field in row._meta.fields})
    if copy.pk is None:
        last = type(row).objects.order_by("-pk").values_list("pk", flat=True).first()
        copy.pk = (last or 0) + 1
        copy.entry = Entry(sequence=size + 1, recorded_at=clock.now())
    review = getattr(row, "review", None)
    if review is None or review.verdict != ReviewVerdict.APPROVED:
        approval = Entry(sequence=size + 2, recorded_at=clock.now())
        review = Review(verdict=ReviewVerdict.APPROVED, entry=approval)
    copy._state.fields_cache["review"] = review
    return copy


def _touched(row: Row) -> set[str]:
    """Countries where the row can change anything."""
    if isinstance(row, NoticeWithdrawal):
        return set(row.notice.countries)
    superseded = row.supersedes if isinstance(row, Notice) else None
    return {*row.countries, *(superseded.countries if superseded else ())}


def _purposes(row: Row) -> list[str]:
    if isinstance(row, AgeRule):
        return sorted(Purpose.values)
    if isinstance(row, NoticeWithdrawal):
        return sorted(row.notice.purposes)
    if isinstance(row, RegionRule):
        return [row.purpose]
    return sorted({*row.purposes, *(row.supersedes.purposes if row.supersedes else ())})


def _alike(purpose: str, on: dt.date, books: Sequence[Book]) -> Iterator[tuple[str, ...]]:
    """Data categories that notices name, those together that the same notices name."""
    named: dict[frozenset[tuple[int, int]], list[str]] = {}
    for category in DataCategory.values:
        naming = frozenset(
            (place, notice.pk)
            for place, book in enumerate(books)
            for notice in notices_in_force(on, book)
            if purpose in notice.purposes and category in notice.data_categories
        )
        if naming:
            named.setdefault(naming, []).append(category)
    yield from (tuple(categories) for categories in named.values())
    if not named:
        yield ()
