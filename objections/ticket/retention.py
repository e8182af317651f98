"""Erasure of personal data. Dates, codes and outcomes stay: they name no person, and the proof needs them."""

import datetime as dt

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from common import drafts
from consent.models import Member
from ledger import clock, entries, open_entry
from ledger.errors import Refusal
from ledger.models import Entry
from objections.choices import OUTCOME_LETTERS, LetterState
from objections.clock import deadlines
from objections.clock.days import day_of, today
from objections.errors import (
    EvidenceHeld,
    ForbiddenMove,
    LetterNotSent,
    PersonalDataErased,
    WhyNot,
    refuse,
)
from objections.models import (
    Attachment,
    Letter,
    LetterText,
    Note,
    Requester,
    Ticket,
)
from objections.querysets import ADDRESS_PROVEN, TicketQuerySet
from objections.ticket import due, quarantine, uploads
from objections.ticket.checks import recorded, waiting_proposal
from objections.ticket.states import locked

logger = structlog.get_logger(__name__)

RETENTION = "system:retention"


def held_until(ticket: Ticket) -> dt.date | None:
    """The day from which what was written about a ticket may be erased; None while its answer is owed.

    It counts from the answer. Closed as abuse, from the closing: no answer is owed. What an erasure left for the answer
    goes once that counts as delivered.
    """
    if ticket.is_open or ticket.delivers_at is not None:
        return None
    if ticket.kept_for_answer_at is not None:
        since = ticket.closed_at if ticket.is_closed_as_abuse else ticket.delivered_at
        return day_of(since) if since else None
    since = ticket.closed_at if ticket.is_closed_as_abuse else ticket.answered_at
    return day_of(since + dt.timedelta(days=settings.OBJECTION_RETENTION_DAYS)) if since else None


def owes_answer(ticket: Ticket) -> bool:
    """Whether the person has no answer yet: the ticket is open, or its outcome letter does not count as delivered."""
    return not ticket.is_closed_as_abuse and ticket.delivered_at is None


def why_not_erased(ticket: Ticket) -> str:
    """Why what was written about a ticket may not be erased; empty when it may be."""
    if ticket.erased_at:
        return WhyNot(f"The personal data of {ticket} is erased already.", PersonalDataErased)
    if ticket.is_open:
        return WhyNot(
            f"{ticket} is open: the person could not be answered any more.", ForbiddenMove
        )
    until = held_until(ticket)
    if ticket.delivers_at is not None:
        return WhyNot(
            f"The outcome letter of {ticket} is on its way: it may come back.", LetterNotSent
        )
    if until is None:
        return WhyNot(f"The outcome letter of {ticket} has not been sent.", LetterNotSent)
    if today() < until:
        # GDPR Art. 5(2), 17(3)(e), 77, 79: who decided must be able to show how.
        return WhyNot(
            f"What was decided on {ticket} can be contested: the evidence is kept until"
            f" {deadlines.in_words(until)}, which is {settings.OBJECTION_RETENTION_DAYS} days after the answer."
            " Then it is erased by itself.",
            EvidenceHeld,
        )
    return ""


def _erase_kept_long_enough(ticket: Ticket) -> bool:
    """Erase one that was kept long enough, as was announced; no request is needed."""
    with recorded("objection.data_erased", ticket, RETENTION, reason="kept long enough") as opened:
        row = locked(ticket)
        if row.kept_for_answer_at is not None:
            opened.reason = "the member was erased before, and is answered now"
        if row.erased_at:
            opened.abandon()
            return False
        refuse(why_not_erased(row))
        erase(row, opened.recorded_at)
    return True


def erase(ticket: Ticket, at: dt.datetime) -> None:
    """Needs an open entry, and the ticket locked."""
    _delete_files(ticket)
    Note.objects.filter(ticket=ticket).delete()
    LetterText.objects.filter(letter__ticket=ticket).delete()
    Requester.objects.filter(ticket=ticket).delete()
    drafts.forget(ticket.reference)
    for letter in Letter.objects.filter(ticket=ticket).exclude(
        state__in=[LetterState.SENT, LetterState.CANCELLED]
    ):
        letter.state = LetterState.CANCELLED
        letter.save()
    ticket.erased_at = at
    ticket.save()


