"""Recipients of data sets, what was handed to them, and whom to tell of an objection or an erasure (GDPR Art. 19)."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q

from consent import countries
from consent.models import Suppression
from deliveries.choices import RecipientKind
from deliveries.made import archives
from deliveries.models import DataSet, Delivery, Handover, Recipient, RecipientTold
from ledger import clock, entries, open_entry
from ledger.errors import InvalidInput, NotFound
from objections.choices import Effect
from objections.models import Objection
from training_runs import teams


def record(
    *, actor: open_entry.Actor, recipient: Recipient | None = None, **facts: Any
) -> Recipient:
    """Make a recipient, or change one; its name does not change. Raises InvalidInput."""
    if facts.get("country") and facts["country"] not in countries.NAMES:
        raise InvalidInput("A code of ISO 3166-1, like IE.", field="country")
    name = recipient.name if recipient else facts["name"]
    with entries.entry("recipient.changed", actor=actor, subject=f"recipient:{name}") as opened:
        row = (
            Recipient.objects.select_for_update().get(pk=recipient.pk) if recipient else Recipient()
        )
        facts = {**facts, "name": name}
        if recipient and all(getattr(row, field) == value for field, value in facts.items()):
            opened.abandon()
            return row
        for field, value in facts.items():
            setattr(row, field, value)
        try:
            row.full_clean()
        except ValidationError as error:
            field = next(iter(error.message_dict))
            raise InvalidInput(" ".join(error.messages), field=field) from None
        row.save()
    return row


def by_name(name: str) -> Recipient:
    """The active recipient of that name. Raises InvalidInput."""
    found = Recipient.objects.filter(name=name, is_active=True).first()
    if found is None:
        raise InvalidInput("There is no active recipient of that name.", field="recipient")
    return found


def hand_over(
    *, data_set: DataSet, recipient: Recipient, given_on: dt.date, actor: User
) -> tuple[Handover, bool]:
    """Record that a data set was given to a recipient; again gives the same row and False.

    Raises PermissionDenied for another team's data set, InvalidInput.
    """
    run = data_set.receipt.run
    if not teams.has(run, actor):
        raise PermissionDenied
    if not data_set.receipt.received_at.date() <= given_on <= clock.today():
        raise InvalidInput(
            "A day from its receipt on, and not a day that has not come.", field="given_on"
        )
    with entries.entry("recipient.received", actor=actor, subject=run.reference) as opened:
        known = Handover.objects.filter(data_set=data_set, recipient=recipient).first()
        if known is not None:
            opened.abandon()
            return known, False
        row = Handover(data_set=data_set, recipient=recipient, given_on=given_on)
        row.save()
        opened.reason = f"{data_set.sha256[:16]} to {recipient.name}"
    return row, True


def names_for(purpose: str) -> list[str]:
    """The titles of affiliates and processors that received data sets or lists for a purpose: what pages may name."""
    directly = Q(deliveries__run__purpose=purpose, deliveries__delivered_at__isnull=False)
    found = Recipient.objects.filter(
        Q(handovers__data_set__receipt__run__purpose=purpose) | directly, is_active=True
    ).exclude(kind=RecipientKind.TEAM)
    return sorted(set(found.values_list("title", flat=True)))


# --- Whom to tell -------------------------------------------------------------------------------

_MEMBER = "member:"
"""How the subject of an erasure begins; others are references of tickets."""
MAX_UNTOLD = dt.timedelta(days=30)
"""GDPR Art. 19 names no day. By then the person has an answer (Art. 12(3)), which must be true for recipients too."""


@dataclass(frozen=True)
class Duty:
    """A recipient who is to be told of an upheld objection or an erasure, without undue delay."""

    subject: str
    """A ticket's reference, or `member:12` for an erasure."""
    recipient: Recipient
    since: dt.datetime

    @property
    def is_overdue(self) -> bool:
        return clock.now() - self.since > MAX_UNTOLD

    @property
    def what(self) -> str:
        return "erasure" if self.subject.startswith(_MEMBER) else "objection"


