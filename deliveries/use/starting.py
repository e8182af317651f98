"""The training of a run as pipelines report it: begun on a delivery, alive, failed."""

import datetime as dt

from django.contrib.auth.models import User
from django.db.models import Exists, Max, OuterRef, Q
from django.utils import timezone

from deliveries.choices import DeliveryState
from deliveries.errors import LeaseOver, NoValidDelivery
from deliveries.made.ending import ERASED
from deliveries.models import (
    Acknowledgement,
    Delivery,
    Receipt,
    TrainingPulse,
    TrainingStart,
)
from deliveries.querysets import DeliveryQuerySet
from ledger import clock, entries
from ledger.errors import InvalidInput
from training_runs.choices import FindingKind, RunState
from training_runs.errors import ForbiddenMove
from training_runs.models import Finding, Run
from training_runs.runs.moves import move
from training_runs.runs.verifying import usable_manifest


def valid_delivery(run: Run, reference: str = "") -> Delivery:
    """The run's delivery of that name, else the newest one, if it may be used now. Raises LeaseOver, NoValidDelivery."""
    own = Delivery.objects.filter(run=run)
    if reference:
        own = own.filter(reference=reference)
        if not own.exists():
            raise InvalidInput(f"{run.reference} has no delivery {reference}.", field="delivery")
    else:
        own = own.own()
    found: Delivery | None = own.valid_at(clock.now()).order_by("-pk").first()
    if found is not None:
        return found
    newest: Delivery | None = own.exclude(leased_until=None).order_by("-pk").first()
    if newest is None:
        raise NoValidDelivery(
            f"{run.reference} has no delivery yet: POST /api/v1/runs/{run.reference}/deliveries."
        )
    raise LeaseOver(
        f"{newest.reference} is {newest.get_state_display()}: it may not be used any more. {_remedy(newest)}"
    )


def _remedy(delivery: Delivery) -> str:
    if delivery.state in (DeliveryState.DELIVERED, DeliveryState.EXPIRED):
        return f"Renew it: POST /api/v1/deliveries/{delivery.reference}/renewals."
    return f"Request another one: POST /api/v1/runs/{delivery.run.reference}/deliveries."


def begin(*, run: Run, actor: User, delivery: str = "") -> TrainingStart:
    """Say that training begins on a valid delivery; again, on the same one, changes nothing.

    After a failure it begins from nothing. Raises LeaseOver, NoValidDelivery, ForbiddenMove, ManifestNotReady,
    ManifestBlocked, RunCancelled.
    """
    used = valid_delivery(run, delivery)
    with entries.entry("run.training", actor=actor, subject=run.reference) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        usable_manifest(run)
        # Asked under the lock: it may have ended a moment ago.
        if not Delivery.objects.valid_at(clock.now()).filter(pk=used.pk).exists():
            raise LeaseOver(f"{used.reference} has just ended. {_remedy(used)}")
        last = last_start(run)
        if run.state == RunState.TRAINING and last is not None:
            if last.delivery_id != used.pk:
                raise ForbiddenMove(
                    f"{run.reference} is in training on {last.delivery.reference}. Say first that it failed."
                )
            opened.abandon()
            return last
        move(run, RunState.TRAINING)
        start = TrainingStart(run=run, delivery=used, began_at=opened.recorded_at)
        start.save()
        opened.reason = used.reference
    TrainingPulse.objects.update_or_create(
        run=run, defaults={"heartbeat_at": start.began_at, "first_read_at": None}
    )
    return start


def last_start(run: Run) -> TrainingStart | None:
    return (
        TrainingStart.objects.filter(run=run)
        .select_related("delivery", "run")
        .order_by("-pk")
        .first()
    )


