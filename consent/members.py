"""Writing members: numbers, seals, history and the census, thousands in one ledger entry."""

import datetime as dt
import hmac
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import F, Max

from common import drafts, registry
from consent import heirs
from consent.choices import Status
from consent.countries import UNKNOWN
from consent.models import MAJORITY, AccountReference, Census, Member, Suppression
from consent.references import folding_of, folding_to_keep, key_of
from ledger import open_entry
from ledger.bulk import Rows, among, insert_rows, update_rows
from ledger.errors import LedgerError

_OPEN = Status.OPEN.value  # looked up once: an enum's value takes longer than the comparison
_STRICTNESS = [_OPEN, Status.UNKNOWN.value, Status.CLOSED.value, Status.ERASED.value]


class Facts(NamedTuple):
    """The known facts about a member. The defaults describe an account the product has not reported: out.

    A tuple, because an import makes millions of them.
    """

    country: str = UNKNOWN
    country_given: str = ""
    adult_on: dt.date | None = None
    status: str = Status.UNKNOWN.value
    adult_at: int = MAJORITY

    @property
    def complete(self) -> bool:
        """Enough to be let in (`MemberQuerySet.complete` asks the database the same)."""
        return self.status == _OPEN and self.adult_on is not None and self.country != UNKNOWN

    def stricter(self, other: "Facts") -> "Facts":
        """Facts that exclude a member whom either of the two excludes. The order of the two does not matter.

        Closed beats unknown, and unknown beats open; no age or the later date of majority, and the lower age it is for;
        two countries are an unknown one.
        """
        if self == other:
            return self
        is_one_country = self.country == other.country
        return Facts(
            self.country if is_one_country else UNKNOWN,
            min(self.country_given, other.country_given) if is_one_country else "",
            max(self.adult_on, other.adult_on) if self.adult_on and other.adult_on else None,
            max(self.status, other.status, key=_STRICTNESS.index),
            min(self.adult_at, other.adult_at),
        )


class Known(NamedTuple):
    """A member as the database has it."""

    number: int
    facts: Facts
    reference_seal: str
    account_ref: str = ""
    is_confirmed: bool = True
    """Whether a file of the product has named the account."""


class Sealed(NamedTuple):
    """A reference with its key, and the salt and seal that will be stored beside it."""

    account_ref: str
    key: str
    salt: str
    seal: str


CANARY_PREFIX = "canary:"
"""References of the portal's own test accounts (training_runs.eligibility.canaries) begin so."""
CANARY_ACTOR = "system:canaries"


def is_test_account(account_ref: str) -> bool:
    """Whether it is a canary's, in any spelling: only the portal decides for, imports or erases those."""
    return key_of(account_ref).startswith(CANARY_PREFIX)


def seal(salt: str, account_ref: str) -> str:
    """HMAC-SHA-256 of the reference under the member's salt (hexadecimal both)."""
    return hmac.digest(bytes.fromhex(salt), account_ref.encode(), "sha256").hex()


def fault_of_reference(number: int, account_ref: str, key: str, salt: str, sealed: str) -> str:
    """The fault in the stored reference of a member whose row sealed `sealed`; empty where it is theirs."""
    try:
        is_sealed = hmac.compare_digest(seal(salt, account_ref), sealed)
    except ValueError:  # the salt is no hexadecimal
        is_sealed = False
    if not is_sealed:
        return f"The account reference of member {number} is not the one that was sealed."
    if key_of(account_ref) != key:
        return f"The account reference of member {number} is kept under a key that is not its own."
    return ""


def seal_all(account_refs: Sequence[str], keys: Sequence[str]) -> list[Sealed]:
    """A new salt and its seal for each reference. Needs no database: it can be done ahead."""
    random = os.urandom(16 * len(account_refs)).hex()
    salts = [random[start : start + 32] for start in range(0, len(random), 32)]
    return [
        Sealed(ref, key, salt, seal(salt, ref))
        for ref, key, salt in zip(account_refs, keys, salts, strict=True)
    ]


