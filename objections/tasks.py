"""Doors for Celery: the letters' rows are the queue, a message is only a hint."""

from celery import shared_task
from django.db import transaction

from objections import digest, mailing, retention, services


@shared_task
def send_letters() -> None:
    mailing.send_due()


@shared_task
def daily() -> None:
    services.look_again_for_incidents()
    retention.erase_expired()
    retention.sweep_files()


@shared_task
def send_digests() -> None:
    digest.send_all()


def hint() -> None:
    """After the transaction, tell a worker that letters wait. Without a broker this costs a log line and a few seconds."""
    transaction.on_commit(send_letters.delay, robust=True)