def open_duties(subject: str = "") -> list[Duty]:
    """Each recipient who received data of a person whose objection was upheld, or who was erased, and was not told.

    With a `subject` only those about it. Raises ManifestDamaged or OSError when an archive cannot be read: then there is
    no answer.
    """
    subjects = _subjects(subject)
    if not subjects:
        return []
    told = set(RecipientTold.objects.values_list("subject", "recipient"))
    found: dict[tuple[str, int], Duty] = {}
    handovers = Handover.objects.select_related("recipient", "data_set__receipt__delivery__run")
    given = [(one.recipient, one.data_set.receipt.delivery) for one in handovers]
    directly = Delivery.objects.filter(recipient__isnull=False, delivered_at__isnull=False)
    given += [
        (one.recipient, one)
        for one in directly.select_related("recipient", "run")
        if one.recipient is not None
    ]
    # By delivery: the last archives stay parsed.
    for recipient, delivery in sorted(given, key=lambda pair: pair[1].pk):
        for one in subjects:
            key = (one.subject, recipient.pk)
            if key in told or key in found or one.purpose not in ("", delivery.run.purpose):
                continue
            if one.number is None or archives.includes(delivery, one.number):
                found[key] = Duty(one.subject, recipient, one.since)
    return sorted(found.values(), key=lambda duty: (duty.since, duty.subject, duty.recipient.name))


@dataclass(frozen=True)
class _Subject:
    """An upheld objection or an erasure."""

    subject: str
    number: int | None
    """The member's; None for a person without an account, whose data any delivery of the purpose may hold."""
    purpose: str
    """Empty for an erasure, which concerns every purpose."""
    since: dt.datetime


def _subjects(subject: str = "") -> list[_Subject]:
    """All of them, or those of one ticket or member."""
    upheld = Objection.objects.filter(effect=Effect.UPHELD).select_related("ticket")
    erasures = Suppression.objects.select_related("entry")
    if subject.startswith(_MEMBER):
        number = subject.removeprefix(_MEMBER)
        is_number = number.isascii() and number.isdecimal() and len(number) < 19
        upheld = upheld.none()
        erasures = erasures.filter(member_id=int(number)) if is_number else erasures.none()
    elif subject:
        upheld, erasures = upheld.filter(ticket__reference=subject), erasures.none()
    found = [
        _Subject(one.ticket.reference, one.member_id, one.purpose, one.ticket.received_at)
        for one in upheld
    ]
    for erased in erasures:
        name = f"{_MEMBER}{erased.member_id}"
        found.append(_Subject(name, erased.member_id, "", erased.entry.recorded_at))
    return found


def tell(
    *, subject: str, recipient: Recipient, told_on: dt.date, how: str, actor: User
) -> RecipientTold:
    """Record that a recipient was told, on a day; again changes nothing. Raises NotFound, InvalidInput."""
    if not 1 <= len(how.strip()) <= 300:
        raise InvalidInput("Say in 1 to 300 characters how, without names.", field="how")
    if "\0" in subject:
        # PostgreSQL takes none in a query.
        raise NotFound("This recipient received no data of that person.")
    known = RecipientTold.objects.filter(subject=subject, recipient=recipient).first()
    if known is not None:
        return known
    duty = next((one for one in open_duties(subject) if one.recipient == recipient), None)
    if duty is None:
        raise NotFound("This recipient received no data of that person.")
    if not duty.since.date() <= told_on <= clock.today():
        raise InvalidInput(
            f"A day from {duty.since:%Y-%m-%d} on, and not a day that has not come.",
            field="told_on",
        )
    with entries.entry("recipient.told", actor=actor, subject=subject, reason=how) as opened:
        row = RecipientTold(
            subject=subject,
            recipient=recipient,
            how=how,
            told_on=told_on,
            told_at=opened.recorded_at,
        )
        row.save()
    return row
