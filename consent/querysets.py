"""The questions asked of members, choices and rules."""

import datetime as dt
from collections.abc import Collection
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

    def minors(self, on: dt.date) -> "MemberQuerySet":
        """Under 18 on that day."""
        return self.filter(adult_on__gt=on)

    def of_unknown_age(self) -> "MemberQuerySet":
        return self.filter(adult_on__isnull=True)

    def of_unknown_country(self) -> "MemberQuerySet":
        return self.filter(country=UNKNOWN)

    def in_countries(self, codes: Collection[str]) -> "MemberQuerySet":
        return self.filter(country__in=sorted(codes))


class ConsentQuerySet(models.QuerySet[Any]):
    def denied(self, purpose: str) -> "ConsentQuerySet":
        return self.filter(purpose=purpose, choice=Choice.DENY)

    def allowed(self, purpose: str, since: dt.date) -> "ConsentQuerySet":
        """Members who said yes on that day (UTC) or later.

        A yes from before consent was asked for is a setting left on, not consent (GDPR Art. 4(11), 7).
        """
        midnight = dt.datetime.combine(since, dt.time(), dt.UTC)
        return self.filter(purpose=purpose, choice=Choice.ALLOW, decided_at__gte=midnight)


class ProposalQuerySet(AppendOnlyQuerySet):
    """Region rules and notices: in force is only what needs no second person, or has one's approval."""

    def approved(self) -> "ProposalQuerySet":
        return self.filter(Q(needs_approval=False) | Q(review__verdict=ReviewVerdict.APPROVED))

    def waiting(self) -> "ProposalQuerySet":
        return self.filter(needs_approval=True, review__isnull=True)