def keep_for_answer(ticket: Ticket, at: dt.datetime) -> None:
    """Erase everything but what the answer needs: where it goes, and the words it is made of.

    Needs an open entry, and the ticket locked. The rest goes once the answer counts as delivered.
    """
    _delete_files(ticket)
    notes = Note.objects.filter(ticket=ticket)
    if proposal := waiting_proposal(ticket):
        notes = notes.exclude(entry=proposal.entry_id)
    notes.delete()
    # One that comes back is sent again.
    gone = LetterText.objects.filter(
        letter__ticket=ticket, letter__state__in=[LetterState.SENT, LetterState.CANCELLED]
    )
    gone.exclude(letter__kind__in=OUTCOME_LETTERS).delete()
    Requester.objects.filter(ticket=ticket).update(
        account_named="", statement="", sender_hash="", files_refused=0
    )
    drafts.forget(ticket.reference)
    ticket.kept_for_answer_at = at
    ticket.save()


def _delete_files(ticket: Ticket) -> None:
    files = Attachment.objects.filter(ticket=ticket)
    keys = list(files.values_list("key", flat=True))
    files.delete()
    # A file goes once the rows are gone for sure; one that stays behind is found by `sweep_files`.
    transaction.on_commit(lambda: _remove(keys), robust=True)


def _remove(keys: list[str]) -> None:
    for key in keys:
        uploads.remove(key)


def erase_words_of_member(member: Member) -> None:
    """Part of a member's erasure (GDPR Art. 17), in its entry: also open tickets lose their words.

    What they decided or still decide stays; the member is out for good anyway. A ticket that owes an answer keeps what
    that needs (Art. 12(3), 12(4)) until it counts as delivered.
    """
    at = open_entry.current().recorded_at
    for ticket in _with_words_of(member):
        row = locked(ticket)
        if owes_answer(row):
            keep_for_answer(row, at)
        else:
            erase(row, at)


def kept_after_erasure(member: Member) -> list[str]:
    """A sentence for each ticket of a member that stays answerable when the account is erased, with its end."""
    return [_kept_in_words(ticket) for ticket in _with_words_of(member) if owes_answer(ticket)]


def _kept_in_words(ticket: Ticket) -> str:
    kept = f"{ticket} keeps the name and address that its answer goes to"
    if ticket.delivers_at is not None:
        return f"{kept} until {ticket.delivers_at:%Y-%m-%d %H:%M} UTC, when the letter counts as delivered."
    day = due.last_day(ticket)
    return f"{kept} until the outcome letter counts as delivered. It is due by {day}."


def _with_words_of(member: Member) -> list[Ticket]:
    """The tickets that a member's erasure is about, by number.

    Of tickets without a member these are the ones that an officer linked to one of theirs, and closed ones whose address
    is proven to be theirs. An open one that shares only an address is left for an officer: it may be a stranger's.
    """
    own = Ticket.objects.worked().filter(member=member)
    unmatched = Ticket.objects.worked().filter(member=None)
    numbers = {
        *own.values_list("pk", flat=True),
        *unmatched.filter(reference__in=_linked_by_officers(own)).values_list("pk", flat=True),
        *_closed_of_proven_address(own, unmatched),
    }
    found = Ticket.objects.filter(pk__in=numbers, erased_at__isnull=True)
    return list(found.order_by("pk"))


def _closed_of_proven_address(own: TicketQuerySet, unmatched: TicketQuerySet) -> set[int]:
    """Numbers of closed tickets from an address that is proven here and there."""
    known = own.filter(Q(is_authenticated=True) | Q(identified_at__isnull=False))
    emails = {
        email
        for email in known.filter(ADDRESS_PROVEN).values_list("requester__email", flat=True)
        if email
    }
    closed = unmatched.filter(ADDRESS_PROVEN, closed_at__isnull=False, requester__email__in=emails)
    return set(closed.values_list("pk", flat=True))


