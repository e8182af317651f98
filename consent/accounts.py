"""Members by their account references, and their erasure."""

from django.contrib.auth.models import User

from common import registry
from consent import lookup, members
from consent.models import (
    Member,
)
from consent.references import MAX_LENGTH, has_controls, key_of
from ledger import entries, open_entry
from ledger.errors import InvalidInput, NotFound


def check_account_ref(account_ref: str) -> None:
    """Raises InvalidInput unless its key has 1 to 100 characters, none of them a control character.

    No other spelling is refused: an opt-out that is refused is lost.
    """
    key = key_of(account_ref)
    if not 1 <= len(key) <= MAX_LENGTH or has_controls(key):
        raise InvalidInput(
            f"1 to {MAX_LENGTH} characters, without control characters.", field="account_ref"
        )


def member_by_reference(account_ref: str) -> Member:
    """The member of a reference in any spelling, for an act on that member. Raises NotFound.

    It leaves no record: doors ask `consent.lookup`. The message does not repeat the reference.
    """
    found = members.referred([account_ref]).get(account_ref)
    if found is None:
        raise NotFound("No member has this account_ref.")
    return Member.objects.get(pk=found.number)


def erase_member(*, account_ref: str, actor: open_entry.Actor, reason: str) -> Member:
    """Erase a member's identity: out for good, by GDPR Art. 17. Cannot be undone.

    Raises NotFound; a person who asked has that on record.
    """
    if members.is_test_account(account_ref) and actor != members.CANARY_ACTOR:
        raise not_yours()
    if isinstance(actor, User):
        lookup.look_up(account_ref, reader=actor, kind="member.read", purpose="erasure")
    with entries.entry("member.erased", actor=actor, reason=reason) as opened:
        member = member_by_reference(account_ref)
        members.erase(member, account_ref)
        opened.subject = f"member:{member.pk}"
    return member


def kept_after_erasure(member: Member) -> list[str]:
    """Sentences on what is kept although a member's account is erased: an answer that is owed goes out first."""
    return [
        sentence
        for kept in registry.hooks("consent.kept_after_erasure")
        for sentence in kept(member)
    ]


def not_yours() -> InvalidInput:
    return InvalidInput(
        f"References that begin with {members.CANARY_PREFIX} are the portal's own test accounts.",
        field="account_ref",
    )
