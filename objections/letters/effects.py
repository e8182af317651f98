"""The effects of a letter: what waits for it takes effect once it is sent, and is undone when it comes back.

A restriction waits longer: until the outcome letter counts as delivered (`delivery`).
"""

import datetime as dt
import itertools
from collections.abc import Callable

import structlog
from django.db.models import Q

from ledger import clock, entries, open_entry
from ledger.errors import Refusal
from objections.choices import (
    OUTCOME_LETTERS,
    Delivery,
    Effect,
    LetterKind,
    LetterState,
    Outcome,
    TicketState,
)
from objections.clock import deadlines
from objections.clock.days import day_of, today
from objections.errors import LetterNotSent
from objections.letters import composing, delivery
from objections.models import Letter, LetterText, Objection, Ticket
from objections.redaction import keeping as redaction
from objections.ticket import inherited
from objections.ticket.clocks import clock_of, keep_clock
from objections.ticket.states import locked, move, take_back_extension

logger = structlog.get_logger(__name__)

POSTMAN = "system:delivery"
DELIVERED, PUT_OFF = "objection.answer_delivered", "objection.delivery_put_off"


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
    elif letter.kind in OUTCOME_LETTERS:
        if ticket.delivered_at is None:
            _count_answer(ticket)
        ticket.save()
        if ticket.delivered_at is not None:
            _lift(ticket)


def _count_answer(ticket: Ticket) -> None:
    """Says of a ticket when it was answered and when that counts as delivered, by the letters that are out."""
    out = _outcome_letters_out(ticket)
    ticket.answered_at = min((one.sent_at for one in out if one.sent_at), default=None)
    moment = min((delivery.counts_from(one, ticket.country or "") for one in out), default=None)
    is_on_its_way = moment is not None and moment > open_entry.current().recorded_at
    ticket.delivers_at = moment if is_on_its_way else None
    ticket.delivered_at = None if is_on_its_way else moment


def _outcome_letters_out(ticket: Ticket) -> list[Letter]:
    """The outcome letters that were sent and did not come back, also those of tickets that were decided with it."""
    group = ticket.linked_to_id or ticket.pk
    letters = Letter.objects.filter(
        Q(ticket=ticket.pk) | Q(ticket=group) | Q(ticket__linked_to=group),
        kind__in=OUTCOME_LETTERS,
        state=LetterState.SENT,
    )
    return [one for one in letters if one.ticket_id == ticket.pk or ticket.reference in one.also]


# --- Once it counts as delivered ----------------------------------------------------------------


def count_delivered(only: Ticket | None = None) -> int:
    """Let the outcome letters count as delivered whose days are over; returns of how many tickets.

    One that fails keeps no other waiting.
    """
    if not entries.clocks_agree():
        # Nothing that ends a restriction can be recorded.
        return 0
    over = Ticket.objects.filter(delivers_at__lte=clock.now())
    if only is not None:
        over = over.filter(pk=only.pk)
    count = 0
    for ticket in list(over.order_by("delivers_at", "pk")):
        try:
            count += _count_delivered(ticket)
        except Refusal as error:
            logger.error("restriction not lifted", ticket=ticket.reference, error=error.code)
    return count


def _count_delivered(ticket: Ticket) -> bool:
    """Whether the answer counts as delivered now. Asked again under the lock: the letter may have come back."""
    with entries.entry(DELIVERED, actor=POSTMAN, subject=ticket.reference) as opened:
        row = locked(ticket)
        if row.delivers_at is None or row.delivers_at > opened.recorded_at:
            opened.abandon()
            return False
        _count_answer(row)
        row.save()
        if row.delivered_at is None:
            # Stricter days were recorded meanwhile.
            opened.kind = PUT_OFF
            return False
        _lift(row)
    return True


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
            inherited.follow_effects(duplicate.ticket)
    redaction.follow(ticket)
    inherited.follow_effects(ticket)


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
    elif letter.kind in OUTCOME_LETTERS:
        _count_answer(ticket)
        ticket.save()
        if ticket.delivered_at is None:
            _restrict_again(ticket)


def _restrict_again(ticket: Ticket) -> None:
    """Keeps the restriction: the letter did not inform the person, and only a letter ends it (GDPR Art. 18(3))."""
    for objection in ticket.objections.select_for_update().filter(effect=Effect.RESTRICTION_LIFTED):
        objection.effect = Effect.RESTRICTING
        objection.restricts_since = _lifted_at(objection)
        objection.save()
    redaction.follow(ticket)
    inherited.follow_effects(ticket)


def _lifted_at(objection: Objection) -> dt.datetime:
    """The moment at which the restriction of a lifted objection ended, from its history."""
    rows = Objection.history.filter(id=objection.pk).order_by("-entry_id")
    effects = rows.values_list("effect", "entry__recorded_at")
    lifted = itertools.takewhile(lambda row: row[0] == Effect.RESTRICTION_LIFTED, effects)
    return min(moment for _, moment in lifted)