def _linked_by_officers(tickets: TicketQuerySet) -> set[str]:
    """References of tickets that an officer said are the same person's as one of these.

    Read from the entries: `linked_to` also joins what only came from the same address, which any sender can type.
    """
    heads = {linked_to or number for number, linked_to in tickets.values_list("pk", "linked_to")}
    group = Ticket.objects.filter(Q(pk__in=heads) | Q(linked_to__in=heads))
    links = Entry.objects.filter(
        kind="objection.linked", subject__in=list(group.values_list("reference", flat=True))
    )
    # "OBJ-… and OBJ-… are one person's: …", as the act of linking writes it; the second is the subject.
    pairs = [{one.subject, one.reason.partition(" ")[0]} for one in links]
    found = set(tickets.values_list("reference", flat=True))
    while more := [pair for pair in pairs if found & pair and pair - found]:
        found = found.union(*more)
    return found


def is_erased(subject: str) -> bool:
    """Whether a subject is a ticket whose words are gone: nothing would erase new ones."""
    return Ticket.objects.filter(reference=subject, erased_at__isnull=False).exists()


def erase_expired() -> int:
    """Erase what was kept long enough; returns of how many tickets. One that fails keeps no other waiting.

    It counts from the answer: while one is owed, its words are needed. Closed as abuse, from the closing.
    """
    before = clock.now() - dt.timedelta(days=settings.OBJECTION_RETENTION_DAYS)
    # Nothing is answered before it is closed: the first condition changes nothing, and has an index.
    expired = Ticket.objects.closed().filter(
        Q(answered_at__lt=before) | Q(is_set_aside=True),
        closed_at__lt=before,
        delivers_at=None,
        erased_at=None,
    )
    answered = Ticket.objects.closed().filter(
        Q(delivered_at__isnull=False) | Q(is_set_aside=True),
        kept_for_answer_at__isnull=False,
        erased_at__isnull=True,
    )
    count = 0
    for ticket in [*expired.order_by("pk"), *answered.order_by("pk")]:
        try:
            count += _erase_kept_long_enough(ticket)
        except Refusal as error:
            logger.error("words not erased", ticket=ticket.reference, error=error.code)
    return count


def let_files_go(now: dt.datetime | None = None) -> int:
    """Delete the files whose time in quarantine is over: the address was not confirmed. Returns of how many tickets.
    One that fails keeps no other waiting.

    What an outcome rests on is evidence: such files are kept, and wait on while an outcome waits for a second person.
    """
    over = Attachment.objects.filter(waits_until__lte=now or clock.now())
    tickets = Ticket.objects.filter(pk__in=over.values("ticket")).order_by("pk")
    count = 0
    for ticket in list(tickets):
        try:
            count += _let_files_of_go(ticket, over.filter(ticket=ticket))
        except Refusal as error:
            logger.error("files not let go", ticket=ticket.reference, error=error.code)
    return count


def _let_files_of_go(ticket: Ticket, files: QuerySet[Attachment]) -> bool:
    """Delete these files, or keep them when the ticket was decided meanwhile; returns whether they went."""
    with entries.entry(
        "objection.files_deleted", actor=RETENTION, subject=ticket.reference
    ) as opened:
        row = locked(ticket)
        # Asked again under the lock: the address may have been confirmed meanwhile.
        keys = list(files.values_list("key", flat=True))
        is_decided = row.closed_at is not None and not row.is_closed_as_abuse
        if not keys or waiting_proposal(row) is not None:
            opened.abandon()
            return False
        opened.reason = f"{len(keys)} file{'' if len(keys) == 1 else 's'}"
        if is_decided:
            opened.kind = "objection.files_kept"
            opened.reason += ", on the ticket when it was decided"
            quarantine.keep(row.attachments.all())
            return False
        files.delete()
        transaction.on_commit(lambda: _remove(keys), robust=True)
    return True


def sweep_files() -> int:
    """Let go what has waited long enough, and mend what a process left that ended between two steps.

    Files that no ticket has any more are removed; returns how many. Kept ones still in quarantine are moved.
    """
    let_files_go()
    moved = Attachment.objects.filter(key__in=list(uploads.waiting()), waits_until__isnull=True)
    for key in list(moved.values_list("key", flat=True)):
        try:
            uploads.keep(key)
        except OSError as error:
            # It is read where it is, and the next sweep tries again.
            logger.error("file not moved", error=type(error).__name__)
    kept = set(Attachment.objects.values_list("key", flat=True))
    stray = [key for key in uploads.stored_before(dt.timedelta(days=1)) if key not in kept]
    _remove(stray)
    return len(stray)
