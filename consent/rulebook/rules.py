"""Which rule holds where, and which countries a notice covers, on a given day. Pure: rows in, answers out."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from consent.choices import STRICTNESS, RuleKind
from consent.models import Notice, RegionRule


@dataclass(frozen=True)
class Ruling:
    """The state of the rules for one purpose on one day."""

    rule_of: dict[str, str]
    """Country to rule; a country that is missing has none and is excluded."""
    since: dict[str, dt.date]
    """Country to the day its rule is effective from."""
    data_from: dict[str, dt.date]
    """Country to the oldest content that may be used; a country that is missing has no such limit."""
    covered: frozenset[str]
    """Countries in which every declared category is covered by a notice in force."""
    gaps: dict[str, list[str]] = field(default_factory=dict)
    """Country to the categories no notice covers; only for countries a rule lets in."""
    rule_ids: tuple[int, ...] = ()
    notice_versions: tuple[str, ...] = ()

    def countries_with(self, rule: str) -> set[str]:
        return {country for country, found in self.rule_of.items() if found == rule}

    @property
    def allowed(self) -> set[str]:
        """Countries in which the purpose is not excluded."""
        return {country for country, rule in self.rule_of.items() if rule != RuleKind.EXCLUDED}


@dataclass(frozen=True)
class Book:
    """Every approved rule and notice, read once: for many questions, or for one about the past."""

    rules: Sequence[RegionRule]
    notices: Sequence[Notice]

    @classmethod
    def read(cls, upto: int | None = None) -> "Book":
        """With the entries that wrote them. Up to a ledger size: nothing counts that was recorded or approved later."""
        known = Q() if upto is None else Q(entry__lte=upto)
        # An approval that came later approved nothing yet.
        approved = Q() if upto is None else Q(needs_approval=False) | Q(review__entry__lte=upto)
        rules, notices = (
            model.objects.approved()
            .filter(known, approved)
            .select_related("entry", "review__entry")
            for model in (RegionRule, Notice)
        )
        return cls(
            list(rules.order_by("effective_from", "entry_id", "id")), list(notices.order_by("id"))
        )


def rules_in_force(purpose: str, on: dt.date, book: Book | None = None) -> dict[str, RegionRule]:
    """For each country the rule that holds: the latest date wins, then the one recorded last.

    Where a rule would admit members whom the one before kept out, it counts only if a second person
    approved it *knowing* every stricter rule of an earlier date: an exclusion recorded after the approval
    stands, also when another exclusion comes between them.
    """
    return _holding(_rules_until(purpose, on, book))


def _holding(rows: Iterable[RegionRule]) -> dict[str, RegionRule]:
    holding: dict[str, RegionRule] = {}
    known_since: dict[tuple[str, int], int] = {}
    for row in rows:
        approved_at = row.review.entry_id if row.needs_approval else 0
        strictness = STRICTNESS[RuleKind(row.rule)]
        for country in row.countries:
            before = holding.get(country)
            stricter = [known_since.get((country, more), 0) for more in range(strictness + 1, 3)]
            if not _looser(row.rule, before.rule if before else RuleKind.EXCLUDED) or (
                approved_at > max(stricter, default=0)
            ):
                holding[country] = row
            place = (country, strictness)
            known_since[place] = max(known_since.get(place, 0), approved_at or row.entry_id)
    return holding


def oldest_content(purpose: str, on: dt.date, book: Book | None = None) -> dict[str, dt.date]:
    """For each country the oldest content that may be used.

    A later limit counts at once, whatever else its rule says. An earlier one, or none, counts only in a rule that a
    second person approved knowing every later limit before it.
    """
    return _limits(_rules_until(purpose, on, book))


def _limits(rows: Iterable[RegionRule]) -> dict[str, dt.date]:
    limits: dict[str, dt.date] = {}
    known: dict[str, list[tuple[dt.date, int]]] = {}
    for row in rows:
        if row.rule == RuleKind.EXCLUDED:
            # It uses no content, so it says nothing of its age.
            continue
        approved_at = row.review.entry_id if row.needs_approval else 0
        limit = row.data_from or dt.date.min
        for country in row.countries:
            later = [entry for day, entry in known.get(country, []) if day > limit]
            if limit >= limits.get(country, dt.date.min) or approved_at > max(later, default=0):
                limits[country] = limit
            known.setdefault(country, []).append((limit, approved_at or row.entry_id))
    return {country: limit for country, limit in limits.items() if limit > dt.date.min}


def _rules_until(purpose: str, on: dt.date, book: Book | None) -> list[RegionRule]:
    if book is not None:
        return [row for row in book.rules if row.purpose == purpose and row.effective_from <= on]
    rows = RegionRule.objects.approved().filter(purpose=purpose, effective_from__lte=on)
    return list(rows.select_related("review").order_by("effective_from", "entry_id", "id"))


def notices_in_force(on: dt.date, book: Book | None = None) -> list[Notice]:
    """Notices whose period has run and that no other notice in force supersedes."""
    if book is not None:
        rows = [row for row in book.notices if row.in_force_from <= on]
    else:
        rows = list(Notice.objects.approved().filter(in_force_from__lte=on).order_by("id"))
    superseded = {row.supersedes_id for row in rows}
    return [row for row in rows if row.pk not in superseded]


def ruling(
    purpose: str, on: dt.date, categories: Collection[str], book: Book | None = None
) -> Ruling:
    """The ruling for a purpose on a day, for data of these categories; from the book, if there is one.

    Without categories the question is whether any notice in force covers the purpose in the country.
    """
    rows = _rules_until(purpose, on, book)
    holding = _holding(rows)
    notices = [row for row in notices_in_force(on, book) if purpose in row.purposes]
    rule_of = {country: row.rule for country, row in holding.items()}
    missing = {
        country: gap
        for country in rule_of
        if (gap := _uncovered(country, categories, notices)) is not None
    }
    return Ruling(
        rule_of=rule_of,
        since={country: row.effective_from for country, row in holding.items()},
        data_from=_limits(rows),
        covered=frozenset(rule_of.keys() - missing.keys()),
        gaps={
            country: gap
            for country, gap in missing.items()
            if rule_of[country] != RuleKind.EXCLUDED
        },
        rule_ids=tuple(sorted({row.pk for row in holding.values()})),
        notice_versions=tuple(sorted(row.version for row in notices)),
    )


def _uncovered(
    country: str, categories: Collection[str], notices: Iterable[Notice]
) -> list[str] | None:
    """The categories that lack a notice in the country; None when nothing is lacking."""
    here = [row for row in notices if country in row.countries]
    if not categories:
        return None if here else []
    covered = {category for row in here for category in row.data_categories}
    return sorted(set(categories) - covered) or None


def loosens(
    purpose: str,
    countries: Collection[str],
    rule: str,
    effective_from: dt.date,
    data_from: dt.date | None = None,
) -> bool:
    """Whether the rule admits members, or older content, that are out from that day: no rule at all counts as excluded.

    A stricter rule applies at once also where it names an earlier limit of content: the limit before it stays then.
    """
    holding = rules_in_force(purpose, effective_from)
    before = {country: holding[country].rule for country in countries if country in holding}
    if any(_looser(rule, before.get(country, RuleKind.EXCLUDED)) for country in countries):
        return True
    limits = oldest_content(purpose, effective_from)
    return rule != RuleKind.EXCLUDED and any(
        (data_from or dt.date.min) < limits.get(country, dt.date.min)
        and before.get(country) == rule
        for country in countries
    )


def _looser(rule: str, than: str) -> bool:
    return STRICTNESS[RuleKind(rule)] < STRICTNESS[RuleKind(than)]
