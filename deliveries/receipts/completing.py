"""Completing a run: on a receipt, or on a waiver. Cannot be undone."""

from typing import Any

from django.contrib.auth.models import User

from deliveries.choices import WaiverState
from deliveries.made.ending import end_of_run
from deliveries.models import Completion, Receipt, TrainingStart, Waiver
from deliveries.receipts.statements import predicate_of
from deliveries.use.acknowledging import find_unacknowledged, state_of
from deliveries.use.starting import find_late_use, is_late, last_start
from ledger import entries
from ledger.errors import InvalidInput, RuleViolation
from training_runs.choices import RunState
from training_runs.models import Run
from training_runs.runs.moves import check_move, move
from training_runs.runs.verifying import usable_manifest


class ReceiptMissing(RuleViolation):
    """A run completes with a receipt of the delivery that its last training began on, or by a waiver."""

    code = "receipt_missing"


def complete(*, run: Run, actor: User, receipt: str = "") -> Run:
    """Complete a run in training, on the receipt of that name, else the newest one of the training, else a waiver.

    A completed run changes nothing. Withdrawals that were not acknowledged open a finding. Raises ReceiptMissing,
    ForbiddenMove, ManifestBlocked, InvalidInput.
    """
    if run.state == RunState.COMPLETED:
        return _as_it_is(run, receipt)
    check_move(run, RunState.COMPLETED)
    start = last_start(run)
    if start is not None and is_late(start):
        find_late_use(run, start.delivery, actor, "completion")
    now = state_of(run)
    with entries.entry("run.completed", actor=actor, subject=run.reference) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.state == RunState.COMPLETED:
            opened.abandon()
            return _as_it_is(run, receipt)
        check_move(run, RunState.COMPLETED)
        # Asked under the lock: a verification may have differed a moment ago.
        usable_manifest(run)
        ground = _ground(run, receipt)
        Completion(run=run, **ground).save()
        find_unacknowledged(run, now, opened)
        move(run, RunState.COMPLETED)
        end_of_run(run, f"{run.reference} is completed.")
        opened.reason = ", ".join(str(one) for one in ground.values())
    return run


def _as_it_is(run: Run, receipt: str) -> Run:
    done = Completion.objects.select_related("receipt").get(run=run)
    if receipt and (done.receipt is None or done.receipt.reference != receipt):
        raise InvalidInput(
            f"{run.reference} is completed on {done.receipt or 'a waiver'} already.",
            field="receipt",
        )
    return run


def _ground(run: Run, reference: str) -> dict[str, Receipt | Waiver]:
    own = Receipt.objects.filter(run=run).select_related("delivery").order_by("-pk")
    start = last_start(run)
    assert start is not None
    if reference:
        named = own.filter(reference=reference).first()
        if named is None:
            raise InvalidInput(f"{run.reference} has no receipt {reference}.", field="receipt")
        if named.delivery_id < start.delivery_id:
            raise InvalidInput(
                f"{reference} is of {named.delivery.reference}, and the training began on {start.delivery.reference}.",
                field="receipt",
            )
        return {"receipt": named}
    # A data set stays good for a second try. One of an earlier delivery has members who have left since.
    newest = own.filter(delivery__gte=start.delivery_id).first()
    if newest is not None:
        return {"receipt": newest}
    waiver = Waiver.objects.filter(run=run, state=WaiverState.APPROVED).order_by("-pk").first()
    if waiver is not None and _is_of(waiver, start):
        return {"waiver": waiver}
    raise ReceiptMissing(
        f"{run.reference} has no receipt of {start.delivery.reference}, which its training began on:"
        f" POST /api/v1/runs/{run.reference}/receipts. Where none can be made, ask for a waiver: POST /api/v1/runs/{run.reference}/waivers."
    )


def _is_of(waiver: Waiver, start: TrainingStart) -> bool:
    """Whether a waiver speaks of that training: asked for in it, or before the run's first one."""
    earlier = TrainingStart.objects.filter(run=waiver.run_id, began_at__lte=waiver.asked_at)
    return waiver.asked_at >= start.began_at or not earlier.exists()


def is_redaction_proven(purpose: str) -> bool:
    """Whether the receipts of all completed runs for a purpose say that a redaction was applied; no run is no."""
    found = _redactions(purpose)
    return bool(found) and all(found)


def is_list_applied(purpose: str) -> bool:
    """Whether all of them say so of the redaction list, by the version that was lent: patterns alone find no entry."""
    found = _redactions(purpose)
    return bool(found) and all(one.get("list_version") for one in found)


def _redactions(purpose: str) -> list[dict[str, Any]]:
    """The part about redaction of each completed run's receipt; empty without one."""
    done = Completion.objects.filter(run__purpose=purpose).select_related("receipt")
    return [
        (predicate_of(one.receipt).get("redaction") or {}) if one.receipt else {} for one in done
    ]
