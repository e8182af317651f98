"""Doors for Celery: what the ledger has grown by is the queue, a message is only a hint."""

from celery import shared_task

from portal import checkpoint_mail, checkpoints, hints


@shared_task
def sign_checkpoint() -> None:
    checkpoints.sign_now()


@shared_task
def mail_checkpoint() -> None:
    checkpoint_mail.send_to_auditors()


def hint() -> None:
    """After the transaction, have what was written signed soon. Without a broker the clock does it."""
    hints.after_commit(sign_checkpoint)
