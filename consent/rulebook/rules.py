"""Which rule holds where, and which countries a notice covers, on the days that it is. Pure: rows in, answers out.

A day begins in one place before another (`consent.rulebook.days`). What holds in a country at an instant is the strictest
of what holds there on each day that it is there: so what tightens holds from the first place on, what loosens from the last.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from consent.choices import STRICTNESS, RuleKind
from consent.models import AgeRule, Notice, NoticeWithdrawal, RegionRule
from consent.rulebook import days
from consent.rulebook.days import Days


@dataclass(frozen=True, order=True)
class Window:
    """A time in which a *yes* counts as consent, given under one version of the notice."""

    notice: str
    begins: dt.datetime
    ends: dt.datetime | None
    """The moment at which the notice is superseded or withdrawn; None while it is not."""

    def takes(self, notice: str, moment: dt.datetime) -> bool:
        """Whether a *yes* given under a version of the notice at a moment is consent."""
        in_time = self.begins <= moment and (self.ends is None or moment < self.ends)
        return notice == self.notice and in_time


@dataclass(frozen=True)
class Ruling:
    """The state of the rules for one purpose at an instant."""

    rule_of: dict[str, str]
    """Country to rule; a country that is missing has none and is excluded."""
    consents: dict[str, tuple[Window, ...]]
    """Country that asks for consent, to the windows in which a *yes* is one."""
    data_from: dict[str, dt.date]
    """Country to the oldest content that may be used, by days in UTC; a country that is missing has no such limit."""
    covered: frozenset[str]
    """Countries in which every declared category is covered by a notice in force."""
    gaps: dict[str, list[str]] = field(default_factory=dict)
    """Country to the categories no notice covers; only for countries a rule lets in."""
    rule_ids: tuple[int, ...] = ()
    notice_versions: tuple[str, ...] = ()

    def plain_consents(self) -> dict[str, list[list[Any]]]:
        """The windows as a manifest's header seals them (docs/reference/manifest-format.md)."""
        return {
            country: [[one.notice, one.begins, one.ends] for one in windows]
            for country, windows in self.consents.items()
            if windows
        }

    def countries_with(self, rule: str) -> set[str]:
        return {country for country, found in self.rule_of.items() if found == rule}

    @property
    def allowed(self) -> set[str]:
        """Countries in which the purpose is not excluded."""
        return {country for country, rule in self.rule_of.items() if rule != RuleKind.EXCLUDED}


@dataclass(frozen=True)
class Book:
    """Every approved rule, notice and age, read once: for many questions, or for one about the past."""

    rules: Sequence[RegionRule]
    notices: Sequence[Notice]
    ages: Sequence[AgeRule]
    withdrawn: Mapping[int, dt.date] = field(default_factory=dict)
    """By the key of a notice: the first day on which it covers nothing."""

    @classmethod
    def read(cls, upto: int | None = None) -> "Book":
        """With the entries that wrote them. Up to a ledger size: nothing counts that was recorded or approved later."""
        known = Q() if upto is None else Q(entry__lte=upto)
        # An approval that came later approved nothing yet.
        approved = Q() if upto is None else Q(needs_approval=False) | Q(review__entry__lte=upto)
        rules, notices, ages = (
            model.objects.approved()
            .filter(known, approved)
            .select_related("entry", "review__entry")
            for model in (RegionRule, Notice, AgeRule)
        )
        return cls(
            list(rules.order_by("effective_from", "entry_id", "id")),
            list(notices.order_by("id")),
            list(ages.order_by("effective_from", "entry_id", "id")),
            withdrawn_from(NoticeWithdrawal.objects.filter(known)),
        )


def rules_in_force(purpose: str, on: dt.date, book: Book | None = None) -> dict[str, RegionRule]:
    """For each country the rule that holds: the latest date wins, then the one recorded last.

    Where a rule would admit members whom the one before kept out, it counts only if a second person
    approved it *knowing* every stricter rule of an earlier date: an exclusion recorded after the approval
    stands, also when another exclusion comes between them.
    """
    return {
        country: rows[-1] for country, rows in _holders(_rules_until(purpose, on, book)).items()
    }


def _holders(rows: Iterable[RegionRule]) -> dict[str, list[RegionRule]]:
    """For each country the rules that held there one after the other, the one that holds last."""
    holders: dict[str, list[RegionRule]] = {}
    known_since: dict[tuple[str, int], int] = {}
    for row in rows:
        approved_at = row.review.entry_id if row.needs_approval else 0
        strictness = STRICTNESS[RuleKind(row.rule)]
        for country in row.countries:
            before = holders[country][-1] if country in holders else None
            stricter = [known_since.get((country, more), 0) for more in range(strictness + 1, 3)]
            if not _looser(row.rule, before.rule if before else RuleKind.EXCLUDED) or (
                approved_at > max(stricter, default=0)
            ):
                holders.setdefault(country, []).append(row)
            place = (country, strictness)
            known_since[place] = max(known_since.get(place, 0), approved_at or row.entry_id)
    return holders


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
    return list(
        rows.select_related("entry", "review__entry").order_by("effective_from", "entry_id", "id")
    )


def notices_in_force(on: dt.date, book: Book | None = None) -> list[Notice]:
    """Notices whose period has run, that no other such notice supersedes, and that are not withdrawn.

    A notice that was withdrawn supersedes as before: its end brings no older notice back.
    """
    if book is not None:
        rows = [row for row in book.notices if row.in_force_from <= on]
        withdrawn = book.withdrawn
    else:
        rows = list(Notice.objects.approved().filter(in_force_from__lte=on).order_by("id"))
        withdrawn = withdrawn_from(NoticeWithdrawal.objects.filter(withdrawn_from__lte=on))
    gone = {row.supersedes_id for row in rows}
    gone |= {number for number, day in withdrawn.items() if day <= on}
    return [row for row in rows if row.pk not in gone]


