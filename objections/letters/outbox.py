"""Sending the letters that wait by e-mail.

The letter's row is the queue; Celery is a hint. A letter may be sent twice when a worker dies at the wrong moment,
never not at all.
"""

import datetime as dt
import smtplib
import time

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F
from django.utils import timezone

from common.mail import addresses
from common.processes import leases
from ledger import clock, entries
from objections.choices import Delivery, LetterState
from objections.letters.effects import record_sent, why_gone
from objections.models import Letter, LetterText

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
    if gone := why_gone(letter):
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