def keyed_hash(use: str, data: bytes) -> str:
    """HMAC-SHA-256 under a key outside the database; `use` keeps hashes of different things apart."""
    key = settings.SUPPRESSION_KEY.encode()
    return hmac.digest(key, use.encode() + b"\0" + data, "sha256").hex()


def suppression_hash(account_ref: str) -> str:
    """The keyed hash that an erased account leaves behind: the same for every spelling."""
    return keyed_hash("suppression", key_of(account_ref).encode())


def suppressed(account_refs: Iterable[str]) -> set[str]:
    """Those of the references, in any spelling, that belong to erased accounts."""
    if not Suppression.objects.exists():
        return set()
    hashes = {ref: suppression_hash(ref) for ref in account_refs}
    if not hashes:
        return set()
    where, parameters = among("account_hash", list(set(hashes.values())))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT account_hash FROM {Suppression._meta.db_table} WHERE {where}", parameters
        )
        found = {value for (value,) in cursor.fetchall()}
    return {ref for ref, value in hashes.items() if value in found}


class Referred(NamedTuple):
    """A member's number behind a reference."""

    number: int
    is_confirmed: bool
    """Whether a file of the product has named the account."""


def referred(account_refs: Iterable[str]) -> dict[str, Referred]:
    """The members of references in any spelling; accounts that were never reported are missing.

    Code that answers a person or a program asks `consent.lookup`, which leaves a record.
    """
    keys = {ref: key_of(ref) for ref in account_refs}
    if not keys:
        return {}
    where, parameters = among("account_key", list(set(keys.values())))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account_key, member_id, is_confirmed"
            f" FROM {AccountReference._meta.db_table} WHERE {where}",
            parameters,
        )
        found = {key: Referred(number, bool(sure)) for key, number, sure in cursor.fetchall()}
    return {ref: found[key] for ref, key in keys.items() if key in found}


def named_alike(account_ref: str) -> tuple[int | None, list[int]]:
    """The number of the member whose key it is, and those of all members whose reference has the same folding."""
    key, folded = key_of(account_ref), folding_of(account_ref)
    # Test accounts are only the portal's own.
    if not folded or folded.startswith(CANARY_PREFIX):
        return None, []
    # One statement of two questions: each has an index, and a condition over both would read all references.
    columns = ("pk", "account_key")
    found = (
        AccountReference.objects.filter(account_key__in={key, folded})
        .values_list(*columns)
        .union(AccountReference.objects.filter(account_folded=folded).values_list(*columns))
    )
    rows = dict(found)
    return next((pk for pk, one in rows.items() if one == key), None), sorted(rows)


def known(account_refs: Iterable[str]) -> dict[str, Known]:
    """`referred`, with all that is known of each member."""
    keys = {ref: key_of(ref) for ref in account_refs}
    if not keys:
        return {}
    # Two questions, not a join: it would read all members for the sake of a few thousand.
    where, parameters = among("account_key", list(set(keys.values())))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT member_id, account_key, account_ref, is_confirmed"
            f" FROM {AccountReference._meta.db_table} WHERE {where}",
            parameters,
        )
        references = {number: rest for number, *rest in cursor.fetchall()}
        if not references:
            return {}
        where, parameters = among("id", list(references))
        cursor.execute(
            f"SELECT id, reference_seal, {', '.join(Facts._fields)}"
            f" FROM {Member._meta.db_table} WHERE {where}",
            parameters,
        )
        stored = {}
        for number, seal, *facts in cursor.fetchall():
            key, account_ref, is_confirmed = references[number]
            stored[key] = Known(number, _facts(*facts), seal, account_ref, bool(is_confirmed))
    return {ref: stored[key] for ref, key in keys.items() if key in stored}


def reference_of(member: Member) -> AccountReference | None:
    """The member's reference; None for an erased one."""
    return AccountReference.objects.filter(member=member).first()


