"""The due day of a ticket's answer, in words for the officer who works it."""

import datetime as dt
from dataclasses import dataclass

from objections.choices import UNPROVEN, TicketState
from objections.clock import deadlines
from objections.clock.days import day_of
from objections.models import Ticket
from objections.ticket import clocks

SOON_DAYS = 7


@dataclass(frozen=True)
class Due:
    """`tone` is "", "good", "warning" or "danger" and only repeats what the words say."""

    words: str
    tone: str = ""
    also: tuple[str, ...] = ()
    """Further facts about the dates, each in a few words."""


def due(ticket: Ticket, today: dt.date) -> Due:
    """The clock of a worked ticket on the day `today` in the controller's time zone."""
    assert ticket.due_on is not None
    if ticket.answered_at is not None:
        return _answered(ticket, day_of(ticket.answered_at), today)
    if not ticket.is_open:
        return _decided(ticket, today)
    clock = clocks.clock_of(ticket)
    asked_on = ticket.identity_asked_on
    if ticket.state == TicketState.IDENTITY_CHECK and asked_on and clocks.is_paused(ticket, clock):
        return Due(
            f"clock paused: identity asked {in_words(asked_on, today)}",
            also=tuple(_silence(asked_on, today)),
        )
    words, tone = _until(ticket.due_on, today)
    return Due(words, tone, tuple(_also(ticket, clock, today)))


def answered_in_time(ticket: Ticket) -> bool | None:
    """Whether the outcome letter left by its day: a refusal has its own. None while none was sent."""
    if ticket.answered_at is None:
        return None
    return day_of(ticket.answered_at) <= last_day(ticket)


def in_words(day: dt.date, today: dt.date) -> str:
    """5 April; with the year where it is another one."""
    words = f"{day.day} {day:%B}"
    return words if day.year == today.year else f"{words} {day.year}"


def last_day(ticket: Ticket) -> dt.date:
    """The last day for the outcome letter; of an open ticket, for any answer."""
    is_refusal = ticket.state in (TicketState.REFUSED, TicketState.PARTLY_UPHELD)
    day = ticket.refuse_by if is_refusal else ticket.due_on
    assert day is not None
    return day


def _answered(ticket: Ticket, day: dt.date, today: dt.date) -> Due:
    words = f"answered on {in_words(day, today)}"
    late = (day - last_day(ticket)).days
    if late > 0:
        return Due(f"{words}, {_days(late)} late", "danger")
    return Due(words, "good")


def _decided(ticket: Ticket, today: dt.date) -> Due:
    if ticket.is_closed_as_abuse:
        return Due("closed as abuse: no letter")
    if ticket.erased_at is not None:
        return Due("closed, erased before an answer")
    words, tone = _until(last_day(ticket), today)
    return Due(f"decided, letter not sent: {words}", tone or "warning")


def _until(day: dt.date, today: dt.date) -> tuple[str, str]:
    left = (day - today).days
    if left < 0:
        return f"overdue since {_ago(day, today)}", "danger"
    if left == 0:
        return "due today", "danger"
    return f"{_days(left)} left", "warning" if left <= SOON_DAYS else ""


def _ago(day: dt.date, today: dt.date) -> str:
    ago = (today - day).days
    if ago == 1:
        return "yesterday"
    # A week later the name of the day would be today's.
    return f"{day:%A}" if ago < 7 else in_words(day, today)


def _also(ticket: Ticket, clock: deadlines.Clock, today: dt.date) -> list[str]:
    assert ticket.due_on and ticket.refuse_by and ticket.target_on
    found = []
    if ticket.state == TicketState.IDENTITY_CHECK:
        asked_on = ticket.identity_asked_on
        if asked_on is None:
            found.append("identity request not sent yet")
        else:
            found.append(f"identity asked {in_words(asked_on, today)}, the clock runs on")
    elif _is_unconfirmed(ticket):
        found.append("e-mail not confirmed")
    if ticket.refuse_by < ticket.due_on:
        by = in_words(ticket.refuse_by, today)
        found.append(
            f"refuse by {by}"
            if today <= ticket.refuse_by
            else f"the deadline for refusing was {by}"
        )
    if today > ticket.due_on or ticket.extended_on is not None:
        return found
    if clock.alarm and today > clock.alarm:
        found.append(f"past the strictest reading: {in_words(clock.alarm, today)}")
    elif clock.alarm and (clock.alarm - today).days <= SOON_DAYS:
        found.append(f"strictest reading: {in_words(clock.alarm, today)}")
    if ticket.target_on < today:
        found.append(f"past internal target of {in_words(ticket.target_on, today)}")
    return found


def _is_unconfirmed(ticket: Ticket) -> bool:
    return (
        ticket.state == TicketState.RECEIVED
        and ticket.channel in UNPROVEN
        and not ticket.is_authenticated
        and ticket.confirmed_at is None
        and not ticket.is_set_aside
    )


def _silence(asked_on: dt.date, today: dt.date) -> list[str]:
    closable_on = asked_on + dt.timedelta(days=deadlines.IDENTITY_WAIT_DAYS)
    if today >= closable_on:
        return [f"no answer in {deadlines.IDENTITY_WAIT_DAYS} days: may be closed"]
    return [f"may be closed unanswered from {in_words(closable_on, today)}"]


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"
