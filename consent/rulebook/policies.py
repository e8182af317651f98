"""Policies: numbers that the controller sets by dated rows, and which holds on a day."""

import datetime as dt
from collections.abc import Iterable

from consent.choices import POLICIES, PolicyKind, Purpose
from consent.models import Policy
from consent.rulebook.days import Days

USE_FROM = (PolicyKind.OF_AGE, PolicyKind.MOVED, PolicyKind.YES)
"""The policies that say from when on a member's content may be used."""


def is_looser(kind: str, value: int, than: int) -> bool:
    return value < than if POLICIES[kind].is_stricter_when_higher else value > than


def in_force(kind: str, purpose: str, on: dt.date) -> int:
    """The value that holds for a purpose on a day; the code's own where no row says anything.

    A row that allows more counts only if its approval knew every stricter row of an earlier date.
    """
    rows = (
        Policy.objects.approved()
        .filter(kind=kind, purpose__in=["", purpose], effective_from__lte=on)
        .select_related("review")
        .order_by("effective_from", "entry_id", "id")
    )
    return _fold(kind, rows)


def in_force_at(kind: str, purpose: str, when: Days) -> int:
    """The strictest value of the days that it is: a row that allows less holds from the first place on."""
    values = [in_force(kind, purpose, day) for day in when.world]
    return max(values) if POLICIES[kind].is_stricter_when_higher else min(values)


def _fold(kind: str, rows: Iterable[Policy]) -> int:
    holding = POLICIES[kind].default
    known: list[tuple[int, int]] = []
    for row in rows:
        approved_at = row.review.entry_id if row.needs_approval else 0
        stricter = [entry for value, entry in known if is_looser(kind, row.value, value)]
        if not is_looser(kind, row.value, holding) or approved_at > max(stricter, default=0):
            holding = row.value
        known.append((row.value, approved_at or row.entry_id))
    return holding


def loosens(kind: str, purpose: str, value: int, effective_from: dt.date) -> bool:
    """Whether the value allows more than what holds from that day on, for any purpose it is about."""
    purposes = [purpose] if purpose else list(Purpose.values)
    return any(is_looser(kind, value, in_force(kind, one, effective_from)) for one in purposes)
