"""Recipients of data sets: teams, affiliates and processors. Administrators make them."""

from typing import Any

from django.core.exceptions import ValidationError

from consent import countries
from deliveries.models import Recipient
from ledger import entries, open_entry
from ledger.errors import InvalidInput


def record(
    *, actor: open_entry.Actor, recipient: Recipient | None = None, **facts: Any
) -> Recipient:
    """Make a recipient, or change one; its name does not change. Raises InvalidInput."""
    if facts.get("country") and facts["country"] not in countries.NAMES:
        raise InvalidInput("A code of ISO 3166-1, like IE.", field="country")
    name = recipient.name if recipient else facts["name"]
    with entries.entry("recipient.changed", actor=actor, subject=f"recipient:{name}") as opened:
        row = (
            Recipient.objects.select_for_update().get(pk=recipient.pk) if recipient else Recipient()
        )
        facts = {**facts, "name": name}
        if recipient and all(getattr(row, field) == value for field, value in facts.items()):
            opened.abandon()
            return row
        for field, value in facts.items():
            setattr(row, field, value)
        try:
            row.full_clean()
        except ValidationError as error:
            field = next(iter(error.message_dict))
            raise InvalidInput(" ".join(error.messages), field=field) from None
        row.save()
    return row
