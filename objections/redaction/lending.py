"""Loans of the redaction list to preparations of training data, and the hits that their receipts report."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from django.contrib.auth.models import User

from consent.choices import Purpose
from ledger import canonical, clock, entries, open_entry
from ledger.errors import InvalidInput, NotFound
from objections.models import RedactionEntry, RedactionHits, RedactionLoan
from objections.redaction import vault

LOAN_DAYS: Final = 30
"""So long a loan lasts where its delivery says no end."""


@dataclass(frozen=True)
class Line:
    """One value of the list. Its text stays out of `repr`, and so out of logs and error reports."""

    number: int
    """The entry's number: what a receipt counts hits by."""
    kind: str
    value: str = field(repr=False)
    needs_second: bool = False
    """Whether it counts only where a second value of the same entry is near."""


@dataclass(frozen=True)
class Loan:
    """The list as it is lent, in memory only, and the row that proves the loan."""

    record: RedactionLoan
    lines: tuple[Line, ...] = field(repr=False)


def lend(*, delivery: str, purpose: str, user: User, until: dt.datetime | None = None) -> Loan:
    """Lend the list of a purpose to the preparation of a delivery, until its lease ends. Each loan is an entry.

    The door asks for `objections.borrow_redaction_list` and the scope `suppression:read`. Raises InvalidInput for an
    unknown purpose or an end that is over; ValuesNotOpened where any entry cannot be opened, for a short list would look
    complete.
    """
    if purpose not in Purpose.values:
        raise InvalidInput(f"A purpose is one of: {', '.join(Purpose.values)}.", field="purpose")
    if not delivery.strip() or len(delivery) > 100:
        raise InvalidInput("Name the delivery by its reference.", field="delivery")
    until = until or clock.now() + dt.timedelta(days=LOAN_DAYS)
    if until <= clock.now():
        raise InvalidInput("The loan would be over already.", field="until")
    # Opened before the ledger's lock is taken: no writer waits for the decryption.
    listed, lines = _read(purpose)
    with entries.entry("redaction.lent", actor=user, subject=delivery):
        if listed != _numbered(RedactionEntry.objects.lent_for(purpose)):
            listed, lines = _read(purpose)
        record = RedactionLoan(
            delivery=delivery,
            purpose=purpose,
            list_version=list_version(listed),
            entries_lent=listed,
            count=len(listed),
            until=until,
            borrower=user,
        )
        record.save()
    return Loan(record, lines)


def list_version(listed: Iterable[list[int]]) -> str:
    """SHA-256 (hexadecimal) over number and version of each entry, ordered by number: it tells no value."""
    return sha256(canonical.dumps(sorted(listed))).hexdigest()


def _numbered(found: Iterable[RedactionEntry]) -> list[list[int]]:
    return [[one.pk, one.version] for one in found]


def _read(purpose: str) -> tuple[list[list[int]], tuple[Line, ...]]:
    found = list(RedactionEntry.objects.lent_for(purpose).select_related("values"))
    lines = [
        Line(one.pk, value.kind.value, value.text, value.needs_second)
        for one in found
        for value in vault.values_of(one)
    ]
    return _numbered(found), tuple(lines)


# --- What came back ---------------------------------------------------------------------------------


def known_numbers(lent: str | RedactionLoan | Loan) -> set[int]:
    """The numbers of the entries of a loan, or of a list version that was lent. Raises NotFound for an unknown one."""
    return {number for number, _ in _record_of(lent).entries_lent}


def _record_of(lent: str | RedactionLoan | Loan) -> RedactionLoan:
    if isinstance(lent, Loan):
        return lent.record
    if isinstance(lent, RedactionLoan):
        return lent
    found = RedactionLoan.objects.filter(list_version=lent).first()
    if found is None:
        raise NotFound("No such version of the redaction list was lent.")
    return found


def record_hits(lent: str | RedactionLoan | Loan, hits: Mapping[int, int]) -> list[RedactionHits]:
    """Keep how often each entry was found, as a receipt says. Needs an open entry, the receipt's.

    Entries without a hit get no row. Raises InvalidInput for a number that was not lent or a count below zero; NotFound
    for an unknown list version.
    """
    record = _record_of(lent)
    open_entry.current()
    if unknown := sorted(hits.keys() - known_numbers(record)):
        raise InvalidInput(
            f"Not on the list that was lent: {', '.join(map(str, unknown[:10]))}.", field="hits"
        )
    if wrong := sorted(number for number, count in hits.items() if count < 0):
        raise InvalidInput(f"A count is 0 or more: see entry {wrong[0]}.", field="hits")
    rows = [
        RedactionHits(redaction_id=number, loan=record, hits=count)
        for number, count in sorted(hits.items())
        if count
    ]
    entries.add(rows)
    return rows
