"""Entries of the redaction list: from the receipt of an objection until it holds no more, or its person has them erased."""

from collections.abc import Sequence

from django.contrib.auth.models import User

from common.errors import StaleEdit
from ledger import entries, open_entry
from ledger.errors import InvalidInput
from objections.choices import Effect, RedactionState
from objections.errors import ForbiddenMove, NeedsSecondPerson
from objections.models import RedactionEntry, RedactionValues, Requester, Ticket
from objections.redaction import vault
from objections.redaction.values import (
    MAX_VALUES,
    Value,
    are_weak,
    counts_of,
    each_once,
    read,
    said_by,
)


def holds_for(ticket: Ticket) -> bool:
    """Whether a ticket puts its person on the list: no member is matched, and an objection restricts or is upheld.

    Closed as abuse it does not: two officers found that no person stands behind it.
    """
    if ticket.state is None or ticket.member_id is not None or ticket.is_closed_as_abuse:
        return False
    return bool(ticket.objections.exclude(effect=Effect.RESTRICTION_LIFTED).exists())


def begin(ticket: Ticket, requester: Requester) -> None:
    """Let the entry of a ticket that was received just now hold. Needs an open entry, and no member matched."""
    _hold(RedactionEntry(ticket=ticket), said_by(requester))


def follow(ticket: Ticket) -> None:
    """Let the entry of a ticket hold or end as the ticket's objections say now. Needs an open entry.

    An entry that was erased at its person's request stays ended.
    """
    entry: RedactionEntry | None = RedactionEntry.objects.filter(ticket=ticket).first()
    if not holds_for(ticket):
        if entry is not None and entry.is_holding:
            _end(entry)
    elif entry is None:
        _hold(RedactionEntry(ticket=ticket), _said_in(ticket))
    elif not entry.is_holding and entry.erased_at is None:
        _hold(entry, _said_in(ticket))


def follow_address(ticket: Ticket, before: str, after: str) -> None:
    """The contact address of a ticket changed: the entry has the new one too. Needs an open entry.

    The old one stays until an officer takes it out: what others posted may hold it.
    """
    entry = RedactionEntry.objects.filter(ticket=ticket).first()
    if entry is None or not entry.is_holding or not after or before == after:
        return
    try:
        values = each_once([*vault.values_of(entry), read("email", after)])
    except InvalidInput:
        return
    if len(values) <= MAX_VALUES:
        _hold(entry, values)


def _said_in(ticket: Ticket) -> list[Value]:
    requester: Requester | None = Requester.objects.filter(ticket=ticket).first()
    return said_by(requester) if requester else []


def _hold(entry: RedactionEntry, values: Sequence[Value]) -> None:
    encrypted, entry.commitment = vault.encrypt(values)
    entry.state = RedactionState.HOLDING
    entry.counts, entry.is_weak = counts_of(values), are_weak(values)
    is_new = entry.pk is None
    entry.save()
    if is_new:
        RedactionValues.objects.create(redaction=entry, encrypted=encrypted)
    else:
        RedactionValues.objects.update_or_create(redaction=entry, defaults={"encrypted": encrypted})


def _end(entry: RedactionEntry) -> None:
    entry.state, entry.counts, entry.commitment = RedactionState.ENDED, {}, ""
    entry.is_weak = False
    entry.save()
    RedactionValues.objects.filter(redaction=entry).delete()


# --- Acts of officers -------------------------------------------------------------------------------


def correct(
    *,
    entry: RedactionEntry,
    values: Sequence[Value],
    reason: str,
    version: int,
    actor: User,
) -> RedactionEntry:
    """Give an entry these values and no others. Raises StaleEdit, ForbiddenMove, InvalidInput."""
    values = each_once(values)
    if not values:
        raise InvalidInput(
            "An entry has one value at least. Its erasure is an act of its own.", field="values"
        )
    if len(values) > MAX_VALUES:
        raise InvalidInput(f"At most {MAX_VALUES} values; these are {len(values)}.", field="values")
    with entries.entry(
        "redaction.corrected", actor=actor, subject=entry.ticket.reference, reason=reason
    ):
        row = _locked(entry, version)
        _check_reason(reason, [*vault.values_of(row), *values])
        _hold(row, values)
    return row


def record_told(*, entry: RedactionEntry, reason: str, version: int, actor: User) -> RedactionEntry:
    """Record that the person asked for erasure and was told that their data is then not recognised any more.

    Raises StaleEdit, ForbiddenMove, InvalidInput.
    """
    with entries.entry(
        "redaction.person_told", actor=actor, subject=entry.ticket.reference, reason=reason
    ) as opened:
        row = _locked(entry, version)
        _check_reason(reason, vault.values_of(row))
        row.told_at, row.told_by = opened.recorded_at, actor
        row.save()
    return row


def erase(*, entry: RedactionEntry, reason: str, version: int, actor: User) -> RedactionEntry:
    """Erase the values at the person's request, for good. It ends a protection, so a second officer does it.

    Raises StaleEdit, ForbiddenMove (the person was not told), NeedsSecondPerson, InvalidInput.
    """
    with entries.entry(
        "redaction.erased", actor=actor, subject=entry.ticket.reference, reason=reason
    ):
        row = _locked(entry, version)
        if row.told_at is None:
            raise ForbiddenMove(
                f"Tell the person first that their data is not recognised once {row} is erased, and record it."
            )
        if row.told_by_id == actor.pk:
            raise NeedsSecondPerson(
                "You recorded that the person was told: a colleague erases the values."
            )
        _check_reason(reason, vault.values_of(row))
        row.erased_at = open_entry.current().recorded_at
        _end(row)
    return row


def _locked(entry: RedactionEntry, version: int) -> RedactionEntry:
    row: RedactionEntry = RedactionEntry.objects.select_for_update(of=("self",)).get(pk=entry.pk)
    if row.version != version:
        raise StaleEdit(f"{row} was changed in the meantime: look at it again.")
    if not row.is_holding:
        raise ForbiddenMove(f"{row} has ended: it has no values any more.")
    return row


def _check_reason(reason: str, values: Sequence[Value]) -> None:
    """The ledger keeps the reason for good, and the values are erased."""
    if not reason.strip():
        raise InvalidInput(
            "Say why: the ledger keeps it, so no names or addresses.", field="reason"
        )
    said = reason.casefold()
    if any(one.text.casefold() in said for one in values if len(one.text) > 2):
        raise InvalidInput(
            "The reason holds a value of the entry, and the ledger keeps it for good: say it without.",
            field="reason",
        )
