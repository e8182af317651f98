"""The questions asked of members, choices and rules."""

import datetime as dt
from collections.abc import Collection, Iterable
from typing import Any

from django.db import models
from django.db.models import Q

from consent.choices import Choice, ReviewVerdict, Status
from consent.countries import UNKNOWN
from ledger.append_only import AppendOnlyQuerySet
from ledger.models import TrackedQuerySet

COMPLETE = Q(status=Status.OPEN, adult_on__isnull=False) & ~Q(country=UNKNOWN)


class MemberQuerySet(TrackedQuerySet):
    def complete(self) -> "MemberQuerySet":
        """Members we know enough about to let them in: open, of known age and known country."""
        return self.filter(COMPLETE)

    def closed(self) -> "MemberQuerySet":
        """Closed accounts, and accounts no import has told us to be open."""
        return self.exclude(status=Status.OPEN).exclude(status=Status.ERASED)

    def erased(self) -> "MemberQuerySet":
        return self.filter(status=Status.ERASED)

    def minors(self, on: dt.date, until: dt.date | None = None) -> "MemberQuerySet":
        """Not of age on that day; with `until`, those alone who are of age on it."""
        rows = self.filter(adult_on__gt=on)
        return rows if until is None else rows.filter(adult_on__lte=until)

    def below_age(self, age: int, codes: Collection[str]) -> "MemberQuerySet":
        """Members in the countries whose date of majority was computed for a lower age: it does not say when they reach this one."""
        return self.filter(country__in=sorted(codes), adult_at__lt=age)

    def of_unknown_age(self) -> "MemberQuerySet":
        return self.filter(adult_on__isnull=True)

    def of_unknown_country(self) -> "MemberQuerySet":
        return self.filter(country=UNKNOWN)

    def in_countries(self, codes: Collection[str]) -> "MemberQuerySet":
        return self.filter(country__in=sorted(codes))


class ConsentQuerySet(models.QuerySet[Any]):
    def denied(self, purpose: str) -> "ConsentQuerySet":
        return self.filter(purpose=purpose, choice=Choice.DENY)

    def allowed(self, purpose: str, windows: Iterable[Any]) -> "ConsentQuerySet":
        """Members whose *yes* counts as consent: given in one of the windows (`consent.rulebook.rules.Window`)."""
        given = Q(pk__in=[])
        for window in windows:
            in_time = Q(notice_version=window.notice, decided_at__gte=window.begins)
            if window.ends is not None:
                in_time &= Q(decided_at__lt=window.ends)
            given |= in_time
        return self.filter(given, purpose=purpose, choice=Choice.ALLOW)


class ProposalQuerySet(AppendOnlyQuerySet):
    """Region rules and notices: in force is only what needs no second person, or has one's approval."""

    def approved(self) -> "ProposalQuerySet":
        return self.filter(Q(needs_approval=False) | Q(review__verdict=ReviewVerdict.APPROVED))

    def waiting(self) -> "ProposalQuerySet":
        return self.filter(needs_approval=True, review__isnull=True)
