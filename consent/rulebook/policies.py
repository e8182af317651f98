"""Policies: numbers that the controller sets by dated rows, and which holds on a day."""

import datetime as dt
from collections.abc import Collection, Iterable

from consent.choices import POLICIES, PolicyKind, Purpose
from consent.countries import EEA, NAMES, UNKNOWN
from consent.models import Policy
from consent.rulebook.days import Days

USE_FROM = (PolicyKind.OF_AGE, PolicyKind.MOVED, PolicyKind.YES)
"""The policies that say from when on a member's content may be used."""

# Directive 97/67/EC, Annex II: of the letters between two of its states 97 % arrive within five working days, which is
# a week. The national rules of service are shorter, and about letters inside the country: VwVfG § 41(2) four days,
# ZustG § 26(2) three working days, Interpretation Act 2005 (Ireland) s. 25 the ordinary course of post.
_DEFAULT_OF: dict[str, dict[str, int]] = {
    PolicyKind.POST_DELIVERED: dict.fromkeys(sorted(EEA), 7),
}
"""The code's own values for countries, where they are not the default of `POLICIES`."""


def is_looser(kind: str, value: int, than: int) -> bool:
    return value < than if POLICIES[kind].is_stricter_when_higher else value > than


def in_force(kind: str, purpose: str, on: dt.date, country: str = UNKNOWN) -> int:
    """The value that holds for a purpose or a country on a day; the code's own where no row says anything.

    A row that allows more counts only if its approval knew every stricter row of an earlier date. A row that names the
    country takes the place of those that name none. Where the country is unknown, the strictest of all holds.
    """
    rows = _rows(kind, on)
    if country or not POLICIES[kind].is_by_country:
        return _fold(kind, rows, purpose, country)
    values = [_fold(kind, rows, purpose, one) for one in {UNKNOWN, *(row.country for row in rows)}]
    return max(values) if POLICIES[kind].is_stricter_when_higher else min(values)


def notice_days(on: dt.date, codes: Collection[str]) -> dict[str, int]:
    """By country: the days that must lie between the publication of a notice on that day and its force."""
    rows = _rows(PolicyKind.NOTICE_DAYS, on)
    return {code: _fold(PolicyKind.NOTICE_DAYS, rows, "", code) for code in sorted(codes)}


def in_force_at(kind: str, purpose: str, when: Days) -> int:
    """The strictest value of the days that it is: a row that allows less holds from the first place on."""
    values = [in_force(kind, purpose, day) for day in when.world]
    return max(values) if POLICIES[kind].is_stricter_when_higher else min(values)


def _rows(kind: str, on: dt.date) -> list[Policy]:
    rows = Policy.objects.approved().filter(kind=kind, effective_from__lte=on)
    return list(rows.select_related("review").order_by("effective_from", "entry_id", "id"))


def _fold(kind: str, rows: Iterable[Policy], purpose: str, country: str) -> int:
    holding = _DEFAULT_OF.get(kind, {}).get(country, POLICIES[kind].default)
    known: list[tuple[int, int]] = []
    is_named = False
    for row in rows:
        if row.purpose not in ("", purpose) or row.country not in ("", country):
            continue
        if is_named and not row.country:
            continue
        is_named = bool(row.country)
        approved_at = row.review.entry_id if row.needs_approval else 0
        stricter = [entry for value, entry in known if is_looser(kind, row.value, value)]
        if not is_looser(kind, row.value, holding) or approved_at > max(stricter, default=0):
            holding = row.value
        known.append((row.value, approved_at or row.entry_id))
    return holding


def loosens(
    kind: str, purpose: str, value: int, effective_from: dt.date, country: str = UNKNOWN
) -> bool:
    """Whether the value allows more than what holds from that day on, for any purpose or country it is about."""
    rows = _rows(kind, effective_from)
    if POLICIES[kind].is_by_country:
        named = {row.country for row in rows}
        places = [country] if country else [UNKNOWN, *(one for one in NAMES if one not in named)]
        return any(is_looser(kind, value, _fold(kind, rows, "", place)) for place in places)
    purposes = [purpose] if purpose else list(Purpose.values)
    return any(is_looser(kind, value, _fold(kind, rows, one, UNKNOWN)) for one in purposes)
