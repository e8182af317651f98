"""The effects of a letter: what waits for it takes effect once it is sent, and is undone when it comes back."""

import datetime as dt
from collections.abc import Callable

from django.db.models import Q

from ledger import entries, open_entry
from objections.choices import Delivery, Effect, LetterKind, LetterState, Outcome, TicketState
from objections.clock import deadlines
from objections.clock.days import day_of, today
from objections.errors import LetterNotSent
from objections.letters import composing
from objections.models import Letter, LetterText, Ticket
from objections.redaction import keeping as redaction
from objections.ticket.clocks import clock_of, keep_clock
from objections.ticket.states import locked, move, take_back_extension

OUTCOMES = frozenset(
    {
        LetterKind.UPHELD,
        LetterKind.PARTLY_UPHELD,
        LetterKind.REFUSED,
        LetterKind.WITHDRAWN,
        LetterKind.CLOSED_UNIDENTIFIED,
        LetterKind.DUPLICATE,
    }
)


def why_gone(letter: Letter, on: dt.date | None = None) -> str:
    """Why a letter is not to be sent any more (or was not, on that day); empty when it is."""
    ticket = letter.ticket
    if letter.kind == LetterKind.EXTENSION:
        return _why_not_extended(letter, ticket, on or today())
    if letter.kind == LetterKind.IDENTITY_REQUEST:
        if ticket.state != TicketState.IDENTITY_CHECK:
            return "identity is not asked for any more"
        return deadlines.why_no_identity(ticket.regime)
    return ""


def _why_not_extended(letter: Letter, ticket: Ticket, on: dt.date) -> str:
    """Why a notice that leaves on that day extends nothing; empty when it does."""
    clock = clock_of(ticket)
    if ticket.state != TicketState.IN_REVIEW:
        return "the ticket is not in review any more"
    if clock.extended_due is None:
        return f"no extension exists under {ticket.get_regime_display()}"
    if letter.promised_on not in (None, clock.extended_due):
        return f"it names {letter.promised_on}, and the clock has changed since it was written"
    if on > clock.base_due:
        return "an extension counts only if its notice is sent before the first deadline"
    return ""


def refuse_letter(sentence: str) -> None:
    """Raises LetterNotSent with the sentence, if there is one."""
    if sentence:
        raise LetterNotSent(sentence)


# --- Once it is sent ----------------------------------------------------------------------------


def record_sent(
    letter: Letter,
    *,
    sent_at: dt.datetime,
    actor: open_entry.Actor,
    by_post: bool = False,
    why_not: Callable[[Letter], str] = lambda letter: "",
) -> Letter:
    """The letter is out: record it, and let take effect what waited for it, in one entry.

    Raises LetterNotSent with what `why_not` says of the letter under the lock.
    """
    reason = f"{letter.get_kind_display()}, by {'post' if by_post else 'e-mail'}"
    with entries.entry(
        "letter.sent", actor=actor, subject=letter.ticket.reference, reason=reason
    ) as opened:
        row: Letter = Letter.objects.select_for_update().get(pk=letter.pk)
        refuse_letter(why_not(row))
        if row.state not in composing.UNSENT:
            # Sent before, or called off while it was under way: it has no effect any more.
            opened.abandon()
            return row
        if by_post:
            _keep_postal_address(row)
        row.state = LetterState.SENT
        row.delivery = Delivery.POST if by_post else Delivery.EMAIL
        row.sent_at = sent_at
        row.save()
        for ticket in _answered_by(row):
            _take_effect(row, locked(ticket), day_of(sent_at))
    return row


def _answered_by(letter: Letter) -> list[Ticket]:
    """Its own ticket, and those that were decided together with it."""
    answered = Ticket.objects.filter(Q(pk=letter.ticket_id) | Q(reference__in=letter.also))
    return list(answered.order_by("pk"))


def _keep_postal_address(letter: Letter) -> None:
    """The address on the envelope: the person's current postal address."""
    requester = composing.requester_of(letter.ticket)
    if not requester.postal_address:
        raise LetterNotSent("No postal address is known: correct the address first.")
    LetterText.objects.filter(letter=letter).update(
        address=f"{requester.name}\n{requester.postal_address}".strip()
    )


def _take_effect(letter: Letter, ticket: Ticket, sent_on: dt.date) -> None:
    if letter.kind == LetterKind.IDENTITY_REQUEST:
        ticket.identity_asked_on = ticket.identity_asked_on or sent_on
        ticket.save()
    elif letter.kind == LetterKind.EXTENSION:
        # Asked again under the lock; too late for the mail, so that nothing may fail here.
        if not _why_not_extended(letter, ticket, sent_on):
            move(ticket, TicketState.EXTENDED)
            ticket.extended_on = sent_on
            keep_clock(ticket, clock_of(ticket))
            ticket.save()
    elif letter.kind in OUTCOMES:
        ticket.answered_at = ticket.answered_at or letter.sent_at
        ticket.save()
        _lift(ticket)


def _lift(ticket: Ticket) -> None:
    """End the restriction where the objection was not upheld (GDPR Art. 18(3): the person has been told)."""
    decided = ticket.objections.filter(effect=Effect.RESTRICTING, outcome__isnull=False)
    for objection in decided.exclude(outcome=Outcome.UPHELD):
        if objection.outcome == Outcome.DUPLICATE and not (
            composing.others_standing(objection) or composing.is_refused_elsewhere(objection)
        ):
            # What it repeated stands no more: the person would be in again without an answer of their own.
            continue
        objection.effect = Effect.RESTRICTION_LIFTED
        objection.save()
        for duplicate in composing.answered_duplicates(objection):
            # The letter of what it repeated is out now too: nothing else would ever end it.
            duplicate.effect = Effect.RESTRICTION_LIFTED
            duplicate.save()
            redaction.follow(duplicate.ticket)
    redaction.follow(ticket)


# --- When it comes back -------------------------------------------------------------------------


def undo(letter: Letter, copy: Letter | None) -> None:
    """Take back what the letter did to the tickets it answered, as far as no copy of it is out. Needs an open entry."""
    for ticket in _answered_by(letter):
        _undo(letter, locked(ticket), copy)


def _undo(letter: Letter, ticket: Ticket, copy: Letter | None) -> None:
    """Take back what the letter did to a ticket, as far as no copy of it is out."""
    if letter.kind == LetterKind.IDENTITY_REQUEST:
        ticket.identity_asked_on = day_of(copy.sent_at) if copy and copy.sent_at else None
        ticket.save()
    elif letter.kind == LetterKind.EXTENSION and copy is None:
        take_back_extension(ticket)
        keep_clock(ticket, clock_of(ticket))
        ticket.save()
    elif letter.kind in OUTCOMES:
        ticket.answered_at = copy.sent_at if copy else None
        ticket.save()
        if copy is None:
            _restrict_again(ticket)


def _restrict_again(ticket: Ticket) -> None:
    """Keeps the restriction: the letter did not inform the person, and only a letter ends it (GDPR Art. 18(3))."""
    for objection in ticket.objections.select_for_update().filter(effect=Effect.RESTRICTION_LIFTED):
        objection.effect = Effect.RESTRICTING
        objection.save()
    redaction.follow(ticket)
