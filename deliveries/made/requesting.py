"""Requesting a delivery: the row is the queue, and a worker makes it."""

from django.contrib.auth.models import User

from deliveries.choices import ALIVE, DeliveryForm, DeliveryState
from deliveries.errors import DeliveryNotReady, RunNotInUse
from deliveries.made import stores
from deliveries.models import Delivery, Recipient
from ledger import clock, entries, open_entry
from ledger.errors import InvalidInput
from ledger.references import next_reference
from training_runs.choices import RunState
from training_runs.models import Run
from training_runs.runs.verifying import usable_manifest

IN_USE = (RunState.FROZEN, RunState.TRAINING, RunState.FAILED)
"""The states of a run that has a use for a delivery."""

_CAME_TO_NOTHING = (DeliveryState.CANCELLED, DeliveryState.REFUSED)
"""States of a renewal after which the old delivery can be renewed again."""


def request(
    *,
    run: Run,
    actor: User,
    form: str = DeliveryForm.LIST,
    recipient: Recipient | None = None,
) -> tuple[Delivery, bool]:
    """Request a delivery; while one is being made or its lease lasts, the same request gives that one and False.

    Raises RunNotInUse, ManifestNotReady, ManifestBlocked, RunCancelled, DeliveryQuota, InvalidInput.
    """
    _check_recipient(recipient)
    with entries.entry("delivery.requested", actor=actor, subject=run.reference) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        known = _alive(run, form, recipient)
        if known is not None:
            opened.abandon()
            return known, False
        wanted = Delivery(run=run, form=form, recipient=recipient, requested_by=actor)
        return _queue(opened, wanted), True


def renew(*, delivery: Delivery, actor: User) -> tuple[Delivery, bool]:
    """Request the delivery that takes the place of this one, with a new subtraction; again gives the same one.

    The old one can be used until the new one is made. Raises what `request` raises, and DeliveryNotReady.
    """
    with entries.entry("delivery.requested", actor=actor, subject=delivery.run.reference) as opened:
        delivery = Delivery.objects.select_for_update().select_related("run").get(pk=delivery.pk)
        known = Delivery.objects.filter(renews=delivery).first()
        if known is not None and known.state not in _CAME_TO_NOTHING:
            opened.abandon()
            return known, False
        if delivery.state not in (DeliveryState.DELIVERED, DeliveryState.EXPIRED):
            raise DeliveryNotReady(
                f"{delivery.reference} is {delivery.get_state_display()}: request a delivery of"
                f" {delivery.run.reference} instead."
            )
        _check_recipient(delivery.recipient)
        waiting = Delivery.objects.requested().filter(
            run=delivery.run, form=delivery.form, recipient=delivery.recipient
        )
        if known := waiting.first():
            opened.abandon()
            return known, False
        if known := Delivery.objects.filter(renews=delivery).first():
            # The history keeps what it was meant to renew.
            known.renews = None
            known.save()
        run = Run.objects.select_for_update().get(pk=delivery.run_id)
        wanted = Delivery(
            run=run,
            form=delivery.form,
            recipient=delivery.recipient,
            renews=delivery,
            requested_by=actor,
        )
        return _queue(opened, wanted), True


def _check_recipient(recipient: Recipient | None) -> None:
    if recipient is not None and not recipient.is_active:
        raise InvalidInput(f"The recipient {recipient} is not active.", field="recipient")


def _alive(run: Run, form: str, recipient: Recipient | None) -> Delivery | None:
    found = Delivery.objects.filter(run=run, form=form, recipient=recipient, state__in=ALIVE)
    now = clock.now()
    for delivery in found.order_by("-pk"):
        # A lease that has run out ends by itself, whether or not a sweep has come by.
        if delivery.leased_until is None or delivery.leased_until > now:
            return delivery
    return None


def _queue(opened: open_entry.OpenEntry, delivery: Delivery) -> Delivery:
    """Save a delivery that a worker will make."""
    run = delivery.run
    delivery.manifest = usable_manifest(run)
    if run.state not in IN_USE:
        raise RunNotInUse(
            f"{run.reference} is {run.get_state_display()}: what uses its data now is a run of its own, with it as"
            " parent."
        )
    stores.room(delivery)
    delivery.reference = next_reference("DL", opened.recorded_at.year)
    delivery.requested_at = opened.recorded_at
    delivery.save()
    opened.reason = f"{delivery.reference}, {delivery.get_form_display()}"
    return delivery
