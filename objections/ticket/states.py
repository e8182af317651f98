"""The moves between the states of a ticket, and the links between tickets of one person."""

from django.db.models import Q, QuerySet

from common.errors import StaleEdit
from ledger import open_entry
from objections.choices import AS_ABUSE, NEXT_STATES, TicketState
from objections.errors import ForbiddenMove, WhyNot, refuse
from objections.models import Ticket


def locked(ticket: Ticket, version: int | None = None) -> Ticket:
    """The ticket as it is now, locked; needs an open entry. Raises StaleEdit unless it is at the version its reader saw."""
    row: Ticket = Ticket.objects.worked().select_for_update().get(pk=ticket.pk)
    check_version(row, version)
    return row


def check_version(ticket: Ticket, version: int | None) -> None:
    """Raises StaleEdit unless the ticket is at the version its reader saw; without one, none was seen."""
    if version is not None and ticket.version != version:
        raise StaleEdit(f"{ticket} was changed in the meantime: look at it again.")


def why_no_move(ticket: Ticket, state: TicketState) -> str:
    """Why the map has no move to the state from here; empty when it has."""
    assert ticket.state is not None
    possible = NEXT_STATES[ticket.state]
    if possible and ticket.is_set_aside:
        possible |= {AS_ABUSE}
    if state in possible:
        return ""
    allowed = ", ".join(one.label for one in TicketState if one in possible)
    rest = (
        f"From here it can become: {allowed}."
        if allowed
        else "A closed ticket is not reopened: a new objection opens a new ticket."
    )
    return WhyNot(
        f"{ticket} is {ticket.get_state_display()} and cannot become {state.label}. {rest}",
        ForbiddenMove,
    )


def move(ticket: Ticket, state: TicketState) -> None:
    """The one place where a ticket changes state; the caller saves it."""
    refuse(why_no_move(ticket, state))
    ticket.state = state
    if not NEXT_STATES[state]:
        ticket.closed_at = open_entry.current().recorded_at


def take_back_extension(ticket: Ticket) -> None:
    """An extended ticket is in review again: the notice, without which it does not count, did not reach the person.

    Beside the map of states: nothing was decided, what was recorded as sent was not. The caller saves it.
    """
    if ticket.state != TicketState.EXTENDED:
        raise ForbiddenMove(f"{ticket} is {ticket.get_state_display()}: it is not extended.")
    ticket.state = TicketState.IN_REVIEW
    ticket.extended_on = None


def join_groups(ticket: Ticket, other: Ticket) -> bool:
    """Two tickets are one person's: the later group goes to the first ticket of the earlier one.

    False where they are in one group already. Needs an open entry. A ticket is linked to a first one, never to one
    that is linked itself.
    """
    heads = {one.linked_to or one for one in (ticket, other)}
    if len(heads) == 1:
        return False
    first, later = sorted(heads, key=lambda head: head.pk)
    for one in Ticket.objects.filter(Q(pk=later.pk) | Q(linked_to=later)).order_by("pk"):
        one.linked_to = first
        one.save()
    return True


def same_person(ticket: Ticket) -> QuerySet[Ticket]:
    """Tickets linked to it: sharing an address or naming the same account does not prove the same person."""
    group = ticket.linked_to_id or ticket.pk
    found: QuerySet[Ticket] = Ticket.objects.filter(Q(pk=group) | Q(linked_to=group)).exclude(
        pk=ticket.pk
    )
    return found.order_by("pk")


def effect_in_words(ticket: Ticket) -> str:
    """Whom an open ticket keeps out, in a sentence for officers."""
    if ticket.member_id is None:
        return "No account is matched yet, so no member is excluded."
    return "The member stays out of the purposes named."
