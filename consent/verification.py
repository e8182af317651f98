"""Checks that only consent can make: projections, the census and the seals of account references."""

from collections.abc import Iterator

from django.db.models import Count

from consent import members
from consent.counting import Counted, Receipt, counted
from consent.models import (
    AccountReference,
    Census,
    Consent,
    Decision,
    Member,
    Notice,
    Suppression,
)
from consent.references import folding_to_keep
from consent.rulebook.notices import digest_of
from ledger import entries


def consent_is_its_decisions() -> Iterator[str]:
    """Derives every choice from the decisions, in the order they were recorded, and compares with the current choices."""
    behind = entries.behind_the_latest()
    derived: dict[tuple[int, str], Counted] = {}
    rows = Decision.objects.order_by("entry_id", "pk").values_list(
        "entry_id", "entry__recorded_at", "member_id", "purpose", "choice", "decided_at",
        "counts_at", "evidence_only",
    )  # fmt: skip
    for entry, received_at, number, purpose, choice, sent, at, is_evidence in rows.iterator(10_000):
        said = counted(choice, sent, Receipt(received_at, behind.get(entry, received_at)))
        if said.at != at:
            yield f"A decision of entry {entry} counts at {at}, and by its times at {said.at}."
        if not is_evidence and said.takes_over_from(
            derived.get((number, purpose)), received_at=received_at
        ):
            derived[number, purpose] = said
    for number, purpose, *choice in Consent.objects.values_list(
        "member_id", "purpose", "choice", "decided_at", "is_ahead"
    ).iterator(10_000):
        if derived.pop((number, purpose), None) != Counted(*choice):
            yield f"The choice of member {number} for {purpose} is not what the decisions say."
    for number, purpose in derived:
        yield f"The choice of member {number} for {purpose} is missing."


def census_is_a_count() -> Iterator[str]:
    census = Census.objects.get(pk=1)
    counted = Member.objects.aggregate(total=Count("pk"))["total"]
    complete = Member.objects.complete().count()
    if (census.total, census.complete) != (counted, complete):
        yield (
            f"The census says {census.total} members, {census.complete} complete;"
            f" there are {counted}, {complete} complete."
        )
    references, erased = AccountReference.objects.count(), Member.objects.erased().count()
    if (census.live_references, census.erasures) != (references, erased):
        yield (
            f"The census says {census.live_references} account references, {census.erasures}"
            f" erasures; there are {references} and {erased}."
        )


def references_are_sealed() -> Iterator[str]:
    """Opens every seal: two accounts cannot be swapped, for each reference belongs to the member that sealed it."""
    rows = AccountReference.objects.order_by("pk").values_list(
        "member_id", "account_ref", "account_key", "salt", "member__reference_seal"
    )
    for row in rows.iterator(10_000):
        if fault := members.fault_of_reference(*row):
            yield fault
    folded = AccountReference.objects.filter(account_folded__isnull=False).order_by("pk")
    for number, key, kept in folded.values_list("pk", "account_key", "account_folded").iterator(
        10_000
    ):
        if kept != folding_to_keep(key):
            yield f"The account reference of member {number} is kept under a folding that is not its own."


def erased_are_suppressed() -> Iterator[str]:
    """Every erased account is kept out of later imports."""
    erased = Member.objects.erased().order_by().values_list("pk")
    suppressed = Suppression.objects.order_by().values_list("member_id")
    for (number,) in sorted(erased.difference(suppressed)[:20]):
        yield f"Member {number} is erased, and the suppression list does not hold the account: the next import would create it again."


def notices_are_their_texts() -> Iterator[str]:
    """The digest of every notice is that of its texts."""
    for row in Notice.objects.only("version", "texts", "texts_sha256").iterator(100):
        if digest_of(row.texts) != row.texts_sha256:
            yield f"The digest of notice {row.version} is not that of its texts."
