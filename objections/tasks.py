"""Doors for Celery: the letters' rows are the queue, a message is only a hint."""

from celery import shared_task
from django.conf import settings

from common.processes import hints
from objections.letters import effects, outbox
from objections.reports import digest
from objections.ticket import retention

HINT_SECONDS = 10
"""How long the letters of one message may keep a worker from the day's digests."""


@shared_task
def send_letters(seconds: float = 60) -> None:
    outbox.send_due(seconds=seconds)


@shared_task
def count_delivered() -> None:
    effects.count_delivered()


# Two tasks: what one of them meets keeps no other from its day.


@shared_task
def erase_expired() -> None:
    retention.erase_expired()


@shared_task
def sweep_files() -> None:
    retention.sweep_files()


@shared_task
def send_digests() -> None:
    digest.send_all()


def hint() -> None:
    """After the transaction, tell a worker that letters wait."""
    # A hint that was not taken by then is thrown away, so that a burst of filings is no burst of work: the clock's own
    # message comes by.
    hints.after_commit(send_letters, seconds=HINT_SECONDS, expires=settings.SWEEP_SECONDS)
