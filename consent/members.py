"""Writing members: numbers, seals, history and the census, thousands in one ledger entry."""

import datetime as dt
import hmac
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Max

from consent.choices import Status
from consent.countries import UNKNOWN
from consent.models import AccountReference, Census, Member, Suppression
from portal import drafts, ledger
from portal.bulk import Rows, among, insert_rows, update_rows
from portal.errors import LedgerError

_OPEN = Status.OPEN.value  # looked up once: an enum's value takes longer than the comparison


class Facts(NamedTuple):
    """What is known of a member. The defaults are an account nobody has told us about: out.

    A tuple, because an import makes millions of them.
    """

    country: str = UNKNOWN
    country_given: str = ""
    adult_on: dt.date | None = None
    status: str = Status.UNKNOWN.value

    @property
    def complete(self) -> bool:
        """Enough to be let in (`MemberQuerySet.complete` asks the database the same)."""
        return self.status == _OPEN and self.adult_on is not None and self.country != UNKNOWN


class Known(NamedTuple):
    """A member as the database has it."""

    number: int
    facts: Facts
    reference_seal: str


class Sealed(NamedTuple):
    """A reference with the salt and seal that will be stored beside it."""

    account_ref: str
    salt: str
    seal: str


CANARY_PREFIX = "canary:"
"""References of the portal's own test accounts (training_runs.canaries) begin so."""
CANARY_ACTOR = "system:canaries"


def is_test_account(account_ref: str) -> bool:
    """Whether it is a canary's: nobody but the portal decides, imports or erases those."""
    return account_ref.startswith(CANARY_PREFIX)


def seal(salt: str, account_ref: str) -> str:
    """HMAC-SHA-256 of the reference under the member's salt (hexadecimal both)."""
    return hmac.digest(bytes.fromhex(salt), account_ref.encode(), "sha256").hex()


def seal_all(account_refs: Sequence[str]) -> list[Sealed]:
    """A new salt and its seal for each reference. Needs no database: it can be done ahead."""
    random = os.urandom(16 * len(account_refs)).hex()
    salts = [random[start : start + 32] for start in range(0, len(random), 32)]
    return [
        Sealed(ref, salt, seal(salt, ref)) for ref, salt in zip(account_refs, salts, strict=True)
    ]


def keyed_hash(use: str, data: bytes) -> str:
    """HMAC-SHA-256 under a key outside the database; `use` keeps hashes of different things apart."""
    key = settings.SUPPRESSION_KEY.encode()
    return hmac.digest(key, use.encode() + b"\0" + data, "sha256").hex()


def suppression_hash(account_ref: str) -> str:
    """What an erased account leaves behind."""
    return keyed_hash("suppression", account_ref.encode())


def suppressed(account_refs: Iterable[str]) -> set[str]:
    """Those of the references that belong to erased accounts."""
    if not Suppression.objects.exists():
        return set()
    hashes = {suppression_hash(ref): ref for ref in account_refs}
    if not hashes:
        return set()
    where, parameters = among("account_hash", list(hashes))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT account_hash FROM {Suppression._meta.db_table} WHERE {where}", parameters
        )
        return {hashes[value] for (value,) in cursor.fetchall()}


def known(account_refs: Collection[str]) -> dict[str, Known]:
    """The members of these references; those nobody has told us about are missing."""
    if not account_refs:
        return {}
    # Two questions, not a join: it would read all members for the sake of a few thousand.
    where, parameters = among("account_ref", list(account_refs))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT account_ref, member_id FROM {AccountReference._meta.db_table} WHERE {where}",
            parameters,
        )
        numbers = dict(cursor.fetchall())
        if not numbers:
            return {}
        where, parameters = among("id", list(numbers.values()))
        cursor.execute(
            f"SELECT id, reference_seal, {', '.join(Facts._fields)}"
            f" FROM {Member._meta.db_table} WHERE {where}",
            parameters,
        )
        stored = {
            number: Known(number, _facts(*facts), seal)
            for number, seal, *facts in cursor.fetchall()
        }
    return {ref: stored[number] for ref, number in numbers.items()}


def create(members: Sequence[tuple[str, Facts]]) -> list[int]:
    """Create members for references that have none; returns their numbers in the same order.

    Needs an open ledger entry: its lock is what keeps the numbers dense.
    """
    sealed = seal_all([ref for ref, _ in members])
    return create_sealed(sealed, [facts for _, facts in members])


