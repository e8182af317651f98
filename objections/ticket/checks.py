"""What every act on a ticket asks first, and the entry it is recorded in."""

from contextlib import AbstractContextManager

from ledger import entries, open_entry
from objections.errors import AlreadyProposed, NotAllowedHere, WordsErased
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


def check_undecided(ticket: Ticket) -> None:
    """Nothing else is decided while an outcome waits."""
    if waiting_proposal(ticket):
        raise AlreadyProposed(
            f"An outcome of {ticket} waits for a second person: it is approved or sent back first."
        )


def check_writable(ticket: Ticket) -> None:
    """Nobody is written to before a person has looked at what a flood set aside."""
    if ticket.is_set_aside:
        raise NotAllowedHere(
            f"{ticket} was set aside: release it first, so that it may be answered."
        )


def check_not_erased(ticket: Ticket) -> None:
    if ticket.erased_at:
        raise WordsErased(f"The personal data of {ticket} is erased: nothing is added to it.")
