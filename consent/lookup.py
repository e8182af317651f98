"""From a reference to its member: the one way for code that answers a person or a program.

That an account exists, or does not, is an answer about a person: the read is on record before it is given.
"""

from django.contrib.auth.models import User

from consent import members
from consent.models import Member
from ledger.errors import NotFound
from ledger.reads.recording import record_read

UNKNOWN = "member:unknown"


def look_up(
    account_ref: str,
    *,
    reader: User,
    kind: str,
    purpose: str = "",
    but_test_accounts: bool = False,
) -> Member:
    """The member of a reference in any spelling, once the look is on record under `kind`.

    Raises NotFound, also on record, without repeating the reference; ReadNotRecorded.
    """
    is_hidden = but_test_accounts and members.is_test_account(account_ref)
    found = None if is_hidden else members.referred([account_ref]).get(account_ref)
    return _answered(
        found and found.number,
        NotFound("No member has this account_ref."),
        reader=reader,
        kind=kind,
        purpose=purpose,
    )


def look_up_number(number: int, *, reader: User, kind: str, purpose: str = "") -> Member:
    """The member with a number, on record as `look_up` is. Raises NotFound, ReadNotRecorded."""
    return _answered(
        number, NotFound("No member has this number."), reader=reader, kind=kind, purpose=purpose
    )


def _answered(
    number: int | None, missing: NotFound, *, reader: User, kind: str, purpose: str
) -> Member:
    member = None
    if number is not None and 0 < number < 2**31:
        member = Member.objects.filter(pk=number).first()
    record_read(reader, kind, f"member:{member.pk}" if member else UNKNOWN, purpose=purpose)
    if member is None:
        raise missing
    return member
