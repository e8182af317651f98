"""Doors for Celery: a message carries an id and is only a hint; the run row is the queue."""

from celery import shared_task

from training_runs import services
from training_runs.models import Manifest


@shared_task
def freeze_run(run_id: int) -> None:
    manifest = services.freeze(run_id)
    if manifest is not None:
        verify_manifest.delay_on_commit(manifest.pk)


@shared_task
def verify_manifest(manifest_id: int) -> None:
    services.verify(Manifest.objects.select_related("run").get(pk=manifest_id))


@shared_task
def sweep() -> None:
    services.sweep()
