"""Receiving and settling objections. The desk that works them builds on these two acts."""

import datetime as dt
from collections.abc import Collection

from consent.choices import Purpose
from consent.models import Member
from objections.choices import Effect
from objections.errors import AlreadySettled
from objections.models import Objection, Ticket
from portal import ledger, references
from portal.errors import InvalidInput


def receive(
    *,
    member: Member | None,
    purposes: Collection[str],
    received_at: dt.datetime,
    actor: ledger.Actor,
) -> Ticket:
    """Take an objection in. The restriction stands when this returns."""
    if not purposes or set(purposes) - set(Purpose.values):
        raise InvalidInput(f"One or more of {', '.join(Purpose.values)}.", field="purposes")
    with ledger.entry("objection.received", actor=actor) as entry:
        ticket = Ticket(
            reference=references.next_reference("OBJ", received_at.year, Ticket),
            member=member,
            received_at=received_at,
        )
        ticket.save()
        for purpose in sorted(purposes):
            Objection(ticket=ticket, purpose=purpose).save()
        entry.subject = ticket.reference
    return ticket


def settle(
    *, ticket: Ticket, purpose: str, effect: Effect, actor: ledger.Actor, reason: str
) -> Objection:
    """Give one purpose of a ticket its outcome: UPHELD keeps the member out for good, LIFTED ends the restriction."""
    with ledger.entry("objection.settled", actor=actor, subject=ticket.reference, reason=reason):
        objection = Objection.objects.select_for_update().get(ticket=ticket, purpose=purpose)
        if objection.effect != Effect.RESTRICTING:
            raise AlreadySettled(f"{ticket} is settled for {purpose}; an outcome is final.")
        objection.effect = effect
        objection.save()
    return objection
