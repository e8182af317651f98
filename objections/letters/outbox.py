"""Sending letters, and what takes effect once one is out.

The letter's row is the queue; Celery is a hint. A letter may be sent twice when a worker dies at the wrong moment,
never not at all.
"""

import datetime as dt
import smtplib
import time
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F, Q
from django.utils import timezone

from common.mail import addresses
from common.processes import leases
from ledger import clock, entries, open_entry
from ledger.errors import InvalidInput
from objections.choices import Delivery, Effect, LetterKind, LetterState, Outcome, TicketState
from objections.clock import deadlines
from objections.clock.days import day_of, today
from objections.errors import LetterNotSent
from objections.letters import composing
from objections.models import Letter, LetterText, Ticket
from objections.ticket.clocks import clock_of, keep_clock
from objections.ticket.notes import must_say
from objections.ticket.states import locked, move, take_back_extension

logger = structlog.get_logger(__name__)

MAILER = "system:mailer"
MAX_ATTEMPTS = 8
"""With doubling waits the last one comes about four hours after the first."""
FIRST_WAIT = dt.timedelta(minutes=2)
"""Before a letter that could not be sent is tried again; doubled each time."""
_MAX_TIMEOUTS = 30
"""Steps of a talk to a mail server, from the connection to its last word, each of which may take EMAIL_TIMEOUT: about
a dozen are usual, more where its name has several addresses."""
CLAIM = dt.timedelta(seconds=_MAX_TIMEOUTS * settings.EMAIL_TIMEOUT)
"""How long a sending process holds a letter alone: longer than the slowest talk to the mail server."""
RETURNED = "it came back"
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


def send_due(*, seconds: float = 60) -> int:
    """Send what waits and may be tried now, the oldest first; returns how many letters left.

    Ends after a while, and at the first sign that the mail server is not there. One process at a time does this.
    """
    with leases.held("send letters") as is_ours:
        return _send_due(seconds) if is_ours else 0


def _send_due(seconds: float) -> int:
    if not entries.clocks_agree():
        # No letter that leaves now could be recorded, and it would leave again and again.
        return 0
    until = time.monotonic() + seconds
    waiting = Letter.objects.waiting().filter(
        delivery=Delivery.EMAIL, text__not_before__lte=timezone.now()
    )
    count = 0
    for letter_id in list(waiting.order_by("pk").values_list("pk", flat=True)[:1_000]):
        if time.monotonic() > until:
            break
        try:
            sent = send(letter_id)
        except Exception as error:  # whatever it is, the other letters must not wait for it
            logger.error("letter failed", letter=letter_id, error=type(error).__name__)
            continue
        count += sent is not None and sent.state == LetterState.SENT
        if sent is None and _server_is_gone(letter_id):
            LetterText.objects.filter(letter__in=waiting).update(
                not_before=timezone.now() + FIRST_WAIT
            )
            break
    return count


def oldest_unsent(now: dt.datetime) -> dt.timedelta | None:
    """How long the oldest letter that leaves by e-mail has waited; None when none waits."""
    waiting = Letter.objects.waiting().filter(delivery=Delivery.EMAIL).order_by("queued_at")
    queued_at = waiting.values_list("queued_at", flat=True).first()
    return now - queued_at if queued_at else None


def send(letter_id: int) -> Letter | None:
    """Send a waiting letter, once however often it is called; None when another process has it or it is not due.

    An error of the mail server is noted beside the letter, which is tried again later.
    """
    if not entries.clocks_agree():
        return None
    now = timezone.now()
    # One statement claims it, on every database; a process that dies with it loses it after a while.
    claimed = LetterText.objects.filter(
        letter=letter_id,
        letter__state=LetterState.WAITING,
        letter__delivery=Delivery.EMAIL,
        not_before__lte=now,
    ).update(attempts=F("attempts") + 1, not_before=now + CLAIM)
    if not claimed:
        return None
    letter: Letter = Letter.objects.select_related("ticket", "text").get(pk=letter_id)
    if letter.text.attempts > MAX_ATTEMPTS:
        # It was mailed, perhaps more than once, and could not be recorded.
        return _end(letter, LetterState.FAILED, "letter.failed", "sent perhaps, not recorded")
    if gone := _why_not(letter):
        return _cancel(letter, gone)
    try:
        _mail(letter)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        _note_failure(letter, error)
        return None
    return record_sent(letter, sent_at=clock.now(), actor=MAILER)


