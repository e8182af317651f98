"""The officer who has a ticket."""

from django.contrib.auth.models import User

from objections.models import Ticket
from objections.querysets import working_officers


def officer_of(ticket: Ticket) -> User | None:
    """The officer who has the ticket. An account that was closed or lost the role has no tickets any more."""
    assignee = ticket.assignee
    if assignee is None:
        return None
    known = getattr(ticket, "has_no_officer", None)
    if known is None:
        known = not working_officers().filter(pk=assignee.pk).exists()
    return None if known else assignee


def officer_in_words(ticket: Ticket) -> str:
    """The officer's name, or that the ticket is unassigned and who had it."""
    if officer := officer_of(ticket):
        return officer.get_username()
    if ticket.assignee is None:
        return "unassigned"
    return f"unassigned: {ticket.assignee.get_username()} works no tickets any more"


def work_of(person: User) -> str:
    """For the person's account page: how many open tickets they have, and what becomes of them. Empty without any."""
    count = Ticket.objects.open().of(person).count()
    if not count:
        return ""
    # A message begins with a capital letter, and a name must not get one.
    tickets = f"{count:,} open ticket{'' if count == 1 else 's'} of {person.get_username()}"
    is_one = count == 1
    if working_officers().filter(pk=person.pk).exists():
        return (
            f"{tickets} {'returns' if is_one else 'return'} to Unassigned when the account is closed"
            " or loses its role."
        )
    return f"{tickets} {'is' if is_one else 'are'} in Unassigned: the account works no tickets any more."
