"""The questions asked of tickets, objections and letters."""

import datetime as dt
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from ledger.append_only import AppendOnlyQuerySet
from ledger.models import TrackedQuerySet
from objections.choices import (
    ABUSE,
    DUPLICATE,
    OPEN_STATES,
    UNPROVEN,
    ChangeKind,
    ChangeVerdict,
    Effect,
    FoundBy,
    LetterState,
    Outcome,
    RedactionState,
    Regime,
    TicketState,
)
from objections.clock.deadlines import TARGET_DAYS, UK_ARTICLE_12A

# Conditions over open tickets, for the querysets below and for counting several at once.
WAITING_FOR_THE_PERSON = Q(state=TicketState.IDENTITY_CHECK) | Q(
    state=TicketState.RECEIVED,
    is_authenticated=False,
    confirmed_at__isnull=True,
    channel__in=UNPROVEN,
    # Tickets that were set aside got no letter.
    is_set_aside=False,
)

ADDRESS_PROVEN = (
    Q(confirmed_at__isnull=False) | Q(identified_at__isnull=False) | ~Q(channel__in=UNPROVEN)
)
"""The condition of `letters.is_address_proven`, as a query."""


RETURNED_DAYS = 30
"""So long a change that was sent back stands on its author's start page, unless it is proposed again before."""


def paused() -> Q:
    """An identity request stops the clock: what `deadlines.is_paused_by_identity` says, by the columns.

    While it is open a European ticket's target is `TARGET_DAYS` after receipt, whose day is no column.
    """
    late_by = dt.timedelta(days=TARGET_DAYS - settings.IDENTITY_PROMPT_DAYS)
    asked = Q(state=TicketState.IDENTITY_CHECK, identity_asked_on__lte=F("due_on"))
    is_prompt = Q(
        regime__in=[Regime.EU, Regime.UK], identity_asked_on__lte=F("target_on") - late_by
    )
    zone = ZoneInfo(settings.CONTROLLER_TIME_ZONE)
    since = dt.datetime.combine(UK_ARTICLE_12A, dt.time.min, zone)
    return asked & (is_prompt | Q(regime=Regime.UK, received_at__gte=since))


def working_officers() -> QuerySet[User]:
    """People who can work tickets now: active, and in the role."""
    return User.objects.with_perm(
        "objections.work_ticket",
        include_superusers=False,
    )


def without_officer() -> Q:
    """Tickets that no officer has: assigned to no account, or to one that was closed or lost the role."""
    return Q(assignee__isnull=True) | ~Q(assignee__in=working_officers().values("pk"))


def candidates() -> QuerySet[Any]:
    """The tickets that keep out one more account which the ticket outside may be about."""
    tickets = apps.get_model("objections", "Ticket")._default_manager
    return tickets.filter(
        ~Q(found_by=FoundBy.HEIR), Exists(_restricting()), stands_for=OuterRef("pk")
    )


def _restricting() -> QuerySet[Any]:
    objections = apps.get_model("objections", "Objection").objects
    return objections.filter(ticket=OuterRef("pk"), effect=Effect.RESTRICTING)


def overdue(today: dt.date) -> Q:
    return Q(due_on__lt=today) & ~paused()


def ending() -> Case:
    """The ending of a closed ticket, one of `ENDINGS`; the state of an open one. `Ticket.ending` is the same for one row."""
    objections = apps.get_model("objections", "Objection").objects
    examined = objections.filter(ticket=OuterRef("pk")).exclude(outcome=Outcome.DUPLICATE)
    return Case(
        When(closed_at__isnull=False, is_set_aside=True, then=Value(ABUSE)),
        When(Q(state=TicketState.REFUSED) & ~Exists(examined), then=Value(DUPLICATE)),
        default=F("state"),
        output_field=CharField(),
    )


class TicketQuerySet(TrackedQuerySet):
    def worked(self) -> "TicketQuerySet":
        """Tickets of people; not those that keep test accounts out."""
        return self.filter(state__isnull=False)

    def open(self) -> "TicketQuerySet":
        # Said twice: the index of the queue has this condition.
        return self.filter(state__isnull=False, closed_at__isnull=True)

    def closed(self) -> "TicketQuerySet":
        return self.filter(state__isnull=False, closed_at__isnull=False)

    def of(self, officer: Any) -> "TicketQuerySet":
        return self.filter(assignee=officer)

    def unassigned(self) -> "TicketQuerySet":
        """Tickets that no officer has."""
        return self.filter(without_officer())

    def with_officer_known(self) -> "TicketQuerySet":
        """With `has_no_officer`, which spares `moves.officer_of` a question for each ticket of a list."""
        known = Case(When(without_officer(), then=True), default=False)
        return self.annotate(has_no_officer=known)

    def ended_as(self, ending_word: str) -> "TicketQuerySet":
        """Tickets that ended so, or that are in the open state of this name."""
        return self.annotate(ended=ending()).filter(ended=ending_word)

    def waiting_for_the_person(self) -> "TicketQuerySet":
        """Asked who they are, or for a click on our link, and not answered yet."""
        return self.open().filter(WAITING_FOR_THE_PERSON)

    def overdue(self, today: dt.date) -> "TicketQuerySet":
        """Past their date. An identity request that pauses the clock moves the date only once it is answered."""
        return self.open().filter(overdue(today))

    def reaching_no_account(self, purpose: str) -> "TicketQuerySet":
        """Open objections to the purpose that keep no account out, but for those of people who have none."""
        standing = apps.get_model("objections", "Objection").objects.filter(
            ticket=OuterRef("pk"), purpose=purpose, effect=Effect.RESTRICTING
        )
        return self.open().filter(
            ~Exists(candidates()), Exists(standing), member=None, without_account_at=None
        )

    def candidates(self) -> "TicketQuerySet":
        """Of stand-ins, those of accounts that may be meant and are out."""
        return self.keeping_out().filter(~Q(found_by=FoundBy.HEIR))

    def keeping_out(self) -> "TicketQuerySet":
        """Tickets whose account is still out while they are examined."""
        return self.filter(Exists(_restricting()))

    def due_between(self, first: dt.date, last: dt.date) -> "TicketQuerySet":
        """Due on these days; without those whose clock stands still."""
        return self.open().filter(~paused(), due_on__range=(first, last))


