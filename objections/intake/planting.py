"""Objections that keep test accounts out."""

from consent.models import Member
from ledger import entries, open_entry
from ledger.references import next_reference
from objections.choices import Effect
from objections.models import Objection, Ticket


def keep_out(*, member: Member, purpose: str, effect: Effect, actor: open_entry.Actor) -> Objection:
    """Give a test account an objection in effect. Nobody works its ticket: it has no state and no clock."""
    with entries.entry("canary.objection_filed", actor=actor) as opened:
        ticket = Ticket(
            reference=next_reference("OBJ", opened.recorded_at.year, Ticket),
            member=member,
            received_at=opened.recorded_at,
        )
        ticket.save()
        opened.subject = ticket.reference
        objection = Objection(ticket=ticket, purpose=purpose, effect=effect)
        objection.save()
    return objection
