"""Withdrawals during training: who has left since the delivery, and the run's word that it knows."""

import datetime as dt
from dataclasses import dataclass

from django.contrib.auth.models import User
from pyroaring import BitMap

from deliveries.errors import AnswerUnknown
from deliveries.made import archives
from deliveries.models import Acknowledgement
from deliveries.use.starting import last_start
from ledger import entries, open_entry
from training_runs.choices import FindingKind, RunState
from training_runs.errors import ForbiddenMove
from training_runs.models import Finding, Run, WithdrawnAnswer
from training_runs.runs import withdrawing
from training_runs.runs.verifying import usable_manifest

TOLERATED = dt.timedelta(minutes=15)
"""Withdrawals of the last minutes need no acknowledgement: training that ends now cannot have known them."""


@dataclass(frozen=True)
class Unacknowledged:
    """Members who withdrew during training, as far as the run has not said that it knows."""

    cut: int
    since_delivery: BitMap
    """The members who were delivered and are out at the cut."""
    digest: str
    """Of all members of the manifest who are out at the cut."""


def state_of(run: Run) -> Unacknowledged:
    """The members of the delivery in use who are out by now. Reads a snapshot: call it outside of an entry."""
    since = withdrawing.withdrawn_since(usable_manifest(run))
    out = since.withdrawn
    start = last_start(run)
    delivered = archives.load(start.delivery).delivered if start else BitMap()
    return Unacknowledged(since.cut, out & delivered, archives.digest_of(out))


def acknowledge(*, run: Run, actor: User, digest: str) -> Acknowledgement:
    """Record that the run knows an answer of who has withdrawn; the same answer again changes nothing.

    `digest` is that of an answer to `GET /runs/{reference}/withdrawn` of the last day. Members go on leaving: what
    counts is the time of the answer. Raises AnswerUnknown, ForbiddenMove outside of training.
    """
    with entries.entry(
        "delivery.withdrawals_acknowledged", actor=actor, subject=run.reference
    ) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        start = last_start(run)
        if run.state != RunState.TRAINING or start is None:
            raise ForbiddenMove(f"{run.reference} is {run.get_state_display()}, not in training.")
        answer = WithdrawnAnswer.objects.filter(run=run, digest=digest).first()
        if answer is None:
            raise AnswerUnknown(
                f"No answer of today has this digest: GET /api/v1/runs/{run.reference}/withdrawn gives it."
            )
        known = Acknowledgement.objects.filter(run=run, delivery=start.delivery).first()
        if known is not None and (known.digest, known.answered_at) == (digest, answer.answered_at):
            opened.abandon()
            return known
        row = Acknowledgement(
            run=run,
            delivery=start.delivery,
            cut=answer.cut,
            answered_at=answer.answered_at,
            withdrawn=answer.withdrawn,
            digest=digest,
            acknowledged_at=opened.recorded_at,
        )
        row.save()
        opened.reason = f"{start.delivery.reference}: {row.withdrawn} withdrawn at {row.cut}"
    return row


def find_unacknowledged(run: Run, now: Unacknowledged, opened: open_entry.OpenEntry) -> None:
    """Open a finding inside the entry that completes a run whose withdrawals were not acknowledged."""
    if not now.since_delivery:
        return
    start = last_start(run)
    known = start and Acknowledgement.objects.filter(run=run, delivery=start.delivery).first()
    if known and (
        known.digest == now.digest or known.answered_at >= opened.recorded_at - TOLERATED
    ):
        return
    Finding(
        run=run,
        kind=FindingKind.NOT_ACKNOWLEDGED,
        detail={
            "delivery": start.delivery.reference if start else "",
            "withdrawn_since_delivery": len(now.since_delivery),
            "acknowledged_up_to": known.cut if known else 0,
        },
        found_at=opened.recorded_at,
    ).save()