def create_sealed(sealed: Sequence[Sealed], facts: Sequence[Facts]) -> list[int]:
    """`create` for references that were sealed ahead."""
    if not sealed:
        return []
    opened = ledger.current()
    first = (Member.objects.aggregate(last=Max("id"))["last"] or 0) + 1
    numbers = range(first, first + len(sealed))
    references, salts, seals = zip(*sealed, strict=True)
    rows = _rows(numbers, facts, seals)
    insert_rows(Member, rows)
    insert_rows(
        AccountReference,
        Rows({"member_id": numbers, "account_ref": references, "salt": salts}),
    )
    _add_history(opened, rows, "+")
    _count(len(sealed), sum(fact.complete for fact in facts))
    for meet in _creations:
        meet(references, numbers)
    return list(numbers)


_creations: list[Callable[[Sequence[str], Sequence[int]], None]] = []


def on_creation(meet: Callable[[Sequence[str], Sequence[int]], None]) -> None:
    """Apps above may have heard of an account before we knew it: they are told its number in the same entry.

    They are called with references and numbers, thousands in one call, and must cost an import next to nothing.
    """
    _creations.append(meet)


def change(changes: Sequence[tuple[Member, Facts]]) -> None:
    """Give members new facts. They must have been read under the open entry's lock."""
    change_known(
        [
            (Known(member.pk, facts_of(member), member.reference_seal), facts)
            for member, facts in changes
        ]
    )
    for member, facts in changes:
        for name, value in facts._asdict().items():
            setattr(member, name, value)


def change_known(changes: Sequence[tuple[Known, Facts]]) -> None:
    """`change` without building a model for each member."""
    if not changes:
        return
    opened = ledger.current()
    for before, _ in changes:
        if before.facts.status == Status.ERASED.value:
            raise LedgerError(f"member {before.number} is erased and stays as it is.")
    rows = _rows(
        [before.number for before, _ in changes],
        [after for _, after in changes],
        [before.reference_seal for before, _ in changes],
    )
    # The tracked queryset refuses bulk updates; here the history is written beside it.
    update_rows(Member, rows)
    _add_history(opened, rows, "~")
    _count(0, sum(after.complete - before.facts.complete for before, after in changes))


_erasures: list[Callable[[Member], None]] = []


def on_erasure(erase_more: Callable[[Member], None]) -> None:
    """Apps above keep words of members of their own: they erase them in the same entry."""
    _erasures.append(erase_more)


def erase(member: Member, account_ref: str) -> None:
    """Out for good: the reference and its salt go, a keyed hash stays. Needs an open ledger entry."""
    for erase_more in _erasures:
        erase_more(member)
    drafts.forget(f"member:{member.pk}")
    drafts.forget_account(account_ref)
    change([(member, facts_of(member)._replace(status=Status.ERASED.value))])
    Suppression(member=member, account_hash=suppression_hash(account_ref)).save()
    AccountReference.objects.filter(member=member).delete()


def facts_of(member: Member) -> Facts:
    return Facts(member.country, member.country_given, member.adult_on, member.status)


def _facts(country: str, given: str, adult_on: dt.date | str | None, status: str) -> Facts:
    """SQLite hands dates out as text."""
    if isinstance(adult_on, str):
        adult_on = dt.date.fromisoformat(adult_on)
    return Facts(country, given, adult_on, status)


def _rows(numbers: Sequence[int], facts: Sequence[Facts], seals: Sequence[str]) -> Rows:
    """Members as the columns that `Member` and its history share."""
    columns = zip(Facts._fields, zip(*facts, strict=True), strict=True)
    return Rows({"id": numbers, **dict(columns), "reference_seal": seals})


def _add_history(opened: ledger.OpenEntry, rows: Rows, kind: str) -> None:
    history = Member.history.model
    insert_rows(
        history,
        rows,
        history_date=opened.recorded_at,
        history_type=kind,
        history_user_id=opened.actor_id,
        entry_id=opened.sequence,
    )
    opened.touch(history)


def _count(total: int, complete: int) -> None:
    census = Census.objects.get(pk=1)
    census.total += total
    census.complete += complete
    census.save()
