"""A ticket with everything that acts, letters and clocks ask about it, loaded once and passed on."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from django.db.models import QuerySet, prefetch_related_objects

from consent.choices import Purpose
from objections.choices import ChangeKind, TicketState
from objections.clock import deadlines
from objections.errors import AlreadyProposed, PersonalDataErased, WhyNot
from objections.models import (
    Attachment,
    Objection,
    Proposal,
    ProposedChange,
    Requester,
    Ticket,
)
from objections.ticket import clocks, two_person
from objections.ticket.incidents import FoundIncident, incidents_of
from objections.ticket.states import check_version, same_person

MAX_LINKED = 100
"""Linked tickets that come with a case: a flood can link thousands."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A ticket with its parts, which the functions below an act take instead of the ticket's key.

    The rows are the ones that the act changes, so every function sees their current values.
    """

    ticket: Ticket
    requester: Requester | None
    """The requester; None once their personal data is erased."""
    objections: tuple[Objection, ...]
    """By purpose."""
    proposal: Proposal | None
    """The outcome that waits for a second person."""
    attachments: tuple[Attachment, ...]
    incidents: tuple[FoundIncident, ...]
    """The runs that used the data after the objection had reached us."""

    @property
    def clock(self) -> deadlines.Clock:
        """As it is kept with the ticket now: an act may change it."""
        return clocks.clock_of(self.ticket)

    @cached_property
    def linked(self) -> tuple[Ticket, ...]:
        """Open tickets linked to it, the first one first, at most MAX_LINKED. Read by the few acts that ask."""
        found = same_person(self.ticket).filter(closed_at__isnull=True)
        return tuple(found.select_related("requester")[:MAX_LINKED])

    @cached_property
    def candidates(self) -> tuple[Ticket, ...]:
        """The stand-ins of further accounts that the ticket may be about, all of which are out."""
        return tuple(self.ticket.stand_ins.candidates().order_by("pk")[:MAX_LINKED])

    @cached_property
    def erasure(self) -> ProposedChange | None:
        """The erasure of its words that waits for a second person; only a closed ticket can have one."""
        if self.ticket.is_open or self.ticket.erased_at:
            return None
        return two_person.waiting(ChangeKind.ERASURE, self.ticket.reference)

    @property
    def purposes(self) -> list[str]:
        return [one.purpose for one in self.objections]

    @property
    def purposes_in_words(self) -> str:
        """In the order of the purposes themselves."""
        return ", ".join(purpose.label for purpose in Purpose if purpose in self.purposes)

    @property
    def is_in_review(self) -> bool:
        return self.ticket.state in (TicketState.IN_REVIEW, TicketState.EXTENDED)

    # --- What several rules say -----------------------------------------------------------------

    @property
    def why_undecided(self) -> str:
        """The reason that no other decision is possible: an outcome waits."""
        if self.proposal is None:
            return ""
        return WhyNot(
            f"An outcome of {self.ticket} waits for a second person: it is approved or sent back first.",
            AlreadyProposed,
        )

    @property
    def why_set_aside(self) -> str:
        """The reason that no letter is sent: a flood set the ticket aside, and no officer has looked at it yet."""
        if not self.ticket.is_set_aside:
            return ""
        return f"{self.ticket} was set aside: release it first, so that it may be answered."

    @property
    def why_not_written(self) -> str:
        """Why no letter can be sent to the person now."""
        if self.requester is None:
            return WhyNot(
                f"The personal data of {self.ticket} is erased: no letter can be sent.",
                PersonalDataErased,
            )
        return self.why_set_aside

    @property
    def why_nothing_is_added(self) -> str:
        """Why no words and no files are kept with the ticket any more."""
        if self.ticket.erased_at is None:
            return ""
        return WhyNot(
            f"The personal data of {self.ticket} is erased: nothing is added to it.",
            PersonalDataErased,
        )


def case_of(ticket: Ticket) -> Case:
    """The case of a ticket, to look at."""
    return cases_of([ticket])[0]


def cases_of(tickets: Iterable[Ticket]) -> list[Case]:
    """The cases of tickets in their order, by as many questions for many as for one."""
    rows = list(tickets)
    prefetch_related_objects(rows, "requester", "objections", "attachments")
    waiting = Proposal.objects.waiting().select_related("proposed_by")
    proposals = {one.ticket_id: one for one in waiting.filter(ticket__in=rows)}
    found = incidents_of([row.reference for row in rows])
    return [_case(row, proposals.get(row.pk), tuple(found.get(row.reference, ()))) for row in rows]


def locked_case(ticket: Ticket, version: int | None = None) -> Case:
    """The case as it is now, its ticket locked; needs an open entry. Raises StaleEdit as `states.locked` does."""
    (case,) = locked_cases(Ticket.objects.worked().filter(pk=ticket.pk))
    check_version(case.ticket, version)
    return case


def locked_cases(tickets: QuerySet[Ticket]) -> list[Case]:
    """The cases of tickets as they are now, locked, in the order of their numbers."""
    # What is joined may be missing, and PostgreSQL locks no row that is not there.
    rows = tickets.select_for_update(of=("self",))
    return cases_of(rows.select_related("requester", "assignee").order_by("pk"))


def _case(ticket: Ticket, proposal: Proposal | None, incidents: tuple[FoundIncident, ...]) -> Case:
    objections = sorted(ticket.objections.all(), key=lambda one: one.purpose)
    for objection in objections:
        # The very row that an act changes, not another copy of it.
        objection.ticket = ticket
    return Case(
        ticket=ticket,
        requester=getattr(ticket, "requester", None),
        objections=tuple(objections),
        proposal=proposal,
        attachments=tuple(ticket.attachments.all()),
        incidents=incidents,
    )
