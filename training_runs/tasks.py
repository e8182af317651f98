"""Doors for Celery: a message carries an id and is only a hint; the run row is the queue."""

from celery import shared_task
from django.db import transaction

from portal.tasks import hint
from training_runs import services
from training_runs.models import Manifest


@shared_task
def freeze_run(run_id: int) -> None:
    manifest = services.freeze(run_id)
    if manifest is not None:
        # Without a broker this costs a log line, and the sweep verifies.
        transaction.on_commit(lambda: verify_manifest.delay(manifest.pk), robust=True)


@shared_task
def verify_manifest(manifest_id: int) -> None:
    services.verify(Manifest.objects.select_related("run").get(pk=manifest_id))
    hint()


@shared_task
def sweep() -> None:
    services.sweep()
