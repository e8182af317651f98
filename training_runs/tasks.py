"""Doors for Celery: a message carries an id and is only a hint; the run row is the queue."""

from celery import shared_task

from portal import hints
from portal.tasks import hint
from training_runs import services

SWEEP_FOR = 60
"""Seconds after which a sweep begins nothing new: the next one goes on."""


@shared_task
def freeze_run(run_id: int) -> None:
    manifest = services.freeze(run_id)
    if manifest is not None:
        hints.after_commit(verify_manifest, manifest.pk)


@shared_task
def verify_manifest(manifest_id: int) -> None:
    if services.verify_due(manifest_id) is not None:
        hint()


@shared_task
def sweep_freezes() -> None:
    services.sweep_freezes(seconds=SWEEP_FOR)


@shared_task
def sweep_verifications() -> None:
    if services.sweep_verifications(seconds=SWEEP_FOR)["verified"]:
        hint()