def create(members: Sequence[tuple[str, Facts]], *, is_confirmed: bool = True) -> list[int]:
    """Create members for references that have none; returns their numbers in the same order.

    Needs an open ledger entry: its lock is what keeps the numbers dense. `is_confirmed` is False for accounts that no
    file of the product has named.
    """
    references = [ref for ref, _ in members]
    sealed = seal_all(references, list(map(key_of, references)))
    return create_sealed(sealed, [facts for _, facts in members], is_confirmed=is_confirmed)


def create_sealed(
    sealed: Sequence[Sealed], facts: Sequence[Facts], *, is_confirmed: bool = True
) -> list[int]:
    """`create` for references that were sealed ahead."""
    if not sealed:
        return []
    opened = open_entry.current()
    first = (Member.objects.aggregate(last=Max("id"))["last"] or 0) + 1
    numbers = range(first, first + len(sealed))
    references, keys, salts, seals = zip(*sealed, strict=True)
    rows = _rows(numbers, facts, seals)
    insert_rows(Member, rows)
    insert_rows(
        AccountReference,
        Rows(
            {
                "member_id": numbers,
                "account_ref": references,
                "account_key": keys,
                "account_folded": list(map(folding_to_keep, keys)),
                "salt": salts,
            }
        ),
        is_confirmed=is_confirmed,
    )
    _add_history(opened, rows, "+")
    _count(
        total=len(sealed),
        complete=sum(fact.complete for fact in facts),
        live_references=len(sealed),
    )
    for meet in registry.hooks("consent.member_created"):
        meet(keys, numbers)
    return list(numbers)


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


def change_known(
    changes: Sequence[tuple[Known, Facts]], spelt: Mapping[int, Sealed] | None = None
) -> None:
    """`change` without building a model for each member.

    `spelt` has, by member number, the reference as the product's file spells it, for members that no file has named
    before: it is sealed in this entry, and is the member's from now on.
    """
    if not changes:
        return
    opened, spelt = open_entry.current(), spelt or {}
    changes = _with_merges(changes, spelt)
    if not changes:
        return
    for before, _ in changes:
        if before.facts.status == Status.ERASED.value:
            raise LedgerError(f"member {before.number} is erased and stays as it is.")
    rows = _rows(
        [before.number for before, _ in changes],
        [after for _, after in changes],
        [
            spelt[before.number].seal if before.number in spelt else before.reference_seal
            for before, _ in changes
        ],
    )
    # The tracked queryset refuses bulk updates; here the history is written beside it.
    update_rows(Member, rows)
    if spelt:
        references, _, salts, _ = zip(*spelt.values(), strict=True)
        update_rows(
            AccountReference,
            Rows(
                {
                    "member_id": list(spelt),
                    "account_ref": references,
                    "salt": salts,
                    "is_confirmed": [True] * len(spelt),
                }
            ),
        )
        for respelt in registry.hooks("consent.references_spelt"):
            respelt(list(spelt))
    _add_history(opened, rows, "~")
    _count(complete=sum(after.complete - before.facts.complete for before, after in changes))


def _with_merges(
    changes: Sequence[tuple[Known, Facts]], spelt: Mapping[int, Sealed]
) -> Sequence[tuple[Known, Facts]]:
    """The changes without what a file undoes of a merge: an account that went stays closed, and the later date of
    majority holds for the one that stays."""
    numbers = {before.number for before, _ in changes}
    merges = heirs.merges_of(numbers)
    if not merges:
        return changes
    gone = {went for went, _ in merges}
    days: dict[int, list[tuple[dt.date, int]]] = {}
    known = Member.objects.filter(pk__in=gone, adult_on__isnull=False)
    for number, adult_on, adult_at in known.values_list("pk", "adult_on", "adult_at"):
        for stays in (stays for went, stays in merges if went == number):
            days.setdefault(stays, []).append((adult_on, adult_at))
    kept = []
    for before, said in changes:
        after = said
        if before.number in gone and after.status != Status.ERASED:
            after = after._replace(status=Status.CLOSED.value)
        if after.adult_on is not None and before.number in days:
            dates, ages = zip(*days[before.number], strict=True)
            after = after._replace(
                adult_on=max(after.adult_on, *dates), adult_at=min(after.adult_at, *ages)
            )
        if after != before.facts or before.number in spelt:
            kept.append((before, after))
    return kept