def withdrawn_from(rows: Iterable[NoticeWithdrawal]) -> dict[int, dt.date]:
    """By the key of a notice: the first day on which it covers nothing. Of several withdrawals the earliest holds."""
    found: dict[int, dt.date] = {}
    for row in rows:
        known = found.get(row.notice_id, row.withdrawn_from)
        found[row.notice_id] = min(known, row.withdrawn_from)
    return found


def ruling(
    purpose: str, when: Days, categories: Collection[str], book: Book | None = None
) -> Ruling:
    """The ruling for a purpose on the days that it is, for data of these categories; from the book, if there is one.

    Without categories the question is whether any notice in force covers the purpose in the country.
    """
    book = book or Book.read()
    on_day = {day: _Day.read(purpose, day, categories, book) for day in when.world}
    rule_of: dict[str, str] = {}
    missing: dict[str, list[str]] = {}
    limits: dict[str, dt.date] = {}
    consents: dict[str, tuple[Window, ...]] = {}
    rows: set[RegionRule] = set()
    for country in {code for found in on_day.values() for code in found.holders}:
        here = [on_day[day] for day in when.of(country)]
        holding = [found.holders[country][-1] for found in here if country in found.holders]
        rows |= set(holding)
        if len(holding) < len(here):
            # Where it is not yet everywhere the day of the first rule, there is none.
            continue
        rule_of[country] = max((row.rule for row in holding), key=_strictness)
        gaps = [found.gaps[country] for found in here if country in found.gaps]
        if gaps:
            missing[country] = sorted({category for gap in gaps for category in gap})
        limit = max(found.limits.get(country, dt.date.min) for found in here)
        if limit > dt.date.min:
            limits[country] = when.content_from(limit, country)
        if rule_of[country] == RuleKind.OPT_IN:
            since = max(
                _asked_since(found.holders[country], country)
                for found in here
                if found.holders[country][-1].rule == RuleKind.OPT_IN
            )
            consents[country] = _windows(purpose, country, categories, since, book)
    return Ruling(
        rule_of=rule_of,
        consents=consents,
        data_from=limits,
        covered=frozenset(rule_of.keys() - missing.keys()),
        gaps={
            country: gap
            for country, gap in missing.items()
            if rule_of[country] != RuleKind.EXCLUDED
        },
        rule_ids=tuple(sorted(row.pk for row in rows)),
        notice_versions=tuple(
            sorted({row.version for found in on_day.values() for row in found.notices})
        ),
    )


@dataclass(frozen=True)
class _Day:
    """The rules and notices of one day of the calendar."""

    holders: dict[str, list[RegionRule]]
    limits: dict[str, dt.date]
    notices: list[Notice]
    gaps: dict[str, list[str]]
    """Country to the categories that lack a notice; a country that is missing lacks none."""

    @classmethod
    def read(cls, purpose: str, day: dt.date, categories: Collection[str], book: Book) -> "_Day":
        rows = _rules_until(purpose, day, book)
        holders = _holders(rows)
        notices = [row for row in notices_in_force(day, book) if purpose in row.purposes]
        gaps = {
            country: gap
            for country in holders
            if (gap := _uncovered(country, categories, notices)) is not None
        }
        return cls(holders, _limits(rows), notices, gaps)


def _strictness(rule: str) -> int:
    return STRICTNESS[RuleKind(rule)]


def asked_since(purpose: str, country: str, when: Days) -> dt.datetime | None:
    """The moment since when a country asks for consent, None where it does not."""
    found = [
        _holders(_rules_until(purpose, day, None)).get(country, []) for day in when.of(country)
    ]
    asking = [rows for rows in found if rows and rows[-1].rule == RuleKind.OPT_IN]
    return max((_asked_since(rows, country) for rows in asking), default=None)


def _asked_since(holders: Sequence[RegionRule], country: str) -> dt.datetime:
    """The moment since when the last rule, one that asks for consent, was both in effect and known.

    The same rule listed again begins nothing anew. A *yes* from before it is a setting left on, not consent
    (GDPR Art. 4(11), 7).
    """
    moments = []
    for row in reversed(holders):
        if row.rule != RuleKind.OPT_IN:
            break
        moments.append(max(days.begins_everywhere(row.effective_from, country), known_at(row)))
    return min(moments)


def known_at(row: RegionRule | Notice) -> dt.datetime:
    """The moment from which on a row counted: its approval where it needs one."""
    entry = row.review.entry if row.needs_approval else row.entry
    return entry.recorded_at


def _windows(
    purpose: str, country: str, categories: Collection[str], since: dt.datetime, book: Book
) -> tuple[Window, ...]:
    """The times in which a *yes* is consent to this use: under a notice that was known, in force, and covers all of it."""
    found = []
    for row in book.notices:
        if purpose not in row.purposes or country not in row.countries:
            continue
        if not set(categories) <= set(row.data_categories):
            continue
        begins = max(since, days.begins_everywhere(row.in_force_from, country), known_at(row))
        last = [later.in_force_from for later in book.notices if later.supersedes_id == row.pk]
        if row.pk in book.withdrawn:
            last.append(book.withdrawn[row.pk])
        ends = min((days.begins_somewhere(day, country) for day in last), default=None)
        if ends is None or begins < ends:
            found.append(Window(row.version, begins, ends))
    return tuple(sorted(found))


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
