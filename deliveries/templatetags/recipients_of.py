"""Whom the recipients of data are told about, for the page of a ticket: tickets show it, only the deliveries know it."""

from typing import Any

from django import template

from deliveries import recipients
from deliveries.models import RecipientTold
from training_runs.errors import ManifestDamaged

register = template.Library()


@register.inclusion_tag("admin/deliveries/recipients_of_ticket.html", takes_context=True)
def recipients_of(context: dict[str, Any], reference: str) -> dict[str, Any]:
    """The recipients who were told of a ticket, and those who have to be (GDPR Art. 19)."""
    try:
        duties, is_readable = recipients.open_duties(reference), True
    except (ManifestDamaged, OSError):
        duties, is_readable = [], False
    told = RecipientTold.objects.filter(subject=reference).select_related("recipient", "entry")
    return {
        "duties": duties,
        "told": list(told),
        "is_readable": is_readable,
        "perms": context.get("perms"),
    }
