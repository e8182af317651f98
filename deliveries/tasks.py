"""Doors for Celery: a message carries an id and is only a hint; the delivery's row is the queue."""

from celery import shared_task

from common.processes import hints
from deliveries.lineage import accepting
from deliveries.made import account_map, making, sweeping, verifying

SWEEP_FOR = 60
"""Seconds after which a sweep begins nothing new: the next one goes on."""


@shared_task
def make_delivery(delivery_id: int) -> None:
    if making.make(delivery_id) is not None:
        hints.after_commit(verify_deliveries)


@shared_task
def verify_deliveries() -> None:
    verifying.verify_due(seconds=SWEEP_FOR)


@shared_task
def sweep_deliveries() -> None:
    sweeping.sweep(seconds=SWEEP_FOR)


@shared_task
def make_account_map() -> None:
    account_map.make_due(seconds=SWEEP_FOR)


@shared_task
def delete_lineage_bodies() -> None:
    accepting.delete_old_bodies()
