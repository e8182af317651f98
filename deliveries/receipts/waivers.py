"""Waivers: a run's team asks to complete without a receipt, and a privacy officer decides."""

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from deliveries.choices import WaiverState
from deliveries.models import Waiver
from ledger import entries
from ledger.errors import InvalidInput, RuleViolation
from training_runs import teams
from training_runs.choices import RunState
from training_runs.errors import ForbiddenMove
from training_runs.models import Run

MIN_REASONS = 20
"""Characters: a word is no reason."""


class WaiverDecided(RuleViolation):
    code = "waiver_decided"


class OwnWaiver(RuleViolation):
    """The person asked for it, or is in the team that did."""

    code = "own_waiver"


def ask(*, run: Run, reasons: str, actor: User) -> tuple[Waiver, bool]:
    """Ask for a completion without a receipt; one that waits with the same reasons is the same one, and False.

    Raises ForbiddenMove outside of training, InvalidInput.
    """
    if len(reasons.strip()) < MIN_REASONS:
        raise InvalidInput(
            f"Say in {MIN_REASONS} characters or more why there is no receipt.", field="reasons"
        )
    with entries.entry("waiver.asked", actor=actor, subject=run.reference) as opened:
        run = Run.objects.select_for_update().get(pk=run.pk)
        waiting = Waiver.objects.filter(run=run, state=WaiverState.ASKED).first()
        if waiting is not None:
            opened.abandon()
            if waiting.reasons != reasons:
                raise WaiverDecided(
                    f"A request for a waiver of {run.reference} waits already, with other reasons."
                )
            return waiting, False
        if run.state != RunState.TRAINING:
            raise ForbiddenMove(f"{run.reference} is {run.get_state_display()}, not in training.")
        waiver = Waiver(run=run, reasons=reasons, asked_by=actor, asked_at=opened.recorded_at)
        waiver.save()
    return waiver, True


def decide(*, waiver: Waiver, approve: bool, decision: str, actor: User) -> Waiver:
    """Approve or refuse a waiver, by another person than those who asked. Cannot be undone.

    Raises PermissionDenied, OwnWaiver, WaiverDecided, InvalidInput.
    """
    if not actor.has_perm("deliveries.decide_waiver"):
        raise PermissionDenied
    if not decision.strip():
        raise InvalidInput("Say why.", field="decision")
    with entries.entry("waiver.decided", actor=actor, subject=waiver.run.reference) as opened:
        waiver = Waiver.objects.select_for_update().select_related("run").get(pk=waiver.pk)
        if waiver.state != WaiverState.ASKED:
            raise WaiverDecided(f"The waiver is {waiver.get_state_display()} already.")
        if waiver.asked_by_id == actor.pk or teams.has(waiver.run, actor):
            raise OwnWaiver("A person outside of the run's team decides.")
        waiver.state = WaiverState.APPROVED if approve else WaiverState.REFUSED
        waiver.decided_by, waiver.decided_at = actor, opened.recorded_at
        waiver.decision = decision
        waiver.save()
        opened.reason = waiver.get_state_display()
    return waiver