def beat(*, run: Run, actor: User, is_reading: bool) -> TrainingPulse:
    """Record a sign of life; the first one that reads says when data was first read.

    Use after the lease opens a finding, once for a delivery. Raises ForbiddenMove, LeaseOver.
    """
    start = last_start(run)
    if run.state != RunState.TRAINING or start is None:
        raise ForbiddenMove(f"{run.reference} is {run.get_state_display()}, not in training.")
    now = clock.now()
    pulse, _ = TrainingPulse.objects.get_or_create(run=run, defaults={"heartbeat_at": now})
    pulse.heartbeat_at = timezone.now()
    if is_reading and pulse.first_read_at is None:
        pulse.first_read_at = now
    pulse.save()
    if is_late(start):
        find_late_use(run, start.delivery, actor, "heartbeat")
        raise LeaseOver(
            f"The lease of {start.delivery.reference} is over: stop. {_how_to_go_on(start)}"
        )
    return pulse


def is_late(start: TrainingStart) -> bool:
    """Whether the lease of the data that a training holds is over.

    It is that of the delivery the training began on, or of a later one that the training knows of.
    """
    now = clock.now()
    return not (
        _lasting(now).filter(pk=start.delivery_id).exists()
        or _known_to(start, _later(start, now)).exists()
    )


def _lasting(now: dt.datetime) -> DeliveryQuerySet:
    """Deliveries whose lease counts for data that is held already.

    The file of one that was replaced is gone, and what was made of it may be used until its lease ends. So it is when an
    erasure ended it: the erased member is among those who have withdrawn, and the training answers for them too.
    """
    in_use = Q(state__in=[DeliveryState.DELIVERED, DeliveryState.REPLACED])
    erased = Q(state=DeliveryState.CANCELLED, end_reason=ERASED)
    return Delivery.objects.filter(in_use | erased, leased_until__gt=now)


def _later(start: TrainingStart, now: dt.datetime) -> DeliveryQuerySet:
    """Later deliveries of the run to the same team or recipient."""
    to = start.delivery.recipient_id
    return _lasting(now).filter(run=start.run_id, recipient=to, pk__gt=start.delivery_id)


def _known_to(start: TrainingStart, later: DeliveryQuerySet) -> DeliveryQuerySet:
    """Those whose subtraction the training knows: their data set has a receipt, or their withdrawals are acknowledged.

    A renewal alone would go on with the list of members who have left.
    """
    own = Acknowledgement.objects.filter(run=start.run_id, delivery=start.delivery_id)
    acknowledged = own.aggregate(cut=Max("cut"))["cut"]
    received = Receipt.objects.filter(delivery=OuterRef("pk"))
    return later.filter(Q(cut__lte=acknowledged or 0) | Exists(received))


def _how_to_go_on(start: TrainingStart) -> str:
    renewed = _later(start, clock.now()).order_by("-pk").first()
    if renewed is None:
        return _remedy(start.delivery)
    at = f"/api/v1/runs/{start.run.reference}"
    return (
        f"{renewed.reference} has taken its place: take out who has left and send the receipt (POST {at}/receipts), or"
        f" acknowledge the withdrawals (GET {at}/withdrawn, POST {at}/withdrawn/acknowledgements)."
    )


def find_late_use(run: Run, delivery: Delivery, actor: User, how: str) -> None:
    """Open a finding that a delivery was used after its lease, once for each delivery and way."""
    detail = {"delivery": delivery.reference, "how": how}
    with entries.entry("run.used_after_lease", actor=actor, subject=run.reference) as opened:
        if Finding.objects.filter(run=run, kind=FindingKind.LEASE_OVER, detail=detail).exists():
            opened.abandon()
            return
        Finding(
            run=run, kind=FindingKind.LEASE_OVER, detail=detail, found_at=opened.recorded_at
        ).save()


def fail(*, run: Run, actor: User, reason: str) -> Run:
    """Say that training failed. The run keeps its manifest: it can be trained again, from nothing, on a valid delivery."""
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    with entries.entry("run.failed", actor=actor, subject=run.reference, reason=reason) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.state == RunState.FAILED:
            opened.abandon()
            return run
        move(run, RunState.FAILED)
    return run
