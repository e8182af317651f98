"""Candidates: accounts that an objection may be about. All of them are out until an officer has chosen.

Each has a ticket of its own without a state (`Ticket.stands_for`), so that whatever asks who is out finds its objections.
"""

from django.db.models import QuerySet

from objections.choices import Effect, FoundBy
from objections.models import Objection, Ticket
from objections.ticket import inherited


def of(ticket: Ticket) -> QuerySet[Ticket]:
    """The stand-ins of a ticket whose accounts are still out because of it."""
    found: QuerySet[Ticket] = ticket.stand_ins.candidates().order_by("pk")
    return found


def add(ticket: Ticket, number: int, found_by: FoundBy | None) -> None:
    """One more account is out of what the ticket names. Needs an open entry; again it changes nothing."""
    if number == ticket.member_id or of(ticket).filter(member=number).exists():
        return
    row = Ticket(
        reference=f"{ticket.reference}-{ticket.stand_ins.count() + 1}",
        member_id=number,
        received_at=ticket.received_at,
        found_by=found_by,
        stands_for=ticket,
    )
    row.save()
    Objection.objects.save_all(
        [
            Objection(ticket=row, purpose=purpose)
            for purpose in ticket.objections.order_by("purpose").values_list("purpose", flat=True)
        ]
    )
    inherited.follow(row, is_new=True)


def lift(ticket: Ticket) -> int:
    """The accounts are out because of the ticket no more; returns of how many. Needs an open entry."""
    found = list(of(ticket))
    for row in found:
        for objection in row.objections.filter(effect=Effect.RESTRICTING):
            objection.effect = Effect.RESTRICTION_LIFTED
            objection.save()
        inherited.follow(row)
    return len(found)
