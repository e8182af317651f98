"""Doors for Celery: a message carries an id and is only a hint; the run row is the queue."""

from celery import shared_task

from common.processes import hints
from common.tasks import sign_soon
from training_runs.incidents import finding, telling
from training_runs.runs import freezing, sweeping, verifying

SWEEP_FOR = 60
"""Seconds after which a sweep begins nothing new: the next one goes on."""


@shared_task
def freeze_run(run_id: int) -> None:
    manifest = freezing.freeze(run_id)
    if manifest is not None:
        hints.after_commit(verify_manifest, manifest.pk)


@shared_task
def verify_manifest(manifest_id: int) -> None:
    if verifying.verify_due(manifest_id) is not None:
        sign_soon()


@shared_task
def sweep_freezes() -> None:
    sweeping.sweep_freezes(seconds=SWEEP_FOR)


@shared_task
def sweep_verifications() -> None:
    if sweeping.sweep_verifications(seconds=SWEEP_FOR)["verified"]:
        sign_soon()


@shared_task
def look_for_late_facts() -> None:
    for incident in finding.look():
        telling.tell_team(incident)
