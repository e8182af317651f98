"""What only consent can check: projections, the census and the seals of account references."""

from collections.abc import Iterator

from django.db.models import Count

from consent import members
from consent.choices import Choice
from consent.models import AccountReference, Census, Consent, Decision, Member


def consent_is_its_decisions() -> Iterator[str]:
    """Folds every decision, in the order they were recorded, and compares with the current choices."""
    folded: dict[tuple[int, str], tuple[object, bool]] = {}
    rows = Decision.objects.filter(evidence_only=False).order_by("entry_id", "pk")
    for number, purpose, choice, at in rows.values_list(
        "member_id", "purpose", "choice", "decided_at"
    ).iterator(10_000):
        weight = (at, choice == Choice.DENY)
        if (number, purpose) not in folded or weight > folded[number, purpose]:
            folded[number, purpose] = weight
    for number, purpose, choice, at in Consent.objects.values_list(
        "member_id", "purpose", "choice", "decided_at"
    ).iterator(10_000):
        if folded.pop((number, purpose), None) != (at, choice == Choice.DENY):
            yield f"The choice of member {number} for {purpose} is not what the decisions say."
    for number, purpose in folded:
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


def references_are_sealed() -> Iterator[str]:
    """Nobody can swap two accounts: each reference belongs to the member that sealed it."""
    rows = AccountReference.objects.order_by("pk").values_list(
        "member_id", "account_ref", "salt", "member__reference_seal"
    )
    for number, account_ref, salt, seal in rows.iterator(10_000):
        if members.seal(salt, account_ref) != seal:
            yield f"The account reference of member {number} is not the one that was sealed."


CHECKS = {
    "choices are the fold of decisions": consent_is_its_decisions,
    "the census is a count": census_is_a_count,
    "account references are the sealed ones": references_are_sealed,
}