def _server_is_gone(letter_id: int) -> bool:
    """Whether the last attempt met no mail server, rather than one that refused this letter."""
    return LetterText.objects.filter(
        letter=letter_id, attempts__gt=0, last_error__in=_NO_SERVER
    ).exists()


_NO_SERVER = {
    error.__name__
    for error in (
        OSError,
        ConnectionError,
        ConnectionRefusedError,
        ConnectionResetError,
        TimeoutError,
        smtplib.SMTPConnectError,
        smtplib.SMTPServerDisconnected,
    )
} | {"gaierror"}


def _why_not(letter: Letter, on: dt.date | None = None) -> str:
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


def _mail(letter: Letter) -> None:
    domain = settings.CONTROLLER_CONTACT.rpartition("@")[2]
    EmailMessage(
        letter.text.subject,
        letter.text.body,
        to=[letter.text.address],
        headers={
            # The same each time: a letter sent twice can be recognised as one.
            "Message-ID": f"<{letter.ticket.reference}.{letter.pk}@{domain}>",
            "Auto-Submitted": "auto-generated",
        },
    ).send()


def _note_failure(letter: Letter, error: Exception) -> None:
    text = letter.text
    is_final = _is_for_good(error) or text.attempts >= MAX_ATTEMPTS
    wait = FIRST_WAIT * 2 ** (text.attempts - 1)
    # The server's own words may repeat the address.
    LetterText.objects.filter(letter=letter).update(
        last_error=type(error).__name__, not_before=timezone.now() + wait
    )
    logger.error("letter not sent", letter=letter.pk, error=type(error).__name__)
    if is_final:
        _end(letter, LetterState.FAILED, "letter.failed", type(error).__name__)


def _is_for_good(error: Exception) -> bool:
    """A mailbox that does not exist, or an address the server cannot serve: the letter can go by post.

    A server that asks to come back later (4xx) is asked again.
    """
    if isinstance(error, smtplib.SMTPNotSupportedError | addresses.NoAddress):
        return True
    return isinstance(error, smtplib.SMTPRecipientsRefused) and all(
        code >= 500 for code, _ in error.recipients.values()
    )


def _cancel(letter: Letter, reason: str) -> Letter:
    return _end(letter, LetterState.CANCELLED, "letter.cancelled", reason)


def _end(letter: Letter, state: LetterState, kind: str, reason: str) -> Letter:
    reason = f"{letter.get_kind_display()}: {reason}"
    with entries.entry(
        kind, actor=MAILER, subject=letter.ticket.reference, reason=reason
    ) as opened:
        row: Letter = Letter.objects.select_for_update().get(pk=letter.pk)
        if row.state != LetterState.WAITING:
            opened.abandon()
            return row
        row.state = state
        row.save()
    return row


def try_again(*, letter: Letter, actor: open_entry.Actor) -> Letter:
    """Put a letter that could not be sent back into the queue, to the address the requester has now.

    In the place of a confirmation comes a new one: its link may have run out, and is for one address only.
    """
    with entries.entry("letter.requeued", actor=actor, subject=letter.ticket.reference):
        row: Letter = Letter.objects.select_for_update().get(pk=letter.pk)
        if row.state != LetterState.FAILED:
            raise LetterNotSent(
                f"The letter is {row.get_state_display()}: only a failed one is tried again."
            )
        requester = composing.requester_of(row.ticket)
        if row.kind == LetterKind.CONFIRMATION:
            if not row.ticket.is_open or composing.is_proven(row.ticket):
                raise LetterNotSent("There is nothing to confirm any more.")
            composing.cancel(row.ticket, LetterKind.CONFIRMATION)
            return composing.repeat(row)
        row.state = LetterState.WAITING
        row.delivery = composing.delivery_of(requester)
        row.save()
        LetterText.objects.filter(letter=row).update(
            address=composing.address_of(requester),
            attempts=0,
            last_error="",
            not_before=timezone.now(),
        )
    return row


def send_again(*, letter: Letter, actor: open_entry.Actor) -> Letter:
    """Queue a sent letter once more, to the address the person has now; a confirmation gets a fresh link.

    What took effect when it was first sent stays as it was.
    """
    with entries.entry("letter.repeated", actor=actor, subject=letter.ticket.reference) as opened:
        letter = Letter.objects.select_related("ticket").get(pk=letter.pk)
        if letter.state != LetterState.SENT:
            raise LetterNotSent(
                f"The letter is {letter.get_state_display()}: only a sent one is repeated."
            )
        if gone := _why_not(letter):
            raise LetterNotSent(f"This letter is not to be sent: {gone}.")
        # Said before the text is looked for, which is erased with it.
        composing.requester_of(letter.ticket)
        opened.reason = letter.get_kind_display()
        return composing.repeat(letter)


