"""A ticket's clock: kept as it was computed, computed anew only by an act that changes what it counts."""

import datetime as dt

from django.conf import settings

from objections.choices import TicketState
from objections.clock import deadlines
from objections.models import Ticket


def clock_of(ticket: Ticket) -> deadlines.Clock:
    """The clock as it was computed and kept: a later calendar fix moves nothing."""
    assert ticket.clock is not None
    return deadlines.Clock.from_json(ticket.clock)


def keep_clock(ticket: Ticket, clock: deadlines.Clock) -> None:
    """Keep the computed dates. An extension counts only if its notice left before the first deadline, as it is now."""
    ticket.clock = clock.as_json()
    ticket.target_on = clock.target
    ticket.due_on, ticket.refuse_by = clock.base_due, clock.refuse_by
    if ticket.extended_on and ticket.extended_on <= clock.base_due:
        ticket.due_on = clock.extended_due or clock.base_due
        ticket.refuse_by = clock.refuse_by_extended or clock.refuse_by


def is_paused(ticket: Ticket, clock: deadlines.Clock) -> bool:
    """Whether the clock stands still while the person answers who they are."""
    if ticket.state != TicketState.IDENTITY_CHECK or ticket.identity_asked_on is None:
        return False
    was_prompt = deadlines.is_prompt(
        clock.receipt_date, ticket.identity_asked_on, within_days=settings.IDENTITY_PROMPT_DAYS
    )
    return deadlines.is_paused_by_identity(
        clock, asked_on=ticket.identity_asked_on, was_prompt=was_prompt
    )


def pause_in_words(ticket: Ticket, clock: deadlines.Clock) -> str:
    """The effect of an open identity request on the clock; empty where none is open."""
    if ticket.state != TicketState.IDENTITY_CHECK:
        return ""
    if ticket.identity_asked_on is None:
        return "Identity is asked for once the letter is sent; until then the clock runs."
    runs = (
        "the clock stands still until the answer"
        if is_paused(ticket, clock)
        else "the clock runs on"
    )
    return f"Identity was asked for on {deadlines.in_words(ticket.identity_asked_on)}: {runs}."


def clock_after_identity(ticket: Ticket, on: dt.date) -> deadlines.Clock:
    """The clock of a ticket whose identity request came to an end on that day."""
    clock = clock_of(ticket)
    assert ticket.identity_asked_on
    was_prompt = deadlines.is_prompt(
        clock.receipt_date, ticket.identity_asked_on, within_days=settings.IDENTITY_PROMPT_DAYS
    )
    return deadlines.answered(
        clock, asked_on=ticket.identity_asked_on, answered_on=on, was_prompt=was_prompt
    )


def clock_from(ticket: Ticket, received_at: dt.datetime) -> deadlines.Clock:
    """The clock the ticket would have, had it reached us then: identity requests and answers included."""
    assert ticket.regime
    clock = deadlines.start(
        received_at,
        ticket.regime,
        time_zone=settings.CONTROLLER_TIME_ZONE,
        country=ticket.country or "",
    )
    for pause in clock_of(ticket).pauses:
        was_prompt = deadlines.is_prompt(
            clock.receipt_date, pause.asked, within_days=settings.IDENTITY_PROMPT_DAYS
        )
        clock = deadlines.answered(
            clock, asked_on=pause.asked, answered_on=pause.answered, was_prompt=was_prompt
        )
    return clock
