"""Lateness: what entries recorded that may have held before it was known, for each reason to be out.

A fact has the moment from which it holds and the moment at which it was recorded. One that would have kept members out of
a manifest that was frozen in between is owed an incident (`training_runs.incidents`). Each exclusion names here how such
facts are found: by what entries wrote, not by asking about every member.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db.models import Q

from consent.choices import Choice
from consent.models import (
    FIRST_DAY,
    AgeRule,
    Decision,
    Member,
    Notice,
    NoticeWithdrawal,
    RegionRule,
    Review,
)
from objections.choices import Effect
from objections.models import Objection

_CHUNK = 10_000


@dataclass(frozen=True)
class Window:
    """Some entries of the ledger, and the moment at which the newest manifest that they may be about was frozen."""

    after: int
    upto: int
    frozen_by: dt.datetime

    @property
    def entries(self) -> Q:
        return Q(entry_id__gt=self.after, entry_id__lte=self.upto)


@dataclass(frozen=True)
class LateFact:
    """Something that an entry recorded, and that held before."""

    entry: int
    member: int | None
    """None for a rule or a notice: it may be about every member."""
    holds_from: dt.datetime | None
    """None for what has always held."""
    purpose: str = ""
    """Empty for every purpose."""


Source = Callable[[Window], Iterator[LateFact]]


def denials(window: Window) -> Iterator[LateFact]:
    """A *no* that was decided before it reached us."""
    rows = Decision.objects.filter(
        window.entries, choice=Choice.DENY, evidence_only=False, counts_at__lte=window.frozen_by
    ).order_by()
    for entry, member, counts_at, purpose in rows.values_list(
        "entry_id", "member_id", "counts_at", "purpose"
    ).iterator(_CHUNK):
        yield LateFact(entry, member, counts_at, purpose)


def objections(window: Window) -> Iterator[LateFact]:
    """A restriction that holds from before its entry: entered late, matched late, or restored by a returned letter.

    A restriction that was lifted since held in between, so its rows count too.
    """
    rows = Objection.history.filter(
        window.entries,
        member_id__isnull=False,
        effect__in=Effect.values,
        restricts_since__lte=window.frozen_by,
    ).order_by()
    for entry, member, since, purpose in rows.values_list(
        "entry_id", "member_id", "restricts_since", "purpose"
    ).iterator(_CHUNK):
        yield LateFact(entry, member, since, purpose)


def majorities(window: Window) -> Iterator[LateFact]:
    """A date of majority that is another than was believed, that is not known after all, or that is for a lower age."""
    older = {
        country
        for countries in AgeRule.objects.values_list("countries", flat=True)
        for country in countries
    }
    rows = Member.history.filter(
        window.entries,
        Q(adult_on__isnull=True) | Q(adult_on__gt=FIRST_DAY) | Q(country__in=sorted(older)),
        history_type="~",
    ).order_by()
    for entry, member in rows.values_list("entry_id", "id").iterator(_CHUNK):
        yield LateFact(entry, member, None)


def rulebook(window: Window) -> Iterator[LateFact]:
    """A rule, an age, a notice or its end that was recorded or approved: its day may have begun before."""
    found: set[tuple[int, str]] = set()
    for entry, purpose in RegionRule.objects.filter(window.entries).values_list(
        "entry_id", "purpose"
    ):
        found.add((entry, purpose))
    for model in (Notice, NoticeWithdrawal, AgeRule, Review):
        found |= {
            (entry, "")
            for entry in model.objects.filter(window.entries).values_list("entry_id", flat=True)
        }
    for entry, purpose in sorted(found):
        yield LateFact(entry, None, None, purpose)