def record_posted(*, letter: Letter, posted_on: dt.date, actor: open_entry.Actor) -> Letter:
    """Staff put the letter into the post; that day it is sent, with every effect. Raises InvalidInput."""
    letter = Letter.objects.select_related("ticket").get(pk=letter.pk)
    if not day_of(letter.queued_at) <= posted_on <= today():
        raise InvalidInput(
            f"A day from {day_of(letter.queued_at)} (when it was written) to today.",
            field="posted_on",
        )
    if letter.state not in composing.UNSENT:
        raise LetterNotSent(f"The letter is {letter.get_state_display()} already.")
    if gone := _why_not(letter, on=posted_on):
        raise LetterNotSent(f"This letter is not to be sent: {gone}.")
    noon = dt.datetime.combine(posted_on, dt.time(12), ZoneInfo(settings.CONTROLLER_TIME_ZONE))
    sent_at = max(letter.queued_at, min(noon, clock.now()))
    return record_sent(letter, sent_at=sent_at, actor=actor, by_post=True)


# --- Once it is sent ----------------------------------------------------------------------------


def record_sent(
    letter: Letter, *, sent_at: dt.datetime, actor: open_entry.Actor, by_post: bool = False
) -> Letter:
    """The letter is out: record it, and let take effect what waited for it, in one entry.

    Raises LetterNotSent where staff posted what was called off meanwhile, or had no address.
    """
    reason = f"{letter.get_kind_display()}, by {'post' if by_post else 'e-mail'}"
    with entries.entry(
        "letter.sent", actor=actor, subject=letter.ticket.reference, reason=reason
    ) as opened:
        row: Letter = Letter.objects.select_for_update().get(pk=letter.pk)
        if row.state not in composing.UNSENT and by_post:
            raise LetterNotSent(f"The letter is {row.get_state_display()} already.")
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


# --- When it comes back -------------------------------------------------------------------------


def record_returned(*, letter: Letter, reason: str, actor: open_entry.Actor) -> Letter:
    """A letter that was sent came back: it failed, and what it did is undone until it is sent again.

    Runs frozen in between stay as they are and are no incident: the letter counted as sent. Where a copy of it is
    out, that one counts instead.
    """
    must_say(
        "reason",
        reason,
        "Say how it came back: the ledger keeps it, so no names or addresses.",
    )
    reason = f"{letter.get_kind_display()}: {reason}"
    with entries.entry(
        "letter.returned", actor=actor, subject=letter.ticket.reference, reason=reason
    ):
        row: Letter = Letter.objects.select_for_update().get(pk=letter.pk)
        if sentence := why_not_returned(row):
            raise LetterNotSent(sentence)
        row.state, row.sent_at = LetterState.FAILED, None
        row.save()
        LetterText.objects.filter(letter=row).update(last_error=RETURNED)
        copies = Letter.objects.filter(ticket=row.ticket_id, kind=row.kind, state=LetterState.SENT)
        copy = copies.order_by("sent_at").first()
        for ticket in _answered_by(row):
            _undo(row, locked(ticket), copy)
    return row


def why_not_returned(letter: Letter) -> str:
    """Why it is not recorded that a letter came back; empty when it can be."""
    if letter.state != LetterState.SENT:
        return f"It is {letter.get_state_display()}: only a letter that was sent comes back."
    if letter.ticket.erased_at:
        return f"The personal data of {letter.ticket} is erased: nothing could be sent again."
    return "" if letter.kind in OUTCOMES else _why_nothing_waits(letter)


def _why_nothing_waits(letter: Letter) -> str:
    """Why it makes no difference whether a letter on the way to an outcome arrived; empty when it does."""
    ticket = letter.ticket
    state = ticket.get_state_display()
    if not ticket.is_open:
        return f"{ticket} is {state}: what counts now is the outcome letter."
    if letter.kind == LetterKind.IDENTITY_REQUEST and ticket.state != TicketState.IDENTITY_CHECK:
        return f"{ticket} is {state}: an answer to this letter is no longer awaited."
    if letter.kind == LetterKind.EXTENSION and ticket.state != TicketState.EXTENDED:
        return f"{ticket} is {state}: this notice has no effect that could be undone."
    if letter.kind == LetterKind.CONFIRMATION and composing.is_proven(ticket):
        return "The address is known to be theirs: nothing waits for this letter any more."
    return ""


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