def erase(member: Member, account_ref: str) -> None:
    """Out for good: the reference and its salt go, a keyed hash stays. Needs an open ledger entry."""
    for erase_more in registry.hooks("consent.member_erased"):
        erase_more(member)
    drafts.forget(f"member:{member.pk}")
    reference = reference_of(member)
    for spelling in {
        account_ref,
        key_of(account_ref),
        *([reference.account_ref] if reference else []),
    }:
        drafts.forget_account(spelling)
    change([(member, facts_of(member)._replace(status=Status.ERASED.value))])
    Suppression(member=member, account_hash=suppression_hash(account_ref)).save()
    # Last: the guard lets the reference of an erased member go, and takes it off the census.
    AccountReference.objects.filter(member=member).delete()
    _count(erasures=1)


_MAX_TOLD = 20


def missing_references(census: Census, *, members: int, erased: int) -> str:
    """Why the census says that a reference is missing or there is one too many; empty when all is well.

    The guard of the table takes off what goes, by whatever hand. A member whose reference went would be a new one,
    and in, with the next import.
    """
    if erased != census.erasures:
        return f"{erased} members are erased, the census counted {census.erasures} erasures."
    if members - erased != census.live_references:
        return (
            f"{members - erased} members are not erased, the census counts"
            f" {census.live_references} account references: one went without an erasure, or came without"
            " its member. Do not import; restore the table from a backup (docs/how-to/verification-failed.md)."
        )
    return ""


def lost_references() -> Iterator[str]:
    """Members without their reference, references without their member, and what of an erased one is left.

    Reads all keys of both tables, as sets: a join may be planned row by row where the database has no figures yet.
    """
    live = Member.objects.exclude(status=Status.ERASED).order_by().values_list("pk")
    held = AccountReference.objects.order_by().values_list("pk")
    for (number,) in sorted(live.difference(held)[:_MAX_TOLD]):
        yield f"Member {number} has no account reference, and was not erased."
    for (number,) in sorted(held.difference(live)[:_MAX_TOLD]):
        yield f"There is an account reference of member {number}, who is erased or was never there."


def lost_reference() -> str:
    """A sentence where references are not as many as the census says; empty when all is well."""
    census = Census.objects.get(pk=1)
    found = missing_references(
        census,
        members=Member.objects.order_by().count(),
        erased=Member.objects.erased().order_by().count(),
    )
    if not found and AccountReference.objects.count() == census.live_references:
        return ""
    return next(lost_references(), found or "There are other account references than were counted.")


def facts_of(member: Member) -> Facts:
    return Facts(
        member.country, member.country_given, member.adult_on, member.status, member.adult_at
    )


def _facts(
    country: str, given: str, adult_on: dt.date | str | None, status: str, adult_at: int
) -> Facts:
    """SQLite hands dates out as text."""
    if isinstance(adult_on, str):
        adult_on = dt.date.fromisoformat(adult_on)
    return Facts(country, given, adult_on, status, adult_at)


def _rows(numbers: Sequence[int], facts: Sequence[Facts], seals: Sequence[str]) -> Rows:
    """Members as the columns that `Member` and its history share."""
    columns = zip(Facts._fields, zip(*facts, strict=True), strict=True)
    return Rows({"id": numbers, **dict(columns), "reference_seal": seals})


def _add_history(opened: open_entry.OpenEntry, rows: Rows, kind: str) -> None:
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


def _count(**more: int) -> None:
    """Add to the census. The database adds: the guard of the references counts in the same row."""
    Census.objects.filter(pk=1).update(**{name: F(name) + number for name, number in more.items()})
