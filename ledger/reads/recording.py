"""A read that must be on record leaves one before anything is shown; where it cannot be recorded it is refused."""

from django.contrib.auth.models import User
from django.db import DatabaseError

from ledger import registry
from ledger.errors import ReadNotRecorded
from ledger.models import AccessRecord


def record_read(actor: User, kind: str, subject: str, *, purpose: str = "") -> None:
    """Call it before the answer is given. `kind` is the code of a declared `ReadKind`, `subject` a public reference."""
    registry.read_kind(kind)
    try:
        AccessRecord(
            user_id=actor.pk,
            actor_name=actor.get_username(),
            kind=kind,
            subject=subject,
            purpose=purpose[:200],
        ).save()
    except DatabaseError as error:
        raise ReadNotRecorded("The read could not be recorded, so it is refused.") from error
