"""Code that correcting the receipt and correcting the country share: computing the clock anew, informing the person."""

import datetime as dt

from objections.choices import LetterKind, LetterState
from objections.clock import deadlines
from objections.letters import composing
from objections.models import Ticket
from objections.ticket.case import Case

TOLD_ANEW = (
    "A person who was told another day is told the new one. An extension notice that is not out yet is called off: it"
    " can be written anew where the clock still allows it."
)


def dates(ticket: Ticket) -> tuple[dt.date | None, dt.date | None]:
    """The days that letters tell."""
    return ticket.due_on, ticket.refuse_by


def call_off_extension(ticket: Ticket) -> None:
    """A notice that is not out names days of the clock as it was; it may be written anew. The caller saves the ticket."""
    if composing.cancel(ticket, LetterKind.EXTENSION):
        ticket.extension_reason = None


def tell_anew(case: Case, told: tuple[dt.date | None, dt.date | None]) -> None:
    """Acknowledge once more, with the day as it is now, where the person was told another one."""
    ticket = case.ticket
    if dates(ticket) == told or ticket.erased_at:
        return
    was_told = ticket.letters.filter(
        kind__in=[LetterKind.ACKNOWLEDGEMENT, LetterKind.EXTENSION], state=LetterState.SENT
    ).exists()
    was_about_to = composing.cancel(ticket, LetterKind.ACKNOWLEDGEMENT)
    # A person who must confirm an address first learns the day once they have confirmed.
    was_asked = ticket.letters.filter(kind=LetterKind.CONFIRMATION).exists()
    is_asked = was_asked and not composing.is_proven(ticket)
    if (was_told or was_about_to) and not is_asked:
        composing.queue(case, LetterKind.ACKNOWLEDGEMENT)


def explained(ticket: Ticket, clock: deadlines.Clock) -> list[str]:
    return deadlines.explained(clock, is_extended=ticket.extended_on is not None)
