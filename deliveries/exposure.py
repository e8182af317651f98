"""The exposure of members of a run: delivered, and used as receipts say."""

from pyroaring import BitMap

from deliveries.choices import DeliveryState
from deliveries.made import archives
from deliveries.models import Delivery


def of_members(run_id: int, members: BitMap) -> tuple[BitMap, BitMap]:
    """Those of the members who are in a delivery of the run, and those in one with a receipt.

    Raises ManifestDamaged, OSError when an archive cannot be read: then there is no answer.
    """
    delivered, used = BitMap(), BitMap()
    made = Delivery.objects.filter(run=run_id, cut__isnull=False).exclude(
        state=DeliveryState.REQUESTED
    )
    with_receipt = set(made.filter(receipts__isnull=False).values_list("pk", flat=True))
    for delivery in made.order_by("pk"):
        found = archives.load(delivery).delivered & members
        delivered |= found
        if delivery.pk in with_receipt:
            used |= found
    return delivered, used
