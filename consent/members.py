"""Writing members: numbers, seals, history and the census, thousands in one ledger entry."""

import datetime as dt
import hmac
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from django.conf import settings
from django.db.models import Max

from consent.choices import Status
from consent.countries import UNKNOWN
from consent.models import AccountReference, Census, Member, Suppression
from portal import ledger
from portal.bulk import insert_rows
from portal.errors import LedgerError


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a member. The defaults are an account nobody has told us about: out."""

    country: str = UNKNOWN
    country_given: str = ""
    adult_on: dt.date | None = None
    status: str = Status.UNKNOWN.value

    @property
    def complete(self) -> bool:
        """Enough to be let in (`MemberQuerySet.complete` asks the database the same)."""
        return (
            self.status == Status.OPEN and self.adult_on is not None and self.country != UNKNOWN
        )


_FACTS = ("country", "country_given", "adult_on", "status")
_MEMBER = ("id", *_FACTS, "reference_seal")
_HISTORY = (*_MEMBER, "history_date", "history_type", "history_user_id", "entry_id")


def seal(salt: str, account_ref: str) -> str:
    """HMAC-SHA-256 of the reference under the member's salt (hexadecimal both)."""
    return hmac.digest(bytes.fromhex(salt), account_ref.encode(), "sha256").hex()


def suppression_hash(account_ref: str) -> str:
    """What an erased account leaves behind: HMAC-SHA-256 under a key outside the database."""
    return hmac.digest(settings.SUPPRESSION_KEY.encode(), account_ref.encode(), sha256).hex()


def suppressed(account_refs: Iterable[str]) -> set[str]:
    """Those of the references that belong to erased accounts."""
    hashes = {suppression_hash(ref): ref for ref in account_refs}
    if not Suppression.objects.exists():
        return set()
    found = Suppression.objects.filter(account_hash__in=list(hashes))
    return {hashes[value] for value in found.values_list("account_hash", flat=True)}


def create(members: Sequence[tuple[str, Facts]]) -> list[int]:
    """Create members for references that have none; returns their numbers in the same order.

    Needs an open ledger entry: its lock is what keeps the numbers dense.
    """
    opened = ledger.current()
    first = (Member.objects.aggregate(last=Max("id"))["last"] or 0) + 1
    random = os.urandom(16 * len(members)).hex()
    salts = [random[start : start + 32] for start in range(0, len(random), 32)]
    rows = [
        (number, facts.country, facts.country_given, facts.adult_on, facts.status, seal(salt, ref))
        for number, (salt, (ref, facts)) in enumerate(zip(salts, members, strict=True), first)
    ]
    insert_rows(Member, _MEMBER, rows)
    insert_rows(
        AccountReference,
        ("member_id", "account_ref", "salt"),
        [
            (row[0], ref, salt)
            for row, salt, (ref, _) in zip(rows, salts, members, strict=True)
        ],
    )
    _add_history(opened, rows, "+")
    _count(len(rows), sum(facts.complete for _, facts in members))
    return list(range(first, first + len(rows)))


def change(changes: Sequence[tuple[Member, Facts]]) -> None:
    """Give members new facts. They must have been read under the open entry's lock."""
    opened = ledger.current()
    complete = 0
    rows = []
    for member, facts in changes:
        if member.status == Status.ERASED:
            raise LedgerError(f"{member} is erased and stays as it is.")
        complete += facts.complete - facts_of(member).complete
        for name in _FACTS:
            setattr(member, name, getattr(facts, name))
        rows.append((member.pk, *(getattr(facts, name) for name in _FACTS), member.reference_seal))
    # The tracked queryset refuses bulk updates; here the history is written beside it.
    Member._base_manager.bulk_update([member for member, _ in changes], _FACTS, batch_size=2000)
    _add_history(opened, rows, "~")
    _count(0, complete)


def erase(member: Member, account_ref: str) -> None:
    """Out for good: the reference and its salt go, a keyed hash stays. Needs an open ledger entry."""
    change([(member, replace(facts_of(member), status=Status.ERASED.value))])
    Suppression(member=member, account_hash=suppression_hash(account_ref)).save()
    AccountReference.objects.filter(member=member).delete()


def facts_of(member: Member) -> Facts:
    return Facts(member.country, member.country_given, member.adult_on, member.status)


def _add_history(opened: ledger.OpenEntry, rows: Sequence[tuple], kind: str) -> None:  # type: ignore[type-arg]
    history = Member.history.model
    tail = (opened.recorded_at, kind, opened.actor_id, opened.sequence)
    insert_rows(history, _HISTORY, [(*row, *tail) for row in rows])
    opened.touch(history)


def _count(total: int, complete: int) -> None:
    census = Census.objects.get(pk=1)
    census.total += total
    census.complete += complete
    census.save()
