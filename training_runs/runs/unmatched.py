"""Objections that reach no account yet: whom they are about is unknown, so no freeze leaves their people out."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Min

from consent.choices import PolicyKind
from consent.rulebook import policies
from ledger import clock
from objections.models import Ticket

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Unmatched:
    """How many open objections to a purpose reach no account, and since when the oldest waits."""

    count: int
    oldest_received_at: dt.datetime | None
    max_days: int
    """The policy: none may be older when a run starts, unless its starter accepts them."""
    as_of: dt.datetime

    @property
    def oldest_days(self) -> int:
        """Whole days since the oldest was received."""
        if self.oldest_received_at is None:
            return 0
        return max(0, (self.as_of - self.oldest_received_at) // _DAY)

    @property
    def needs_acceptance(self) -> bool:
        oldest = self.oldest_received_at
        return oldest is not None and self.as_of - oldest > self.max_days * _DAY

    def __str__(self) -> str:
        if not self.count:
            return "No open objection to the purpose reaches no account."
        verb = (
            "objection to the purpose reaches"
            if self.count == 1
            else "objections to the purpose reach"
        )
        age = "today" if not self.oldest_days else f"{_days(self.oldest_days)} ago"
        which = "it was" if self.count == 1 else "the oldest was"
        return f"{self.count:,} open {verb} no account yet; {which} received {age}."

    def as_reason(self) -> dict[str, Any]:
        """The fields of a refused start."""
        return {
            "code": "unmatched_objections",
            "detail": str(self),
            "count": self.count,
            "oldest_received_at": self.oldest_received_at and _instant(self.oldest_received_at),
            "oldest_days": self.oldest_days,
            "max_days": self.max_days,
        }


def _days(count: int) -> str:
    return f"{count:,} day{'' if count == 1 else 's'}"


def _instant(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def of_purpose(purpose: str) -> Unmatched:
    """The open objections to a purpose that reach no account now."""
    found = Ticket.objects.reaching_no_account(purpose).aggregate(
        count=Count("pk"), oldest=Min("received_at")
    )
    return Unmatched(
        count=found["count"],
        oldest_received_at=found["oldest"],
        max_days=policies.in_force(PolicyKind.UNMATCHED_DAYS, purpose, clock.today()),
        as_of=clock.now(),
    )
