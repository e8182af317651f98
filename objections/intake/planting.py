"""Objections that keep test accounts out."""

from collections.abc import Iterable

from consent.models import Member
from ledger import entries, open_entry
from ledger.references import next_reference
from objections.models import Objection, Ticket


def keep_out(
    *, member: Member, purposes: Iterable[str], effect: str, actor: open_entry.Actor
) -> Ticket:
    """Give a test account objections in effect. Its ticket is never worked: it has no state and no clock."""
    with entries.entry("canary.objection_filed", actor=actor) as opened:
        ticket = Ticket(
            reference=next_reference("OBJ", opened.recorded_at.year),
            member=member,
            received_at=opened.recorded_at,
        )
        ticket.save()
        opened.subject = ticket.reference
        for purpose in purposes:
            Objection(ticket=ticket, purpose=purpose, effect=effect).save()
    return ticket