class ObjectionQuerySet(TrackedQuerySet):
    def save_all(self, rows: Sequence[Any]) -> None:
        for row in rows:
            # As `Objection.save`.
            row.follow_ticket()
        super().save_all(rows)

    def restricting(self, purpose: str) -> "ObjectionQuerySet":
        """Objections being examined: the member is out from receipt (GDPR Art. 18(1)(d))."""
        return self.filter(purpose=purpose, effect=Effect.RESTRICTING)

    def upheld(self, purpose: str) -> "ObjectionQuerySet":
        return self.filter(purpose=purpose, effect=Effect.UPHELD)


class ProposedOutcomeQuerySet(AppendOnlyQuerySet):
    def waiting(self) -> "ProposedOutcomeQuerySet":
        """Not decided by a second person, on a ticket that is still open."""
        return self.filter(approval__isnull=True, ticket__state__in=OPEN_STATES)

    def returned(self) -> "ProposedOutcomeQuerySet":
        """Sent back by a second person, on a ticket for which nothing was proposed or decided since.

        Who takes back a proposal of their own knows it, and nothing came back to them.
        """
        later = self.model._default_manager.filter(ticket=OuterRef("ticket"), pk__gt=OuterRef("pk"))
        return (
            self.filter(approval__verdict=ChangeVerdict.RETURNED, ticket__state__in=OPEN_STATES)
            .exclude(approval__reviewer=F("proposed_by"))
            .exclude(Exists(later))
        )

    def returned_to(self, officer: Any) -> "ProposedOutcomeQuerySet":
        """Returned, and the officer's to mend: their own, and those of authors who work tickets no more."""
        return self.returned().filter(
            Q(proposed_by=officer) | ~Q(proposed_by__in=working_officers().values("pk"))
        )


class ProposedChangeQuerySet(AppendOnlyQuerySet):
    def waiting(self) -> "ProposedChangeQuerySet":
        """Not decided by a second person. An erasure is, once the words are gone."""
        return self.filter(review__isnull=True).exclude(self._of_erased())

    def returned_to(self, officer: Any) -> "ProposedChangeQuerySet":
        """Sent back to an officer in the last days, and nothing was proposed for the subject since.

        A proposal of an author who is no longer an officer goes back to every officer.
        """
        since = timezone.now() - dt.timedelta(days=RETURNED_DAYS)
        later = self.model._default_manager.filter(
            kind=OuterRef("kind"), subject=OuterRef("subject"), pk__gt=OuterRef("pk")
        )
        return (
            self.filter(
                Q(proposed_by=officer) | ~Q(proposed_by__in=working_officers().values("pk")),
                review__verdict=ChangeVerdict.RETURNED,
                review__entry__recorded_at__gt=since,
            )
            .exclude(review__reviewer=F("proposed_by"))
            .exclude(Exists(later))
            .exclude(self._of_erased())
        )

    def _of_erased(self) -> Q:
        tickets = apps.get_model("objections", "Ticket")._default_manager
        erased = tickets.filter(reference=OuterRef("subject"), erased_at__isnull=False)
        return Q(Exists(erased), kind=ChangeKind.ERASURE)


class LetterQuerySet(TrackedQuerySet):
    def waiting(self) -> "LetterQuerySet":
        return self.filter(state=LetterState.WAITING)

    def failed(self) -> "LetterQuerySet":
        return self.filter(state=LetterState.FAILED)


class RedactionQuerySet(TrackedQuerySet):
    def holding(self) -> "RedactionQuerySet":
        return self.filter(state=RedactionState.HOLDING)

    def lent_for(self, purpose: str) -> "RedactionQuerySet":
        """Entries that a preparation for the purpose applies, by number."""
        objections = apps.get_model("objections", "Objection").objects
        standing = objections.filter(
            ticket=OuterRef("ticket"), member=None, purpose=purpose
        ).exclude(effect=Effect.RESTRICTION_LIFTED)
        return self.holding().filter(Exists(standing), is_weak=False).order_by("pk")

    def too_weak(self) -> "RedactionQuerySet":
        """Entries for which an officer must find a value that identifies a person."""
        return self.holding().filter(is_weak=True)
