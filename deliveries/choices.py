"""The closed vocabularies of deliveries, receipts and what follows from them."""

from django.db import models


class DeliveryState(models.TextChoices):
    REQUESTED = "requested", "being made"
    DELIVERED = "delivered", "delivered"
    EXPIRED = "expired", "lease ended"
    REPLACED = "replaced", "replaced"
    CANCELLED = "cancelled", "ended early"
    REFUSED = "refused", "refused"


ALIVE = (DeliveryState.REQUESTED, DeliveryState.DELIVERED)

# The one map of moves; a move that is not in it is refused.
NEXT_STATES: dict[str, frozenset[str]] = {
    DeliveryState.REQUESTED: frozenset(
        {DeliveryState.DELIVERED, DeliveryState.CANCELLED, DeliveryState.REFUSED}
    ),
    DeliveryState.DELIVERED: frozenset(
        {
            DeliveryState.EXPIRED,
            DeliveryState.REPLACED,
            DeliveryState.CANCELLED,
            DeliveryState.REFUSED,  # it did not verify
        }
    ),
    DeliveryState.EXPIRED: frozenset(),
    DeliveryState.REPLACED: frozenset(),
    DeliveryState.CANCELLED: frozenset(),
    DeliveryState.REFUSED: frozenset(),
}


class DeliveryForm(models.TextChoices):
    """The form of what is handed out."""

    LIST = "list", "list of accounts (Parquet)"
    SET = "set", "set of member numbers (Roaring)"


class WaiverState(models.TextChoices):
    ASKED = "asked", "waiting for a privacy officer"
    APPROVED = "approved", "approved"
    REFUSED = "refused", "refused"


class RecipientKind(models.TextChoices):
    TEAM = "team", "team"
    AFFILIATE = "affiliate", "affiliate"
    PROCESSOR = "processor", "processor"
