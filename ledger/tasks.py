"""A door for Celery: the ledger's growth is the queue, a message is only a hint."""

from celery import shared_task

from ledger.checkpoints import signing


@shared_task
def sign_checkpoint() -> None:
    signing.sign_now()
