"""The entry of an act on a ticket, and the outcome that waits on it."""

from contextlib import AbstractContextManager

from ledger import entries, open_entry
from objections.models import Proposal, Ticket


def recorded(
    kind: str, ticket: Ticket, actor: open_entry.Actor, *, reason: str = ""
) -> AbstractContextManager[open_entry.OpenEntry]:
    """The ledger entry of an act on a ticket."""
    return entries.entry(kind, actor=actor, subject=ticket.reference, reason=reason)


def waiting_proposal(ticket: Ticket) -> Proposal | None:
    """The outcome of the ticket that waits for a second person."""
    found: Proposal | None = (
        Proposal.objects.waiting().filter(ticket=ticket).select_related("proposed_by").first()
    )
    return found
