"""Merges and splits of accounts: facts that the product sends. The strictest of both holds, and history stays."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from common import registry
from consent import decisions, heirs, members
from consent.accounts import check_account_ref, not_yours
from consent.choices import AccountChangeKind, Choice, Status
from consent.errors import AccountErased, AccountsInACircle, SourceIdReused
from consent.models import AccountChange, Consent, Member, Suppression
from consent.references import key_of
from ledger import canonical, entries, open_entry
from ledger.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Changed:
    """The answer to a change: the entry that holds it. A replay gets the first one."""

    source_id: str
    entry: int
    recorded_at: dt.datetime
    is_replay: bool


def merged(
    *,
    source_id: str,
    account_ref: str,
    into: str,
    merged_at: dt.datetime,
    actor: open_entry.Actor,
) -> Changed:
    """Record that an account went into another one, which refuses from now on what either has refused.

    The account that goes is closed for good. An account that no file has named yet is kept as one that is out. Raises
    SourceIdReused, AccountsInACircle, AccountErased where the account that stays is erased.
    """
    return _record(
        kind=AccountChangeKind.MERGED,
        source_id=source_id,
        account_ref=account_ref,
        others=[into],
        held_at=merged_at,
        actor=actor,
    )


def split(
    *,
    source_id: str,
    account_ref: str,
    new: Sequence[str],
    split_at: dt.datetime,
    actor: open_entry.Actor,
) -> Changed:
    """Record that accounts were split off from another one: each refuses what that one had refused by then.

    Raises SourceIdReused, AccountsInACircle, AccountErased.
    """
    return _record(
        kind=AccountChangeKind.SPLIT,
        source_id=source_id,
        account_ref=account_ref,
        others=new,
        held_at=split_at,
        actor=actor,
    )


def _record(
    *,
    kind: AccountChangeKind,
    source_id: str,
    account_ref: str,
    others: Sequence[str],
    held_at: dt.datetime,
    actor: open_entry.Actor,
) -> Changed:
    # The names of the fields are those of the API.
    named = "into" if kind == AccountChangeKind.MERGED else "new"
    if not 1 <= len(source_id) <= 100 or not source_id.isprintable():
        raise InvalidInput("1 to 100 printable characters.", field="source_id")
    keys = [key_of(one) for one in (account_ref, *others)]
    for key, field in zip(keys, ["account_ref", *[named] * len(others)], strict=True):
        check_account_ref(key)
        if members.is_test_account(key):
            raise not_yours()
        if decisions.repeats(key, source_id):
            raise InvalidInput(
                "It repeats an account, and is kept for good: name the event.", field="source_id"
            )
        if keys.count(key) > 1:
            raise InvalidInput("An account is named twice.", field=field)
    body = {"kind": kind.value, "accounts": keys, "held_at": held_at.isoformat()}
    digest = members.keyed_hash("account_change", canonical.dumps(body))
    if known := _known(source_id, digest):
        return known
    with entries.entry(f"account.{kind.value}", actor=actor) as opened:
        if known := _known(source_id, digest):
            opened.abandon()
            return known
        went, *stay = _numbers(keys)
        if erased := Member.objects.filter(pk__in=stay, status=Status.ERASED).count():
            raise AccountErased(
                f"{erased} of the accounts in {named} were erased. They stay out, and none of their data is kept."
            )
        if set(stay) & set(heirs.with_predecessors(went)):
            raise AccountsInACircle(
                f"The account in {named} went into this one before: accounts cannot be merged in a circle."
            )
        entries.add(
            [
                AccountChange(
                    kind=kind,
                    source_id=source_id,
                    body_digest=digest,
                    member_id=went,
                    heir_id=heir,
                    held_at=held_at,
                )
                for heir in stay
            ]
        )
        opened.subject = f"member:{went}"
        if kind == AccountChangeKind.MERGED:
            _hold(went, stay[0])
        for purpose in Consent.objects.filter(member=went, choice=Choice.DENY).values_list(
            "purpose", flat=True
        ):
            decisions.pass_on(went, purpose, opened)
        for follow in registry.hooks("consent.account_changed"):
            follow(heirs.with_predecessors(went))
    return Changed(source_id, opened.sequence, opened.recorded_at, is_replay=False)


def _known(source_id: str, digest: str) -> Changed | None:
    row = AccountChange.objects.filter(source_id=source_id).select_related("entry").first()
    if row is None:
        return None
    if row.body_digest != digest:
        raise SourceIdReused(
            "This source_id was used for another change of accounts: a new change needs a new source_id."
        )
    return Changed(source_id, row.entry_id, row.entry.recorded_at, is_replay=True)


def _numbers(keys: Sequence[str]) -> list[int]:
    """The numbers of the accounts: an erased one has its own still, one that was never named is created, and is out."""
    found = {key: one.number for key, one in members.referred(keys).items()}
    hashes = {members.suppression_hash(key): key for key in keys if key not in found}
    for row in Suppression.objects.filter(account_hash__in=hashes):
        found[hashes[row.account_hash]] = row.member_id
    unknown = [key for key in keys if key not in found]
    created = members.create([(key, members.Facts()) for key in unknown], is_confirmed=False)
    found |= dict(zip(unknown, created, strict=True))
    return [found[key] for key in keys]


def _hold(went: int, stays: int) -> None:
    """Close the account that goes, and give the other one the later date of majority."""
    rows = Member.objects.in_bulk([went, stays])
    # `members.change` holds both to the merge, which is recorded by now; what an erased one was is over.
    members.change(
        [
            (row, members.facts_of(row))
            for row in (rows[went], rows[stays])
            if row.status != Status.ERASED
        ]
    )
