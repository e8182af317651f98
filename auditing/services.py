"""Reveals: an officer lets an auditor see an identity, for a limited time, with a reason, on record."""

import datetime as dt
from dataclasses import dataclass

from django.contrib.auth.models import User

from auditing.models import Reveal
from consent.models import Member
from ledger import clock, entries
from ledger.errors import InvalidInput, NotFound, RuleViolation
from ledger.reads.recording import record_read
from objections.models import Ticket

MAX_HOURS = 72


class RevealOver(RuleViolation):
    """The reveal has expired, or was granted to another person."""

    code = "reveal_over"


@dataclass(frozen=True)
class Identity:
    """A person's identity as labelled values; empty where the data was erased."""

    subject: str
    facts: list[tuple[str, str]]


def grant(*, auditor: User, subject: str, hours: int, reason: str, actor: User) -> Reveal:
    """Let an auditor see who is behind a member number or a ticket. Raises InvalidInput, naming the field."""
    if not auditor.is_active or not auditor.has_perm("ledger.view_checkpoint"):
        raise InvalidInput("Choose an active auditor.", field="auditor")
    if auditor.pk == actor.pk:
        raise InvalidInput("You cannot grant a reveal to yourself.", field="auditor")
    if not reason.strip():
        raise InvalidInput("State what the auditor needs it for.", field="reason")
    if not 1 <= hours <= MAX_HOURS:
        raise InvalidInput(f"From 1 to {MAX_HOURS} hours.", field="hours")
    subject = subject.strip()
    _row_behind(subject)
    with entries.entry("reveal.granted", actor=actor, subject=subject, reason=reason) as opened:
        reveal = Reveal(
            auditor=auditor,
            subject=subject,
            granted_by=actor,
            until=opened.recorded_at + dt.timedelta(hours=hours),
        )
        reveal.save()
    return reveal


def look(reveal: Reveal, reader: User) -> Identity:
    """The identity behind a reveal. The look is recorded first. Raises RevealOver, ReadNotRecorded."""
    if reveal.auditor_id != reader.pk:
        raise RevealOver("This reveal was granted to another person.")
    if reveal.until <= clock.now():
        raise RevealOver(f"It ended at {reveal.until:%Y-%m-%d %H:%M} UTC: ask an officer again.")
    record_read(reader, "member.revealed", reveal.subject, purpose=reveal.entry.reason)
    row = _row_behind(reveal.subject)
    if isinstance(row, Member):
        reference = getattr(row, "reference", None)
        said = reference.account_ref if reference else "erased"
        return Identity(reveal.subject, [("Account reference", said)])
    requester = getattr(row, "requester", None)
    if requester is None:
        return Identity(reveal.subject, [("The person", "erased")])
    return Identity(
        reveal.subject,
        [
            ("Name", requester.name or "not given"),
            ("E-mail", requester.email or "none"),
            ("Postal address", requester.postal_address or "none"),
            ("Account named", requester.account_named or "none"),
        ],
    )


def _row_behind(subject: str) -> Member | Ticket:
    word, _, number = subject.partition(":")
    if word == "member" and number.isascii() and number.isdecimal() and len(number) < 11:
        member = Member.objects.select_related("reference").filter(pk=int(number)).first()
        if member is not None:
            return member
        raise InvalidInput(f"There is no member {number}.", field="subject")
    ticket = Ticket.objects.worked().select_related("requester").filter(reference=subject).first()
    if ticket is None:
        raise InvalidInput("A member as member:12, or a ticket's reference.", field="subject")
    return ticket


def reveal_by(number: int) -> Reveal:
    reveal = Reveal.objects.select_related("entry", "auditor").filter(pk=number).first()
    if reveal is None:
        raise NotFound("There is no such reveal.")
    return reveal
