"""Ending deliveries: a lease that ran out, a cancellation, a replacement, an erasure. Their files go."""

from collections.abc import Iterable

import structlog
from django.contrib.auth.models import User
from django.db import transaction

from consent.models import Member
from deliveries.choices import NEXT_STATES, DeliveryState
from deliveries.errors import DeliveryNotReady
from deliveries.made import account_map, archives, stores
from deliveries.models import Delivery
from ledger import clock, entries, open_entry
from ledger.errors import InvalidInput
from training_runs.errors import ManifestDamaged
from training_runs.models import Run

logger = structlog.get_logger(__name__)

SWEEPER = "system:deliverer"
ERASED = "An account in it was erased: request another delivery."


def end(deliveries: Iterable[Delivery], state: DeliveryState, reason: str) -> None:
    """Move deliveries to a final state inside the open entry; their files go once it is committed."""
    opened = open_entry.current()
    ended = list(deliveries)
    for delivery in ended:
        if state not in NEXT_STATES[delivery.state]:
            raise DeliveryNotReady(
                f"{delivery.reference} is {delivery.get_state_display()}: it cannot become {state.label}."
            )
        delivery.state, delivery.end_reason = state, reason[:200]
        delivery.ended_at = opened.recorded_at
        delivery.save()
    files_gone(ended)


def files_gone(deliveries: Iterable[Delivery]) -> None:
    """Delete the files of deliveries once the transaction is committed; a sweep deletes what is left."""
    for delivery in deliveries:
        _remove_once_committed(delivery.reference)


def _remove_once_committed(reference: str) -> None:
    # No `partial`: Django logs a failure by the name of the function, and a partial has none.
    transaction.on_commit(lambda: stores.remove(reference), robust=True)


def cancel(*, delivery: Delivery, actor: User, reason: str) -> Delivery:
    """End a delivery before its lease does. Cannot be undone. Raises DeliveryNotReady, InvalidInput."""
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    with entries.entry(
        "delivery.cancelled", actor=actor, subject=delivery.run.reference, reason=reason
    ) as opened:
        delivery = Delivery.objects.select_for_update().get(pk=delivery.pk)
        if delivery.state == DeliveryState.CANCELLED:
            opened.abandon()
            return delivery
        end([delivery], DeliveryState.CANCELLED, "Cancelled.")
    return delivery


def expire_due() -> int:
    """End the deliveries whose lease has run out; returns how many."""
    due = Delivery.objects.filter(state=DeliveryState.DELIVERED, leased_until__lte=clock.now())
    count = 0
    for key in list(due.order_by("pk").values_list("pk", flat=True)[:1000]):
        with entries.entry("delivery.expired", actor=SWEEPER) as opened:
            delivery = due.select_for_update().select_related("run").filter(pk=key).first()
            if delivery is None:
                opened.abandon()
                continue
            opened.subject, opened.reason = delivery.run.reference, delivery.reference
            end([delivery], DeliveryState.EXPIRED, "The lease ended.")
            count += 1
    return count


def end_of_run(run: Run, reason: str) -> None:
    """End the living deliveries of a run that is over, inside the open entry."""
    for delivery in Delivery.objects.alive().select_for_update().filter(run=run):
        end([delivery], DeliveryState.CANCELLED, reason)


def end_with_member(member: Member) -> None:
    """No file keeps an account that is erased: deliveries that hold it end in the entry that erases.

    The file of the account map that has it goes, and is made again without it.

    One that is being written finds the erasure itself, when it is recorded (`making`).
    """
    account_map.note_erased(member.pk)
    made = Delivery.objects.filter(state=DeliveryState.DELIVERED).select_for_update()
    end(
        [one for one in made if one.files and _may_hold(one, member.pk)],
        DeliveryState.CANCELLED,
        ERASED,
    )


def _may_hold(delivery: Delivery, number: int) -> bool:
    try:
        return archives.includes(delivery, number)
    except (ManifestDamaged, OSError):
        return True
